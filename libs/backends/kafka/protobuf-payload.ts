import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type DescMessage, fromBinary, fromJson, type JsonValue, type FileRegistry, toBinary, toJson } from '@bufbuild/protobuf';
import type { JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import { readDescriptorSet } from '#libs/backends/grpc/descriptors.js';
import { MessageSchemas } from '#libs/backends/grpc/json-schemas.js';
import { compileProto } from '#libs/backends/grpc/proto-source.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';

/** The name under which a payload's own file is compiled. */
const MAIN = 'stoa_payload.proto';
const IMPORT = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/;

/** A `.proto` text with what it imports, as a `FileDescriptorSet`. Throws `AdmissionError` naming the line or the missing import, `PayloadProblem` for an import's name that is none. */
export function compileProtoText(schema: string, references: readonly { readonly name: string; readonly schema: string }[], about: string): Uint8Array {
  const stray = references.find(({ name }) => !IMPORT.test(name) || name === MAIN);
  if (stray !== undefined) throw new PayloadProblem(`imports ${JSON.stringify(stray.name)}, which is no relative path`);
  const folder = mkdtempSync(join(tmpdir(), 'stoa-payload-'));
  try {
    for (const { name, schema: text } of [...references, { name: MAIN, schema }]) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return compileProto({ path: join(folder, MAIN), includes: [folder] }, about);
  } finally { rmSync(folder, { recursive: true, force: true }); }
}

/** Full names of the messages at the top of a `.proto` text, in its order: what the indexes of Confluent's wire format count. */
export function messagesIn(schema: string): readonly string[] {
  // Comments and texts hold words and braces that mean nothing.
  const bare = schema.replaceAll(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, ' ');
  const pkg = /(?:^|[;}\s])package\s+([\w.]+)\s*;/.exec(bare)?.[1];
  const names: string[] = [];
  let depth = 0;
  for (const [token, name] of bare.matchAll(/[{}]|\bmessage\s+(\w+)\s*(?=\{)/g)) {
    if (token === '{') depth += 1;
    else if (token === '}') depth -= 1;
    else if (depth === 0 && name !== undefined) names.push(pkg === undefined ? name : `${pkg}.${name}`);
  }
  return names;
}

/** Protobuf payloads as ProtoJSON. */
export class ProtobufCodec {
  readonly #framed: boolean;
  readonly #registry: FileRegistry;
  readonly #top: readonly string[];
  /** `top`: what `messagesIn` says of its text; needed to read what is framed. */
  constructor(descriptors: Uint8Array, framed: boolean, top: readonly string[] = []) { this.#framed = framed; this.#top = top; this.#registry = readDescriptorSet(descriptors, 'the payload\'s schema'); }

  /** Undefined: the schema has no message of this full name. */
  message(name: string): DescMessage | undefined { return this.#registry.getMessage(name); }

  /** The message, with its indexes before it where it is framed. Throws `PayloadProblem`. */
  encode(name: string, indexes: readonly number[], value: unknown): Buffer {
    const message = this.#registry.getMessage(name);
    if (message === undefined) throw new PayloadProblem(`the schema has no message ${name}`);
    try {
      return Buffer.concat([...(this.#framed ? [indexBytes(indexes)] : []), toBinary(message, fromJson(message, value as JsonValue, { registry: this.#registry }))]);
    } catch (error) { throw new PayloadProblem((error instanceof Error ? error.message : String(error)).replaceAll(/cannot (?:decode|encode) /g, '')); }
  }

  /** Throws where the bytes are no such message. `name` counts where nothing is framed. */
  decode(bytes: Uint8Array, name?: string): unknown {
    const { indexes, length } = this.#framed ? readIndexes(bytes) : { indexes: [0], length: 0 };
    const message = this.#framed || name === undefined ? this.#at(indexes) : this.#registry.getMessage(name);
    if (message === undefined) throw new PayloadProblem('the schema has no such message');
    return toJson(message, fromBinary(message, bytes.subarray(length)), { registry: this.#registry, alwaysEmitImplicit: true });
  }

  #at(indexes: readonly number[]): DescMessage | undefined {
    let found: DescMessage | undefined;
    for (const [depth, index] of indexes.entries()) found = depth === 0 ? this.#registry.getMessage(this.#top[index] ?? '') : found?.nestedMessages[index];
    return found;
  }
}

/** JSON Schema of what `encode` takes; its messages go into `definitions` under `prefix`. */
export function protobufSchema(message: DescMessage, prefix: string, definitions: Record<string, JsonSchema>): JsonSchemaObject {
  const schemas = new MessageSchemas();
  const own = schemas.of(message, 'in');
  for (const [key, schema] of Object.entries(schemas.definitions)) definitions[`${prefix}.${key}`] = moved(schema, prefix) as JsonSchema;
  return moved(own, prefix) as JsonSchemaObject;
}

function moved(value: unknown, prefix: string): unknown {
  if (Array.isArray(value)) return value.map((one) => moved(one, prefix));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, key === '$ref' && typeof one === 'string' ? one.replace('#/$defs/', `#/$defs/${prefix}.`) : moved(one, prefix)]));
}

/** Confluent wire format: the count and each index as a zigzag varint; the first message alone as one zero byte. */
function indexBytes(indexes: readonly number[]): Buffer {
  if (indexes.length === 1 && indexes[0] === 0) return Buffer.from([0]);
  return Buffer.from([indexes.length, ...indexes].flatMap((number) => {
    const bytes: number[] = [];
    let rest = number * 2;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(rest % 128 | 128);
    return [...bytes, rest];
  }));
}

function readIndexes(bytes: Uint8Array): { readonly indexes: readonly number[]; readonly length: number } {
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 2 ** 28) throw new PayloadProblem('is no Protobuf message in Confluent wire format');
      value += (byte & 127) * shift;
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  };
  const count = next();
  if (count < 0 || count > 32) throw new PayloadProblem('is no Protobuf message in Confluent wire format');
  const indexes = count === 0 ? [0] : Array.from({ length: count }, next);
  return { indexes, length: at };
}
