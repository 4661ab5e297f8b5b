import { isMap, LineCounter, parseDocument } from 'yaml';
import { AdmissionError } from '#libs/core/admission.js';
import { isObject, type RawObject } from '#libs/tool-listing/raw.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import { resolvePointer } from '#libs/backends/kafka/json-schema-pool.js';

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_ALIASES = 100;
const MAX_HOPS = 20;

/** A document as plain data: JSON, else YAML 1.2. Throws `AdmissionError` with the line. */
export function readDocument(bytes: Uint8Array, file: string): unknown {
  if (bytes.byteLength > MAX_BYTES) throw new AdmissionError('too-large', `${file}: has ${bytes.byteLength} bytes, the limit is ${MAX_BYTES}`);
  let text: string;
  try { text = new TextDecoder('utf-8', { fatal: true }).decode(bytes); } catch { throw new AdmissionError('not-asyncapi', `${file}: is not UTF-8 text`); }
  const lines = new LineCounter();
  if (/^\s*\{/.test(text)) try { return JSON.parse(text) as unknown; } catch { /* perhaps flow YAML, which tells the line too */ }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: false, version: '1.2', schema: 'core', logLevel: 'error' });
  const [error] = document.errors;
  if (error !== undefined) { const { line, col } = lines.linePos(error.pos[0]); throw new AdmissionError('not-asyncapi', `${file}, line ${line}, column ${col}: ${error.message}`); }
  if (!isMap(document.contents)) throw new AdmissionError('not-asyncapi', `${file}: is not an AsyncAPI document: an object with the member asyncapi`);
  try { return document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown; } catch { throw new AdmissionError('not-asyncapi', `${file}: YAML aliases expand to too much; write $ref instead`); }
}

/** A part of the document and where it stands. */
export interface Place { readonly value: RawObject; readonly pointer: string }

/** Follows references inside the document. Throws `PayloadProblem` for those that lead elsewhere or nowhere. */
export function follow(root: unknown, value: unknown, pointer: string): Place {
  let found = value;
  let at = pointer;
  for (let hops = 0; isObject(found) && typeof found['$ref'] === 'string'; hops++) {
    const reference = found['$ref'];
    if (hops === MAX_HOPS) throw new PayloadProblem(`${reference} refers to itself`, at);
    if (!reference.startsWith('#')) throw new PayloadProblem(`refers to ${reference}; put it into the document`, at);
    at = reference.slice(1);
    found = resolvePointer(root, at);
  }
  if (!isObject(found)) throw new PayloadProblem(found === undefined ? `refers to ${at}, which is not there` : 'must be an object', at);
  return { value: found, pointer: at };
}

/** Traits: JSON Merge Patch (RFC 7396), each over those before it; in AsyncAPI 2 over the object, in 3 under it. */
export function withTraits(root: unknown, { value, pointer }: Place, traitsWin: boolean): Place {
  const { traits, ...own } = value;
  if (!Array.isArray(traits)) return { value, pointer };
  const parts = traits.map((trait, i) => follow(root, trait, `${pointer}/traits/${i}`).value);
  const merged = (traitsWin ? [own, ...parts] : [...parts, own]).reduce<unknown>((under, over) => patch(under, over), {});
  return { value: merged as RawObject, pointer };
}

function patch(under: unknown, over: unknown): unknown {
  if (!isObject(over)) return over;
  const out: Record<string, unknown> = isObject(under) ? { ...under } : {};
  for (const [key, value] of Object.entries(over)) if (value === null) delete out[key]; else out[key] = patch(out[key], value);
  return out;
}
