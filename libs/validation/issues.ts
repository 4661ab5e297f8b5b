import type { ErrorObject } from 'ajv';
import type { ArgumentIssue } from '#libs/core/errors.js';

export const MAX_ISSUES = 20;
const MAX_TEXT = 300;

/** What is wrong, for someone who will try again: the field by pointer, what it must be. At most 20, none twice. */
export function issuesOf(errors: readonly Partial<ErrorObject>[]): ArgumentIssue[] {
  const issues = new Map<string, ArgumentIssue>();
  for (const error of errors) {
    const issue = issueOf(error);
    if (issue && issues.size < MAX_ISSUES) issues.set(`${issue.pointer} ${issue.message}`, issue);
  }
  return [...issues.values()];
}

function issueOf(error: Partial<ErrorObject>): ArgumentIssue | undefined {
  const pointer = error.instancePath ?? '';
  const params = (error.params ?? {}) as Readonly<Record<string, unknown>>;
  const below = (name: unknown): string => `${pointer}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`;
  switch (error.keyword ?? '') {
    case 'required': case 'dependentRequired': return { pointer: below(params['missingProperty']), message: 'is required' };
    case 'additionalProperties': return { pointer, message: `unknown argument ${short(params['additionalProperty'])}` };
    case 'unevaluatedProperties': return { pointer, message: `unknown argument ${short(params['unevaluatedProperty'])}` };
    case 'enum': return { pointer, message: `must be one of ${short(params['allowedValues'])}` };
    case 'const': return { pointer, message: `must be ${short(params['allowedValue'])}` };
    case 'type': return { pointer, message: `must be ${[params['type']].flat().join(' or ')}` };
    // Says only that something below failed, which is reported itself.
    case 'if': return undefined;
    case 'oneOf': return { pointer, message: Array.isArray(params['passingSchemas']) ? 'must match exactly one of the alternatives, but matches several' : 'must match one of the alternatives' };
    case 'anyOf': return { pointer, message: 'must match one of the alternatives' };
    default: return { pointer, message: (error.message ?? 'is not allowed').slice(0, MAX_TEXT) };
  }
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined';
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}
