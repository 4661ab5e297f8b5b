import type { VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { KafkaPayload } from '#libs/core/kafka-binding.js';
import { AvroCodec, PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import type { JsonSchemaPool, SchemaSource } from '#libs/backends/kafka/json-schema-pool.js';
import { compileProtoText, messagesIn, ProtobufCodec, protobufSchema } from '#libs/backends/kafka/protobuf-payload.js';

/** How values of a topic are written, and the JSON Schema of what a caller gives for them. */
export interface DefinedPayload { readonly payload: KafkaPayload; readonly schema: JsonSchema; readonly notes: readonly VerdictReason[] }

export interface SchemaText {
  readonly type: 'AVRO' | 'JSON' | 'PROTOBUF';
  readonly schema: string;
  readonly references: readonly { readonly name: string; readonly schema: string }[];
}
interface Frame { readonly framed: boolean; readonly schemaId?: number | undefined; readonly subject?: string | undefined; /** Definitions begin so. */ readonly name: string; readonly pointer: string }

/** Throws `PayloadProblem` or `AdmissionError` where the schema cannot be used. */
export function definePayload({ type, schema: text, references }: SchemaText, pool: JsonSchemaPool, { framed, schemaId, subject, name, pointer }: Frame): DefinedPayload {
  const frame = { framed, ...(schemaId === undefined ? {} : { schemaId }), ...(subject === undefined ? {} : { subject }) };
  const notes: readonly VerdictReason[] = [];
  if (type === 'AVRO') {
    const codec = new AvroCodec(text, references.map((one) => one.schema));
    return { payload: { format: 'avro', ...frame, schema: text, ...(references.length === 0 ? {} : { references: references.map((one) => one.schema) }) }, schema: codec.jsonSchema(name, pool.definitions), notes };
  }
  if (type === 'JSON') {
    const others = new Map<string, SchemaSource>();
    for (const one of references) others.set(one.name, { root: parsed(one.schema, `its reference ${one.name}`), others });
    const root = parsed(text, 'the schema');
    // Read again only to ask the registry for its id.
    return { payload: { format: 'json', ...frame, ...(framed && schemaId === undefined ? { schema: text } : {}) }, schema: pool.translate(root, { root, others }, name), notes };
  }
  const descriptors = compileProtoText(text, references, name);
  const [first = '', ...more] = messagesIn(text);
  const message = new ProtobufCodec(descriptors, framed).message(first);
  if (message === undefined) throw new PayloadProblem('declares no message');
  return {
    payload: { format: 'protobuf', ...frame, schema: Buffer.from(descriptors).toString('base64'), message: message.typeName, indexes: [0] }, schema: protobufSchema(message, name, pool.definitions),
    notes: more.length === 0 ? notes : [{ code: 'first-message', message: `the schema has ${more.length + 1} messages; ${message.name}, the first, is what is written`, pointer }],
  };
}

function parsed(text: string, what: string): unknown {
  try { return JSON.parse(text) as unknown; } catch { throw new PayloadProblem(`${what} is not JSON`); }
}
