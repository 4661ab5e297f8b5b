import type { ConvertedDocument, VerdictReason } from '#libs/core/conversion.js';
import type { References } from '#libs/openapi/references.js';
import { isObject, member, token } from '#libs/tool-listing/raw.js';
import type { RawObject } from '#libs/tool-listing/raw.js';
import type { SchemaScope } from '#libs/openapi/schema-pool.js';
import type { SchemaTranslator } from '#libs/openapi/schema-translator.js';

export type DocumentFormat = ConvertedDocument['format'];

/** One operation as the document has it. */
export interface OperationSource {
  /** Upper-case. */
  readonly method: string;
  readonly path: string;
  readonly pointer: string;
  /** Undefined when what stands there is not an object. */
  readonly operation: RawObject | undefined;
  readonly item: RawObject;
  readonly itemPointer: string;
}

/** What every part of a conversion needs to know of the document. */
export interface DocumentContext {
  readonly format: DocumentFormat;
  readonly root: RawObject;
  readonly references: References;
  readonly translator: SchemaTranslator;
}

/** What is found out about one operation on the way. */
export class Findings {
  readonly reasons: VerdictReason[] = [];
  readonly notes: VerdictReason[] = [];
  refusal: VerdictReason | undefined;
  /** Schemas of what is sent, and of what comes back. */
  readonly request: SchemaScope = { direction: 'request', reasons: this.reasons, notes: this.notes, uses: new Set() };
  readonly response: SchemaScope = { direction: 'response', reasons: this.reasons, notes: this.notes, uses: new Set() };

  degrade(code: string, message: string, pointer: string): void { this.reasons.push({ code, message, pointer }); }
  note(code: string, message: string, pointer: string): void { this.notes.push({ code, message, pointer }); }
  refuse(code: string, message: string, pointer: string): void { this.refusal ??= { code, message, pointer }; }
}

const METHODS: ReadonlySet<string> = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']);
/** RFC 9110 §5.6.2 */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Every operation under `paths`, in document order. Webhooks and callbacks are calls that the API makes, not operations. */
export function* operationsOf(context: DocumentContext): Generator<OperationSource> {
  const paths = member(context.root, 'paths');
  if (!isObject(paths)) return;
  for (const [path, raw] of Object.entries(paths)) {
    if (path.startsWith('x-')) continue;
    const written = `/paths${token(path)}`;
    const target = context.references.follow(raw, written);
    const item = target.found && isObject(target.value) ? target.value : isObject(raw) ? raw : undefined;
    if (!item) continue;
    const itemPointer = target.found ? target.pointer : written;
    if (!target.found) {
      const blank = { path, item, itemPointer, operation: undefined };
      yield { ...blank, method: '*', pointer: `${written}/$ref` };
    }
    yield* itemOperations(item, itemPointer, path, context.format);
    // OpenAPI 3.1 §4.8.9: members beside `$ref` are undefined behaviour; those that do not clash are taken.
    if (isObject(raw) && raw !== item) for (const source of itemOperations(raw, written, path, context.format)) if (!Object.hasOwn(item, source.method.toLowerCase())) yield source;
  }
}

function* itemOperations(item: RawObject, itemPointer: string, path: string, format: DocumentFormat): Generator<OperationSource> {
  for (const [key, value] of Object.entries(item)) {
    const isMethod = METHODS.has(key) || (key === 'query' && format === 'openapi-3.2');
    if (isMethod && value !== undefined) {
      yield { method: key.toUpperCase(), path, pointer: itemPointer + token(key), operation: isObject(value) ? value : undefined, item, itemPointer };
    }
    if (key !== 'additionalOperations' || format !== 'openapi-3.2' || !isObject(value)) continue;
    for (const [method, operation] of Object.entries(value)) {
      yield { method: method.toUpperCase(), path, pointer: `${itemPointer}/additionalOperations${token(method)}`, operation: isObject(operation) ? operation : undefined, item, itemPointer };
    }
  }
}

export function isMethodToken(method: string): boolean {
  return TOKEN.test(method) && method !== 'CONNECT';
}
