import { createHash } from 'node:crypto';
import type { ConversionOptions, ConvertedDocument, OperationVerdict } from '#libs/core/conversion.js';
import type { Definitions } from '#libs/core/json-schema.js';
import { breakCycles } from '#libs/openapi/break-cycles.js';
import { DefinitionGraph } from '#libs/openapi/definition-graph.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { DOCUMENT_LIMITS } from '#libs/openapi/document-limits.js';
import type { DocumentLimits } from '#libs/openapi/document-limits.js';
import { formatOf } from '#libs/openapi/document-format.js';
import { ToolLister } from '#libs/tool-listing/listed-tool.js';
import { operationsOf } from '#libs/openapi/operation-source.js';
import type { DocumentContext, OperationSource } from '#libs/openapi/operation-source.js';
import { OperationConverter } from '#libs/openapi/operation-converter.js';
import { isObject, member, textOf } from '#libs/tool-listing/raw.js';
import { readDocument } from '#libs/openapi/read-document.js';
import { References } from '#libs/openapi/references.js';
import { SchemaPool } from '#libs/openapi/schema-pool.js';
import { SchemaTranslator } from '#libs/openapi/schema-translator.js';
import { finishTool, finishVerdict } from '#libs/openapi/finished-tool.js';
import { isSelected } from '#libs/openapi/operation-selector.js';
import { chooseNames } from '#libs/tool-listing/tool-names.js';
import { cleanText } from '#libs/tool-listing/clean-text.js';

export interface ConvertOptions extends ConversionOptions {
  /** Named in errors. */
  readonly fileName?: string;
  /** Lower or higher than the defaults, by an operator's choice. */
  readonly limits?: Partial<DocumentLimits>;
}

/**
 * Converts a Swagger 2.0 or OpenAPI 3.0, 3.1 or 3.2 document, JSON or YAML, into tools and one verdict for each operation.
 * Works in memory alone: nothing is fetched, whatever the document refers to. Takes up to a minute and 2 GiB for the largest
 * documents, on the calling thread: servers use `DocumentConverter`, which works in a thread of its own.
 * Rejects with `DocumentError` when there is no document to convert.
 */
export async function convertDocument(bytes: Uint8Array, options: ConvertOptions): Promise<ConvertedDocument> {
  const file = options.fileName ?? 'document';
  const limits = { ...DOCUMENT_LIMITS, ...options.limits };
  checkNaming(options, file);
  const root = readDocument(bytes, file, limits);
  const format = formatOf(root, file);
  if (!isObject(root)) throw new DocumentError({ code: 'not-openapi', file, problem: 'the document is not an object' });
  const self = [options.documentUrl, textOf(member(root, '$self'))].filter((url) => url !== undefined);
  const references = new References(root, self);
  const pool = new SchemaPool(references);
  const dialect = format === 'swagger-2.0' || format === 'openapi-3.0' ? 'openapi-3.0' : '2020-12';
  const translator = new SchemaTranslator(dialect, references, pool);
  const context: DocumentContext = { format, root, references, translator };
  const sources = listOperations(context, file, limits);
  const converter = new OperationConverter(context, options);
  const drafts = sources.map((source) => converter.draft(source));
  const names = chooseNames(sources.map((source, i) => ({ method: source.method, path: source.path, operationId: drafts[i]?.operationId })), options.naming ?? {}, new Set(options.takenNames));
  breakCycles(pool.entries);
  const graph = new DefinitionGraph(pool.entries);
  const definitions: Definitions = Object.fromEntries([...pool.entries.values()].map((entry) => [entry.key, entry.schema]));
  const lister = new ToolLister(definitions, (key) => pool.entries.get(key)?.uses ?? []);
  const tools = [];
  const ledger: OperationVerdict[] = [];
  for (const [i, draft] of drafts.entries()) {
    const name = names[i];
    const selected = draft.facts !== undefined && name !== undefined && isSelected(draft, options.selector);
    const tool = selected && draft.facts ? finishTool(draft.facts, { name: name.name, draft, lister, graph, definitions }) : undefined;
    if (tool) tools.push(tool);
    ledger.push(finishVerdict(draft, tool ? name : undefined, graph));
  }
  const info = member(root, 'info');
  const about = isObject(info) ? info : {};
  return {
    format,
    title: cleanText(textOf(member(about, 'title')) ?? file),
    version: versionText(member(about, 'version')),
    description: cleanText(textOf(member(about, 'description')) ?? ''),
    specHash: createHash('sha256').update(bytes).digest('hex'),
    definitions,
    slots: converter.slots,
    tools,
    ledger,
  };
}

function versionText(version: unknown): string {
  return typeof version === 'string' || typeof version === 'number' ? cleanText(String(version)) : '';
}

function listOperations(context: DocumentContext, file: string, limits: DocumentLimits): readonly OperationSource[] {
  const sources: OperationSource[] = [];
  for (const source of operationsOf(context)) {
    sources.push(source);
    if (sources.length > limits.maxOperations) throw new DocumentError({ code: 'too-many-operations', file, pointer: source.pointer, problem: `more than ${limits.maxOperations} operations; split the document` });
  }
  return sources;
}

function checkNaming({ naming, baseUrl }: ConvertOptions, file: string): void {
  if (naming?.prefix !== undefined && !/^[a-z][a-z0-9_]*$/.test(naming.prefix)) throw new DocumentError({ code: 'invalid-options', file, problem: 'naming.prefix must be lower-case letters, digits and underscores, beginning with a letter' });
  if (naming?.suffix !== undefined && !/^[a-z0-9_]*$/.test(naming.suffix)) throw new DocumentError({ code: 'invalid-options', file, problem: 'naming.suffix must be lower-case letters, digits and underscores' });
  if (baseUrl !== undefined && !/^https?:$/.test(URL.parse(baseUrl)?.protocol ?? '')) throw new DocumentError({ code: 'invalid-options', file, problem: 'baseUrl must be an absolute http or https URL' });
}

