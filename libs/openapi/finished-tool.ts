import { createHash } from 'node:crypto';
import type { ConvertedTool, OperationVerdict, VerdictReason } from '#libs/core/conversion.js';
import type { Definitions } from '#libs/core/json-schema.js';
import type { DefinitionGraph } from '#libs/openapi/definition-graph.js';
import type { ToolLister } from '#libs/tool-listing/listed-tool.js';
import type { OperationDraft, OperationFacts } from '#libs/openapi/operation-converter.js';
import { isObjectRoot } from '#libs/openapi/operation-converter.js';
import { isObject } from '#libs/tool-listing/raw.js';
import type { ChosenName } from '#libs/tool-listing/tool-names.js';

export interface Finish { readonly name: string; readonly draft: OperationDraft; readonly lister: ToolLister; readonly graph: DefinitionGraph; readonly definitions: Definitions }

/** An operation that was converted, under its name. */
export function finishTool(facts: OperationFacts, { name, draft, lister, graph, definitions }: Finish): ConvertedTool {
  const { source, operationId, findings } = draft;
  const { title, description, tags, deprecated, operationClass, inputSchema, backend } = facts;
  const outputSchema = isObject(facts.outputSchema) && facts.outputSchema['type'] === undefined && isObjectRoot(facts.outputSchema, (key) => definitions[key])
    ? { type: 'object', ...facts.outputSchema }
    : facts.outputSchema;
  const listed = lister.list({ name, title, description, method: source.method, operationClass, inputSchema, inputUses: findings.request.uses, outputSchema, outputUses: findings.response.uses });
  const hash = createHash('sha256')
    .update(JSON.stringify([name, title, description, tags, deprecated, inputSchema, outputSchema, backend]))
    .update(graph.digest(findings.request.uses))
    .update(graph.digest(findings.response.uses))
    .digest('hex');
  return { name, title, description, method: source.method, path: source.path, operationId, tags, deprecated, operationClass, inputSchema, outputSchema, backend, listed, hash };
}

/** Longest list of reasons or notes of one operation. */
const MAX_ENTRIES = 100;

export function finishVerdict({ source, operationId, findings, facts }: OperationDraft, name: ChosenName | undefined, graph: DefinitionGraph): OperationVerdict {
  const about = { method: source.method, path: source.path, operationId, tool: name?.name };
  if (!facts || findings.refusal) {
    const refusal = findings.refusal ?? { code: 'not-an-operation', message: 'could not be read', pointer: source.pointer };
    return { ...about, tool: undefined, verdict: 'refused', reasons: [refusal, ...findings.reasons], notes: findings.notes };
  }
  const reached = [...findings.request.uses, ...findings.response.uses].map((key) => graph.findings(key));
  const reasons = distinct([...findings.reasons, ...reached.flatMap((found) => found.reasons)]);
  const named: VerdictReason[] = name?.code === undefined ? [] : [{ code: name.code, message: `${name.message ?? ''}; the tool is called "${name.name}"`, pointer: `${source.pointer}/operationId` }];
  const notes = distinct([...named, ...findings.notes, ...reached.flatMap((found) => found.notes)]);
  return { ...about, verdict: reasons.length > 0 ? 'degraded' : 'exact', reasons, notes };
}

/** Each entry once, and not more than a reader can take in: the rest is counted. */
function distinct(entries: readonly VerdictReason[]): readonly VerdictReason[] {
  if (entries.length < 2) return entries;
  const unique = [...new Map(entries.map((entry) => [`${entry.code} ${entry.pointer}`, entry])).values()];
  if (unique.length <= MAX_ENTRIES) return unique;
  const shown = unique.slice(0, MAX_ENTRIES - 1);
  return [...shown, { code: 'more', message: `${unique.length - shown.length} more entries of the same kinds`, pointer: '' }];
}
