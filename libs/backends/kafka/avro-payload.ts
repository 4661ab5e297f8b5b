import avro, { type Type } from 'avsc';
import type { JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';

/** A value that does not fit its schema, or a schema that is none. `pointer`: where, as a JSON Pointer (RFC 6901). */
export class PayloadProblem extends Error {
  override get name(): string { return 'PayloadProblem'; }
  readonly pointer: string;
  constructor(message: string, pointer = '') { super(message); this.pointer = pointer; }
}

/** What is read of avsc's types. */
interface AvroType {
  readonly typeName: string; readonly name?: string; readonly branchName?: string; readonly doc?: string;
  readonly fields?: readonly { readonly name: string; readonly type: AvroType; readonly doc?: string; defaultValue(): unknown }[];
  readonly itemsType?: AvroType; readonly valuesType?: AvroType; readonly symbols?: readonly string[]; readonly size?: number; readonly types?: readonly AvroType[];
}

/** 64 bits need more than a number. */
// oxlint-disable-next-line no-underscore-dangle -- avsc's own name for it
const LONG = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(), toBuffer: (value: bigint) => { const bytes = Buffer.alloc(8); bytes.writeBigInt64LE(value); return bytes; },
  fromJSON: (value: number | string) => BigInt(value), toJSON: String, isValid: (value: unknown) => typeof value === 'bigint', compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});
const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

/** An Avro schema (specification 1.11) with those that it names. Throws `PayloadProblem`. */
export class AvroCodec {
  readonly #type: Type;
  constructor(schema: string, references: readonly string[] = []) {
    const registry: Record<string, Type> = {};
    const read = (text: string): Type => avro.Type.forSchema(JSON.parse(text) as Parameters<typeof avro.Type.forSchema>[0], {
      registry, wrapUnions: true, omitRecordMethods: true, typeHook: (one: unknown) => (one === 'long' || (typeof one === 'object' && one !== null && 'type' in one && one.type === 'long') ? LONG : undefined),
    });
    try {
      for (const one of references) read(one);
      this.#type = read(schema);
    } catch (error) { throw new PayloadProblem(`is no Avro schema: ${error instanceof Error ? error.message : String(error)}`); }
    refuseEndlessArrays(this.#type, new Set());
  }

  /** Throws `PayloadProblem` naming what does not fit. */
  encode(value: unknown): Buffer { return this.#type.toBuffer(toAvro(this.#type, value, '')); }
  /** The value as JSON: longs beyond 2^53 as text, bytes in base64. Throws where the bytes are no such value. */
  decode(bytes: Buffer): unknown { return fromAvro(this.#type, this.#type.fromBuffer(bytes)); }
  /** What `encode` takes. Named types go into `definitions` under `prefix`. */
  jsonSchema(prefix: string, definitions: Record<string, JsonSchema>): JsonSchemaObject { return schemaOf(this.#type, prefix, definitions); }
}

/** Items that take no bytes let ten bytes claim a billion of them. */
function refuseEndlessArrays(type: AvroType, seen: Set<AvroType>): void {
  if (seen.has(type)) return;
  seen.add(type);
  if (type.typeName === 'array' && type.itemsType !== undefined && isEmpty(type.itemsType, new Set())) throw new PayloadProblem('has an array whose items take no bytes, so that its length has no bound');
  for (const part of [...type.fields?.map((field) => field.type) ?? [], ...type.types ?? [], type.itemsType, type.valuesType]) if (part !== undefined) refuseEndlessArrays(part, seen);
}
function isEmpty(type: AvroType, open: Set<AvroType>): boolean {
  if (type.typeName === 'null' || (type.typeName === 'fixed' && type.size === 0)) return true;
  if (type.typeName !== 'record' || open.has(type)) return false;
  open.add(type);
  return type.fields?.every((field) => isEmpty(field.type, open)) ?? true;
}

/** `null` and one other: then the value stands for itself, without the branch's name. */
function optional({ types = [] }: AvroType): AvroType | undefined {
  return types.length === 2 && types.some(({ typeName }) => typeName === 'null') ? types.find(({ typeName }) => typeName !== 'null') : undefined;
}
const branchOf = (type: AvroType): string => type.branchName ?? type.name ?? type.typeName;
const isUnion = ({ typeName }: AvroType): boolean => typeName.startsWith('union');
const at = (pointer: string, key: string | number): string => `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);

function toAvro(type: AvroType, value: unknown, pointer: string): unknown {
  const no = (expected: string): never => { throw new PayloadProblem(`must be ${expected}`, pointer); };
  if (isUnion(type)) {
    const only = optional(type);
    if (value === null && type.types?.some(({ typeName }) => typeName === 'null')) return null;
    if (only !== undefined) return { [branchOf(only)]: toAvro(only, value, pointer) };
    const [name, ...more] = isRecord(value) ? Object.keys(value) : [];
    const branch = type.types?.find((one) => branchOf(one) === name);
    if (name === undefined || more.length > 0 || branch === undefined) return no(`an object of one member, named after its type: ${type.types?.map(branchOf).join(', ') ?? ''}`);
    return { [name]: toAvro(branch, (value as Record<string, unknown>)[name], at(pointer, name)) };
  }
  switch (type.typeName) {
    case 'null': return value === null ? null : no('null');
    case 'boolean': return typeof value === 'boolean' ? value : no('true or false');
    case 'int': return Number.isInteger(value) && Math.abs(value as number) <= 2 ** 31 && value !== 2 ** 31 ? value : no('a 32-bit integer');
    case 'abstract:long': return longOf(value) ?? no('a 64-bit integer, as text where it is beyond 2^53');
    case 'float': case 'double': return typeof value === 'number' ? value : value === 'NaN' || value === 'Infinity' || value === '-Infinity' ? Number(value) : no('a number');
    case 'string': return typeof value === 'string' ? value : no('a text');
    case 'bytes': return bytesOf(value) ?? no('bytes in base64');
    case 'fixed': { const bytes = bytesOf(value); return bytes !== undefined && bytes.byteLength === type.size ? bytes : no(`${type.size ?? 0} bytes in base64`); }
    case 'enum': return typeof value === 'string' && type.symbols?.includes(value) === true ? value : no(`one of ${type.symbols?.join(', ') ?? ''}`);
    case 'array': return Array.isArray(value) && type.itemsType !== undefined ? value.map((item, i) => toAvro(type.itemsType as AvroType, item, at(pointer, i))) : no('a list');
    case 'map': return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toAvro(type.valuesType as AvroType, item, at(pointer, key))])) : no('an object');
    default: return recordOf(type, value, pointer);
  }
}

function recordOf({ fields = [] }: AvroType, value: unknown, pointer: string): object {
  if (!isRecord(value)) throw new PayloadProblem('must be an object', pointer);
  const stray = Object.keys(value).find((key) => !fields.some(({ name }) => name === key));
  if (stray !== undefined) throw new PayloadProblem('is not in the schema', at(pointer, stray));
  return Object.fromEntries(fields.flatMap((field): readonly (readonly [string, unknown])[] => {
    if (Object.hasOwn(value, field.name)) return [[field.name, toAvro(field.type, value[field.name], at(pointer, field.name))]];
    if (field.defaultValue() === undefined) throw new PayloadProblem('is missing', at(pointer, field.name));
    return [];
  }));
}

function longOf(value: unknown): bigint | undefined {
  if (!(typeof value === 'number' && Number.isSafeInteger(value)) && !(typeof value === 'string' && /^-?\d{1,19}$/.test(value))) return undefined;
  const long = BigInt(value);
  return long >= LONG_MIN && long <= LONG_MAX ? long : undefined;
}

/** Base64 (RFC 4648 §4) and nothing else; undefined otherwise. */
export function bytesOf(value: unknown): Buffer | undefined {
  return typeof value === 'string' && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(value) ? Buffer.from(value, 'base64') : undefined;
}

function fromAvro(type: AvroType, value: unknown): unknown {
  if (isUnion(type)) {
    if (value === null) return null;
    const [name = '', inner] = Object.entries(value as object)[0] ?? [];
    const branch = type.types?.find((one) => branchOf(one) === name);
    if (branch === undefined) return null;
    return optional(type) === undefined ? { [name]: fromAvro(branch, inner) } : fromAvro(branch, inner);
  }
  switch (type.typeName) {
    case 'abstract:long': return value as bigint >= BigInt(Number.MIN_SAFE_INTEGER) && value as bigint <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
    case 'float': case 'double': return Number.isFinite(value) ? value : String(value);
    case 'bytes': case 'fixed': return Buffer.from(value as Uint8Array).toString('base64');
    case 'array': return (value as readonly unknown[]).map((item) => fromAvro(type.itemsType as AvroType, item));
    case 'map': return Object.fromEntries(Object.entries(value as object).map(([key, item]) => [key, fromAvro(type.valuesType as AvroType, item)]));
    case 'record': case 'error': return Object.fromEntries(type.fields?.map((field) => [field.name, fromAvro(field.type, (value as Record<string, unknown>)[field.name])]) ?? []);
    default: return value;
  }
}

const BASE64: JsonSchemaObject = { type: 'string', contentEncoding: 'base64', description: 'Bytes, base64.' };

function schemaOf(type: AvroType, prefix: string, definitions: Record<string, JsonSchema>): JsonSchemaObject {
  const of = (part: AvroType | undefined): JsonSchemaObject => (part === undefined ? {} : schemaOf(part, prefix, definitions));
  if (isUnion(type)) {
    const only = optional(type);
    if (only !== undefined) return { anyOf: [{ type: 'null' }, of(only)] };
    return { anyOf: type.types?.map((one) => (one.typeName === 'null' ? { type: 'null' } : { type: 'object', properties: { [branchOf(one)]: of(one) }, required: [branchOf(one)], additionalProperties: false })) ?? [] };
  }
  switch (type.typeName) {
    case 'null': case 'boolean': case 'string': return { type: type.typeName };
    case 'int': return { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };
    case 'abstract:long': return { type: ['integer', 'string'], pattern: '^-?[0-9]{1,19}$', description: '64-bit integer; as a string where it is beyond 2^53.' };
    case 'float': case 'double': return { anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity'] }] };
    case 'bytes': return BASE64;
    case 'fixed': return { ...BASE64, description: `${type.size ?? 0} bytes, base64.` };
    case 'array': return { type: 'array', items: of(type.itemsType) };
    case 'map': return { type: 'object', additionalProperties: of(type.valuesType) };
    case 'enum': return { enum: type.symbols ?? [] };
    default:
  }
  const key = `${prefix}.${type.name ?? 'record'}`;
  if (!Object.hasOwn(definitions, key)) {
    definitions[key] = true;
    const fields = type.fields ?? [];
    const required = fields.filter((field) => field.defaultValue() === undefined).map(({ name }) => name);
    definitions[key] = {
      type: 'object', ...(type.doc === undefined ? {} : { description: type.doc }), properties: Object.fromEntries(fields.map((field) => [field.name, described(of(field.type), field.doc)])),
      ...(required.length === 0 ? {} : { required }), additionalProperties: false,
    };
  }
  return { $ref: `#/$defs/${key}` };
}

const described = (schema: JsonSchemaObject, doc: string | undefined): JsonSchemaObject => (doc === undefined || doc === '' ? schema : { ...schema, description: doc });
