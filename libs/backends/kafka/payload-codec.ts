import type { KafkaCluster, KafkaPayload } from '#libs/core/kafka-binding.js';
import { AvroCodec, bytesOf, PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import { compileProtoText, messagesIn, ProtobufCodec } from '#libs/backends/kafka/protobuf-payload.js';
import { type RegistryAccess, RegistryProblem, type SchemaRegistry } from '#libs/backends/kafka/registry.js';

/** A value as JSON text, and how it was read. */
export interface ReadValue { readonly json: string; readonly encoding: 'json' | 'avro' | 'protobuf' | 'text' | 'base64' | 'null'; readonly schemaId?: number }
interface Decoder { readonly decode: (bytes: Buffer) => string; readonly encoding: ReadValue['encoding'] }

const MAGIC = 0;
const HEADER = 5;
/** Schemas kept; the one that was kept longest gives way. */
const MAX_KEPT = 2000;
/** How long it is remembered that the registry has no schema of an id, in milliseconds. */
const MISSING_MS = 30_000;

interface Kept { readonly decoder: Decoder | undefined; readonly until: number }
type Codec = AvroCodec | ProtobufCodec;

/** Values and keys of messages in both directions; schemas that messages name are asked for once. */
export class PayloadCodecs {
  readonly #codecs = new WeakMap<KafkaPayload, Codec>();
  readonly #byId = new Map<string, Kept>();
  readonly #ids = new Map<string, number>();
  constructor(private readonly registry: SchemaRegistry) {}

  /** Throws `PayloadProblem` for a value that does not fit; rejects as `SchemaRegistry`. */
  async encode(payload: KafkaPayload, value: unknown, access: RegistryAccess | undefined, owner: string): Promise<Buffer> {
    const bytes = this.#body(payload, value);
    if (!payload.framed) return bytes;
    const id = payload.schemaId ?? await this.#idOf(payload, access, owner);
    const header = Buffer.alloc(HEADER);
    header.writeUInt8(MAGIC);
    header.writeUInt32BE(id, 1);
    return Buffer.concat([header, bytes]);
  }

  /** Never fails for what the bytes are: what cannot be read is text or base64. Rejects where the registry cannot be asked. */
  async decode(payload: KafkaPayload | undefined, bytes: Buffer | null, access: RegistryAccess | undefined, owner: string): Promise<ReadValue> {
    if (bytes === null) return { json: 'null', encoding: 'null' };
    if (access !== undefined && bytes.byteLength >= HEADER && bytes[0] === MAGIC) {
      const schemaId = bytes.readUInt32BE(1);
      const decoder = await this.#decoderOf(schemaId, access, owner);
      const read = decoder === undefined ? undefined : attempt(decoder, bytes.subarray(HEADER));
      if (read !== undefined) return { ...read, schemaId };
    }
    if (payload !== undefined && !payload.framed && (payload.format === 'avro' || payload.format === 'protobuf')) {
      const codec = this.#codec(payload);
      const read = attempt({ encoding: payload.format, decode: (one) => JSON.stringify(codec instanceof AvroCodec ? codec.decode(one) : codec.decode(one, payload.message)) }, bytes);
      if (read !== undefined) return read;
    }
    return plainly(bytes, payload?.format);
  }

  #body(payload: KafkaPayload, value: unknown): Buffer {
    const { format } = payload;
    if (format === 'json') return Buffer.from(JSON.stringify(value));
    if (format === 'avro' || format === 'protobuf') {
      const codec = this.#codec(payload);
      return codec instanceof AvroCodec ? codec.encode(value) : codec.encode(payload.message ?? '', payload.indexes ?? [0], value);
    }
    if (typeof value !== 'string') throw new PayloadProblem('must be a text');
    const bytes = format === 'text' ? Buffer.from(value) : bytesOf(value);
    if (bytes === undefined) throw new PayloadProblem('must be bytes in base64');
    return bytes;
  }

  #codec(payload: KafkaPayload): Codec {
    let codec = this.#codecs.get(payload);
    if (codec === undefined) this.#codecs.set(payload, codec = payload.format === 'avro' ? new AvroCodec(payload.schema ?? '', payload.references) : new ProtobufCodec(Buffer.from(payload.schema ?? '', 'base64'), payload.framed));
    return codec;
  }

  async #idOf({ subject = '', schema = '', format }: KafkaPayload, access: RegistryAccess | undefined, owner: string): Promise<number> {
    const key = JSON.stringify([owner, access?.url, subject, schema]);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    if (access === undefined) throw new RegistryProblem('the API has no schema registry to ask for the schema\'s id', 404);
    const id = format === 'protobuf' ? (await this.registry.latest(access, subject))?.id : await this.registry.idOf(access, subject, { schema, type: format === 'avro' ? 'AVRO' : 'JSON' });
    if (id === undefined) throw new RegistryProblem(`the schema registry does not have this schema under the subject ${subject}; register it, or import the API anew`, 404);
    bounded(this.#ids);
    this.#ids.set(key, id);
    return id;
  }

  async #decoderOf(id: number, access: RegistryAccess, owner: string): Promise<Decoder | undefined> {
    const key = JSON.stringify([owner, access.url, id]);
    const kept = this.#byId.get(key);
    if (kept !== undefined && performance.now() < kept.until) return kept.decoder;
    const found = await this.registry.byId(access, id);
    const decoder = found === undefined ? undefined : decoderOf(found, id);
    bounded(this.#byId);
    // A schema's id is its forever.
    this.#byId.set(key, { decoder, until: decoder === undefined ? performance.now() + MISSING_MS : Infinity });
    return decoder;
  }
}

function decoderOf({ type, schema, references }: { readonly type: 'AVRO' | 'JSON' | 'PROTOBUF'; readonly schema: string; readonly references: readonly { readonly name: string; readonly schema: string }[] }, id: number): Decoder | undefined {
  try {
    if (type === 'JSON') return { encoding: 'json', decode: jsonText };
    if (type === 'AVRO') { const codec = new AvroCodec(schema, references.map((one) => one.schema)); return { encoding: 'avro', decode: (bytes) => JSON.stringify(codec.decode(bytes)) }; }
    const codec = new ProtobufCodec(compileProtoText(schema, references, `schema ${id}`), true, messagesIn(schema));
    return { encoding: 'protobuf', decode: (bytes) => JSON.stringify(codec.decode(bytes)) };
  } catch { return undefined; }
}

function attempt({ decode, encoding }: Decoder, bytes: Buffer): ReadValue | undefined {
  try { return { json: decode(bytes), encoding }; } catch { return undefined; }
}

/** The text as it came, checked to be JSON: a number beyond 2^53 keeps its digits. */
function jsonText(bytes: Buffer): string {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  JSON.parse(text);
  return text.trim();
}

function plainly(bytes: Buffer, format: KafkaPayload['format'] | undefined): ReadValue {
  const json = format === 'text' || format === 'bytes' ? undefined : attempt({ encoding: 'json', decode: jsonText }, bytes);
  if (json !== undefined) return json;
  const text = format === 'bytes' ? undefined : attempt({ encoding: 'text', decode: plainText }, bytes);
  return text ?? { json: JSON.stringify(bytes.toString('base64')), encoding: 'base64' };
}

/** Bytes that happen to be UTF-8 are no text for that. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u0008\u000B\u000C\u000E-\u001F]/;
function plainText(bytes: Buffer): string {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  if (CONTROL.test(text)) throw new PayloadProblem('is no text');
  return JSON.stringify(text);
}

function bounded(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size >= MAX_KEPT && oldest !== undefined) map.delete(oldest);
}

export const registryAccess = ({ registry }: KafkaCluster, credential: RegistryAccess['credential'], signal: AbortSignal): RegistryAccess | undefined =>
  (registry === undefined ? undefined : { url: registry, signal, ...(credential === undefined ? {} : { credential }) });
