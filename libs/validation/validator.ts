import type { ValidateFunction } from 'ajv';
import type { ArgumentIssue } from '#libs/core/errors.js';
import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';
import type { ArgumentValidator } from '#libs/core/ports.js';
import type { Target } from '#libs/core/target.js';
import { SchemaCompiler } from './compile.js';
import { issuesOf } from './issues.js';
import { PatternGuard, PatternTooSlow } from './pattern.js';

/** Milliseconds of processor time that one validation may spend in patterns which are not cheap by their shape. */
const PATTERN_BUDGET_MS = 25;
/** Values above which only the first problem is told: finding all of them in a large argument costs more than they help. */
const ALL_ISSUES_UP_TO = 2_000;

export interface Validator extends ArgumentValidator {
  validate(target: Pick<Target, 'inputSchema' | 'definitions'>, args: unknown): ReturnType<ArgumentValidator['validate']>;
  /** Why a backend's answer does not keep the tool's output schema; undefined when it does, or there is none. Formats are not asserted. */
  checkOutput(target: Pick<Target, 'outputSchema' | 'definitions'>, value: unknown): string | undefined;
}

interface Pool { readonly first: SchemaCompiler; readonly all: SchemaCompiler; readonly output: SchemaCompiler }

/**
 * JSON Schema 2020-12 by ajv, compiled on first use and kept as long as the schemas live. Values are never changed. Fails closed: a schema that
 * cannot be compiled, or a value that cannot be checked in time, is an issue.
 */
export function createArgumentValidator(): Validator {
  const guard = new PatternGuard(PATTERN_BUDGET_MS);
  const pools = new WeakMap<Definitions, Pool>();
  const poolOf = (definitions: Definitions): Pool => {
    let pool = pools.get(definitions);
    if (!pool) {
      const make = (formats: boolean, allErrors: boolean): SchemaCompiler => new SchemaCompiler(definitions, { guard, formats, allErrors });
      pools.set(definitions, (pool = { first: make(true, false), all: make(true, true), output: make(false, false) }));
    }
    return pool;
  };
  /** Undefined when the value passes. `final`: looking again would find nothing more. */
  const check = (compiler: SchemaCompiler, schema: JsonSchema, value: unknown): { issues: ArgumentIssue[]; final: boolean } | undefined => {
    try {
      const validate: ValidateFunction = compiler.compile(schema);
      guard.begin();
      return validate(value) ? undefined : { issues: issuesOf(validate.errors ?? []), final: false };
    } catch (failure) {
      const message = failure instanceof PatternTooSlow
        ? `cannot be checked in time against the pattern ${JSON.stringify(failure.pattern.slice(0, 100))}; use a shorter value`
        : `cannot be checked: ${failure instanceof RangeError ? 'the schema refers to itself without end' : reason(failure)}`;
      return { issues: [{ pointer: '', message }], final: true };
    }
  };
  return {
    validate(target, args) {
      const input = args ?? {};
      if (typeof input !== 'object' || Array.isArray(input)) return { issues: [{ pointer: '', message: 'must be an object' }] };
      const pool = poolOf(target.definitions);
      const found = check(pool.first, target.inputSchema, input);
      if (found === undefined) return { input: input as Readonly<Record<string, unknown>> };
      const all = found.final || !isSmall(input) ? undefined : check(pool.all, target.inputSchema, input);
      const issues = [all?.issues ?? [], found.issues].find((list) => list.length > 0);
      return { issues: issues ?? [{ pointer: '', message: 'does not match the schema' }] };
    },
    checkOutput(target, value) {
      if (target.outputSchema === undefined) return undefined;
      const found = check(poolOf(target.definitions).output, target.outputSchema, value);
      return found?.issues.map(({ pointer, message }) => `${pointer === '' ? 'the answer' : pointer} ${message}`).join('; ');
    },
  };
}

const reason = (failure: unknown): string => (failure instanceof Error ? failure.message : String(failure)).slice(0, 300);

/** Counts values without recursion, and stops at the limit. */
function isSmall(value: object): boolean {
  const open: unknown[] = [value];
  for (let seen = 0; open.length > 0; seen++) {
    if (seen > ALL_ISSUES_UP_TO) return false;
    const next = open.pop();
    if (typeof next !== 'object' || next === null) continue;
    for (const member of Object.values(next)) {
      if (open.length > ALL_ISSUES_UP_TO) return false;
      open.push(member);
    }
  }
  return true;
}
