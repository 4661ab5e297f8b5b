import type { VerdictReason } from '#libs/core/conversion.js';
import { isObject, type RawObject, textOf } from '#libs/tool-listing/raw.js';
import { follow, type Place, withTraits } from '#libs/backends/kafka/asyncapi-document.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import { isReservedHeader } from '#libs/backends/kafka/connection.js';
import { ANY_JSON, TEXT } from '#libs/backends/kafka/convert-topics.js';
import { type DefinedPayload, definePayload } from '#libs/backends/kafka/define-payload.js';
import type { JsonSchemaPool } from '#libs/backends/kafka/json-schema-pool.js';
import type { MessageShape } from '#libs/backends/kafka/topic-plans.js';

export interface Source { readonly root: RawObject; readonly version: 2 | 3; readonly pool: JsonSchemaPool; readonly registry: string | undefined }
export interface ReadMessage {
  readonly shape: MessageShape;
  /** Header that carries the correlation id; undefined: none, or elsewhere (`correlation`). */
  readonly correlationHeader: string | undefined;
  readonly correlation: string | undefined;
  readonly reasons: readonly VerdictReason[];
  readonly notes: readonly VerdictReason[];
}

const HEADER_LOCATION = /^\$message\.header#\/([^/]+)$/;
const SUBJECT = (topic: string, part: 'key' | 'value'): string => `${topic}-${part}`;

/** What is written for an operation with these messages, one or several. Throws `PayloadProblem` where none can be. */
export function readMessages(source: Source, places: readonly Place[], topic: string): ReadMessage {
  const read = places.map((place) => readMessage(source, withTraits(source.root, follow(source.root, place.value, place.pointer), source.version === 2), topic));
  const [first, ...more] = read;
  if (first === undefined) return { shape: { value: ANY_JSON, headers: {}, callerHeaders: {} }, correlationHeader: undefined, correlation: undefined, reasons: [], notes: [{ code: 'no-schema', message: 'the operation has no message: any JSON is taken, and written as JSON', pointer: '' }] };
  if (more.length === 0) return first;
  const pointer = places[0]?.pointer ?? '';
  const plain = read.every(({ shape: { value: { payload: { format, framed } } } }) => format === 'json' && !framed);
  if (!plain) return { ...first, reasons: [...first.reasons, { code: 'several-messages', message: `the operation has ${read.length} messages in formats that cannot be told apart; the first is what is written`, pointer }] };
  const key = read.find(({ shape }) => shape.key !== undefined)?.shape.key;
  return {
    ...first,
    shape: { value: { payload: first.shape.value.payload, schema: { anyOf: read.map(({ shape }) => shape.value.schema) }, notes: [] }, headers: {}, callerHeaders: Object.assign({}, ...read.map(({ shape }) => shape.callerHeaders)) as MessageShape['callerHeaders'], key },
    reasons: read.flatMap(({ reasons }) => reasons), notes: read.flatMap(({ notes }) => notes),
  };
}

function readMessage(source: Source, { value: message, pointer }: Place, topic: string): ReadMessage {
  const { root } = source;
  const reasons: VerdictReason[] = [];
  const notes: VerdictReason[] = [];
  const name = (textOf(message['name']) ?? topic).replaceAll(/[^A-Za-z0-9_.-]+/g, '_');
  const bindings = isObject(message['bindings']) && isObject(message['bindings']['kafka']) ? message['bindings']['kafka'] : {};
  const framed = isFramed(bindings, source, { pointer, reasons });
  const value = payloadOf(source, message, { pointer, name, framed, topic });
  const keySchema = bindings['key'];
  const key = keySchema === undefined ? undefined : keyOf(source, keySchema, { pointer: `${pointer}/bindings/kafka/key`, name });
  const { callerHeaders, requiredHeaders } = headersOf(source, message['headers'], { pointer: `${pointer}/headers`, name, notes });
  const correlation = message['correlationId'] === undefined ? undefined : textOf(follow(root, message['correlationId'], `${pointer}/correlationId`).value['location']);
  return { shape: { value, key, keyRequired: key !== undefined, headers: contentType(message, root), callerHeaders, requiredHeaders }, correlationHeader: HEADER_LOCATION.exec(correlation ?? '')?.[1], correlation, reasons, notes };
}

function contentType(message: RawObject, root: RawObject): Readonly<Record<string, string>> {
  const type = textOf(message['contentType']) ?? textOf(root['defaultContentType']);
  return type === undefined ? {} : { 'content-type': type };
}

/** AsyncAPI Kafka bindings: where the id of the schema stands. */
function isFramed(bindings: RawObject, { registry }: Source, { pointer, reasons }: { readonly pointer: string; readonly reasons: VerdictReason[] }): boolean {
  const { schemaIdLocation, schemaIdPayloadEncoding } = bindings;
  if (schemaIdLocation === undefined) return false;
  const at = `${pointer}/bindings/kafka`;
  if (schemaIdLocation !== 'payload') {
    reasons.push({ code: 'schema-id-location', message: `the schema's id is said to stand in a ${textOf(schemaIdLocation) ?? 'place'}, whose name is not said: messages are sent without it`, pointer: `${at}/schemaIdLocation` });
    return false;
  }
  if (![undefined, 'confluent', '4', 4].includes(schemaIdPayloadEncoding as string)) throw new PayloadProblem(`asks for the schema's id as ${JSON.stringify(schemaIdPayloadEncoding)}; confluent (4 bytes) can be written`, `${at}/schemaIdPayloadEncoding`);
  if (registry === undefined) throw new PayloadProblem('asks for the schema\'s id, and the server names no registry; give servers.*.bindings.kafka.schemaRegistryUrl', `${at}/schemaIdLocation`);
  return true;
}

interface About { readonly pointer: string; readonly name: string; readonly framed: boolean; readonly topic: string }

function payloadOf({ root, pool }: Source, message: RawObject, { pointer, name, framed, topic }: About): DefinedPayload {
  const given = message['payload'];
  // AsyncAPI 3: a Multi Format Schema Object holds the format itself.
  const multi = isObject(given) && given['schemaFormat'] !== undefined && given['schema'] !== undefined;
  const schema = multi ? given['schema'] : given;
  const at = multi ? `${pointer}/payload/schema` : `${pointer}/payload`;
  const format = textOf(multi ? given['schemaFormat'] : message['schemaFormat']) ?? '';
  const type = textOf(message['contentType']) ?? textOf(root['defaultContentType']) ?? 'application/json';
  const frame = { framed, subject: SUBJECT(topic, 'value'), name, pointer: at };
  if (/avro/i.test(format)) return inPlace(at, () => definePayload({ type: 'AVRO', schema: typeof schema === 'string' ? schema : JSON.stringify(schema), references: [] }, pool, frame));
  if (/protobuf/i.test(format)) {
    if (typeof schema !== 'string') throw new PayloadProblem('must be the text of a .proto file', at);
    return inPlace(at, () => definePayload({ type: 'PROTOBUF', schema, references: [] }, pool, frame));
  }
  if (format !== '' && !/asyncapi|schema\+(?:json|yaml)/i.test(format)) throw new PayloadProblem(`is written in ${format}; JSON Schema, Avro and Protobuf can be read`, at);
  if (schema === undefined) return ANY_JSON;
  if (/^text\//i.test(type)) return TEXT;
  if (/octet-stream/i.test(type)) return { payload: { format: 'bytes', framed: false }, schema: { type: 'string', contentEncoding: 'base64', description: 'Bytes, base64.' }, notes: [] };
  if (!/json/i.test(type)) throw new PayloadProblem(`is JSON Schema of content type ${type}, which cannot be written; JSON, text and bytes can`, at);
  const { value } = isObject(schema) ? follow(root, schema, at) : { value: schema };
  const text = framed ? { schema: JSON.stringify(value) } : {};
  return { payload: { format: 'json', framed, ...text, ...(framed ? { subject: frame.subject } : {}) }, schema: inPlace(at, () => pool.translate(schema, { root }, name)), notes: [] };
}

function keyOf({ root, pool }: Source, schema: unknown, { pointer, name }: { readonly pointer: string; readonly name: string }): DefinedPayload {
  const { value } = follow(root, schema, pointer);
  const translated = inPlace(pointer, () => pool.translate(schema, { root }, `${name}.key`));
  return { payload: { format: value['type'] === 'string' ? 'text' : 'json', framed: false }, schema: translated, notes: [] };
}

function headersOf({ root, pool }: Source, given: unknown, { pointer, name, notes }: { readonly pointer: string; readonly name: string; readonly notes: VerdictReason[] }): { readonly callerHeaders: MessageShape['callerHeaders']; readonly requiredHeaders: readonly string[] } {
  if (given === undefined) return { callerHeaders: {}, requiredHeaders: [] };
  const { value } = follow(root, isObject(given) && isObject(given['schema']) ? given['schema'] : given, pointer);
  const properties = isObject(value['properties']) ? value['properties'] : {};
  const names = Object.keys(properties).filter((header) => {
    if (!isReservedHeader(header)) return true;
    notes.push({ code: 'reserved-header', message: `the header ${header} is not a caller's to set`, pointer: `${pointer}/properties` });
    return false;
  });
  const required = Array.isArray(value['required']) ? value['required'].filter((header): header is string => typeof header === 'string' && names.includes(header)) : [];
  return { callerHeaders: Object.fromEntries(names.map((header) => [header, inPlace(pointer, () => pool.translate(properties[header], { root }, `${name}.headers`))])), requiredHeaders: required };
}

/** What is wrong with a schema, with its place. */
function inPlace<T>(pointer: string, make: () => T): T {
  try { return make(); } catch (error) {
    if (error instanceof PayloadProblem) throw new PayloadProblem(error.message, `${pointer}${error.pointer}`);
    throw error;
  }
}
