import { createHash } from 'node:crypto';
import type { ConversionOptions, ConvertedTool, OperationSelector, OperationVerdict, VerdictReason } from '#libs/core/conversion.js';
import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';
import type { BackendBinding, OperationClass } from '#libs/core/target.js';
import { cleanText } from '#libs/tool-listing/clean-text.js';
import { ToolLister } from '#libs/tool-listing/listed-tool.js';
import { definitionsNamedIn } from '#libs/tool-listing/self-contained.js';
import { chooseNames } from '#libs/tool-listing/tool-names.js';

/** An operation of an API that is no HTTP document's, as its kind's converter read it. */
export interface OperationPlan {
  /** What is done: `QUERY`, `UNARY`, `PUBLISH`, `TOOL`, … In `tools/list`, `GET`, `QUERY` and `DELETE` tell that doing it twice is doing it once. */
  readonly method: string;
  readonly path: string;
  /** Gives the tool its name, unless naming says otherwise. */
  readonly operationId: string | undefined;
  /** See `NameRequest.verbatim`. */
  readonly verbatim?: boolean;
  /** As the source has them: selectors ask for these. */
  readonly tags: readonly string[];
  /** Undefined: refused, for the first of `reasons`. */
  readonly tool: PlannedTool | undefined;
  readonly reasons: readonly VerdictReason[];
  readonly notes: readonly VerdictReason[];
}
export interface PlannedTool {
  readonly title: string | undefined;
  readonly description: string;
  readonly deprecated: boolean;
  readonly operationClass: OperationClass;
  /** `$ref`s are `#/$defs/{name}` into `definitions`. */
  readonly inputSchema: JsonSchema;
  readonly outputSchema: JsonSchema | undefined;
  readonly backend: BackendBinding;
}

/** Tools under their names, each with its entry of `tools/list`, and one verdict for each plan, in the plans' order. The same input always gives the same bytes. */
export function toolsOf(plans: readonly OperationPlan[], definitions: Definitions, options: ConversionOptions): { readonly tools: readonly ConvertedTool[]; readonly ledger: readonly OperationVerdict[] } {
  const names = chooseNames(plans, options.naming ?? {}, new Set(options.takenNames));
  const uses = new Map(Object.entries(definitions).map(([key, schema]) => [key, definitionsNamedIn(schema)]));
  const lister = new ToolLister(definitions, (key) => uses.get(key) ?? []);
  const tools: ConvertedTool[] = [];
  const ledger = plans.map((plan, i): OperationVerdict => {
    const { method, path, operationId, tool, reasons, notes } = plan;
    const chosen = names[i];
    const about = { method, path, operationId };
    if (tool === undefined) return { ...about, tool: undefined, verdict: 'refused', reasons, notes };
    const taken = chosen !== undefined && isSelected(plan, options.selector) ? chosen : undefined;
    if (taken) tools.push(finish(plan, tool, taken.name, { definitions, uses, lister, options }));
    const renamed: readonly VerdictReason[] = taken?.code === undefined ? [] : [{ code: taken.code, message: `${taken.message ?? ''}; the tool is called "${taken.name}"`, pointer: '' }];
    return { ...about, tool: taken?.name, verdict: reasons.length > 0 ? 'degraded' : 'exact', reasons, notes: [...renamed, ...notes] };
  });
  return { tools, ledger };
}

interface Workshop { readonly definitions: Definitions; readonly uses: ReadonlyMap<string, ReadonlySet<string>>; readonly lister: ToolLister; readonly options: ConversionOptions }

function finish({ method, path, operationId, tags: own }: OperationPlan, planned: PlannedTool, name: string, { definitions, uses, lister, options }: Workshop): ConvertedTool {
  const { deprecated, operationClass, inputSchema, outputSchema, backend } = planned;
  const title = planned.title === undefined ? undefined : cleanText(planned.title);
  const description = cleanText(planned.description);
  const tags = [...new Set([...own, ...options.toolDefaults?.tags ?? []])];
  const inputUses = definitionsNamedIn(inputSchema);
  const outputUses = definitionsNamedIn(outputSchema ?? true);
  const listed = lister.list({ name, title, description, method, operationClass, inputSchema, inputUses, outputSchema, outputUses });
  const reached = new Set([...inputUses, ...outputUses]);
  for (const key of reached) for (const next of uses.get(key) ?? []) reached.add(next);
  const hash = createHash('sha256').update(JSON.stringify([name, title, description, tags, deprecated, inputSchema, outputSchema, backend]));
  for (const key of [...reached].toSorted()) hash.update(JSON.stringify([key, definitions[key]]));
  return { name, title, description, method, path, operationId, tags, deprecated, operationClass, inputSchema, outputSchema, backend, listed, hash: hash.digest('hex') };
}

function isSelected({ method, path, operationId, tags: own }: OperationPlan, { tags, excludeTags, methods, pathPrefix, operationIds }: OperationSelector = {}): boolean {
  return (tags === undefined || own.some((tag) => tags.includes(tag)))
    && (excludeTags === undefined || !own.some((tag) => excludeTags.includes(tag)))
    && (methods === undefined || methods.some((wanted) => wanted.toUpperCase() === method))
    && (pathPrefix === undefined || path.startsWith(pathPrefix))
    && (operationIds === undefined || (operationId !== undefined && operationIds.includes(operationId)));
}
