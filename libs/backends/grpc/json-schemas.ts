import { type DescEnum, type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import type { JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';

/** Which way values go: what a parser takes is wider than what a printer gives (ProtoJSON format, protobuf.dev). */
export type Direction = 'in' | 'out';

const INT64 = { in: { type: ['string', 'integer'], pattern: '^-?[0-9]+$', description: '64-bit integer; as a string where it is beyond 2^53.' }, out: { type: 'string', pattern: '^-?[0-9]+$' } } as const;
const UINT64 = { in: { type: ['string', 'integer'], pattern: '^[0-9]+$', minimum: 0, description: 'Unsigned 64-bit integer; as a string where it is beyond 2^53.' }, out: { type: 'string', pattern: '^[0-9]+$' } } as const;
const FLOAT: JsonSchemaObject = { anyOf: [{ type: 'number' }, { enum: ['NaN', 'Infinity', '-Infinity'] }] };
const INT32: JsonSchemaObject = { type: 'integer', minimum: -2_147_483_648, maximum: 2_147_483_647 };
const UINT32: JsonSchemaObject = { type: 'integer', minimum: 0, maximum: 4_294_967_295 };
const BYTES: JsonSchemaObject = { type: 'string', contentEncoding: 'base64', description: 'Bytes, base64.' };

const SCALARS: Readonly<Record<ScalarType, (direction: Direction) => JsonSchemaObject>> = {
  [ScalarType.DOUBLE]: () => FLOAT, [ScalarType.FLOAT]: () => FLOAT,
  [ScalarType.INT64]: (direction) => INT64[direction], [ScalarType.SINT64]: (direction) => INT64[direction], [ScalarType.SFIXED64]: (direction) => INT64[direction],
  [ScalarType.UINT64]: (direction) => UINT64[direction], [ScalarType.FIXED64]: (direction) => UINT64[direction],
  [ScalarType.INT32]: () => INT32, [ScalarType.SINT32]: () => INT32, [ScalarType.SFIXED32]: () => INT32, [ScalarType.UINT32]: () => UINT32, [ScalarType.FIXED32]: () => UINT32,
  [ScalarType.BOOL]: () => ({ type: 'boolean' }), [ScalarType.STRING]: () => ({ type: 'string' }), [ScalarType.BYTES]: () => BYTES,
};
const scalar = (type: ScalarType, direction: Direction): JsonSchemaObject => SCALARS[type](direction);

/** Messages whose JSON is not an object of their fields. */
const WELL_KNOWN: Readonly<Record<string, (direction: Direction) => JsonSchemaObject>> = {
  'google.protobuf.Timestamp': () => ({ type: 'string', format: 'date-time' }),
  'google.protobuf.Duration': () => ({ type: 'string', pattern: '^-?[0-9]+(\\.[0-9]{1,9})?s$', description: 'Duration in seconds, such as "1.5s".' }),
  'google.protobuf.FieldMask': () => ({ type: 'string', description: 'Field paths in lowerCamelCase, separated by commas.' }),
  'google.protobuf.Struct': () => ({ type: 'object' }),
  'google.protobuf.Value': () => ({ description: 'Any JSON value.' }),
  'google.protobuf.ListValue': () => ({ type: 'array' }),
  'google.protobuf.Empty': () => ({ type: 'object', properties: {}, additionalProperties: false }),
  'google.protobuf.Any': () => ({ type: 'object', properties: { '@type': { type: 'string', description: 'Type URL, such as type.googleapis.com/package.Message.' } } }),
  'google.protobuf.DoubleValue': () => nullable(FLOAT), 'google.protobuf.FloatValue': () => nullable(FLOAT),
  'google.protobuf.Int64Value': (direction) => nullable(INT64[direction]), 'google.protobuf.UInt64Value': (direction) => nullable(UINT64[direction]),
  'google.protobuf.Int32Value': () => nullable(INT32), 'google.protobuf.UInt32Value': () => nullable(UINT32),
  'google.protobuf.BoolValue': () => nullable({ type: 'boolean' }), 'google.protobuf.StringValue': () => nullable({ type: 'string' }), 'google.protobuf.BytesValue': () => nullable(BYTES),
};
const nullable = (schema: JsonSchemaObject): JsonSchemaObject => (schema['type'] === undefined ? { anyOf: [schema, { type: 'null' }] } : { ...schema, type: [schema['type'], 'null'].flat() });

/** Whether the JSON of this message is an object whose members are its fields. */
export const isPlainMessage = ({ typeName }: DescMessage): boolean => !Object.hasOwn(WELL_KNOWN, typeName) || typeName === 'google.protobuf.Empty';

/** Oneofs of more members than this are checked by the parser alone: the pairs grow with the square. */
const MAX_ONEOF = 6;

/** JSON Schemas of messages, one definition for each message and enum that they lead to; `Name` for what is sent, `Name.out` for what comes. */
export class MessageSchemas {
  readonly definitions: Record<string, JsonSchema> = {};

  /** The schema itself where it is short, else a reference. */
  of(message: DescMessage, direction: Direction): JsonSchemaObject {
    const known = WELL_KNOWN[message.typeName];
    if (known !== undefined) return known(direction);
    const key = direction === 'in' ? message.typeName : `${message.typeName}.out`;
    if (!Object.hasOwn(this.definitions, key)) {
      this.definitions[key] = true;
      this.definitions[key] = this.object(message, direction);
    }
    return { $ref: `#/$defs/${key}` };
  }

  /** The message as an object of its fields, written out. */
  object(message: DescMessage, direction: Direction): JsonSchemaObject {
    const required = message.fields.filter((field) => field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED).map(({ jsonName }) => jsonName);
    const exclusive = direction === 'in' ? message.oneofs.filter(({ fields }) => fields.length <= MAX_ONEOF).flatMap(({ fields }) => pairs(fields.map(({ jsonName }) => jsonName))) : [];
    return {
      type: 'object',
      properties: Object.fromEntries(message.fields.map((field) => [field.jsonName, described(this.#field(field, direction), field)])),
      ...(required.length === 0 ? {} : { required }),
      ...(direction === 'in' ? { additionalProperties: false } : {}),
      ...(exclusive.length === 0 ? {} : { allOf: exclusive.map((pair) => ({ not: { required: pair } })) }),
    };
  }

  #field(field: DescField, direction: Direction): JsonSchema {
    if (field.fieldKind !== 'map') return field.fieldKind === 'list' ? { type: 'array', items: this.#value(field, direction) } : this.#value(field, direction);
    const keys = field.mapKey === ScalarType.STRING ? {} : { propertyNames: field.mapKey === ScalarType.BOOL ? { enum: ['true', 'false'] } : { pattern: '^-?[0-9]+$' } };
    return { type: 'object', additionalProperties: this.#value(field, direction), ...keys };
  }

  /** Of the field itself, or of each element. */
  #value({ scalar: type, enum: names, message }: DescField, direction: Direction): JsonSchemaObject {
    if (type !== undefined) return scalar(type, direction);
    if (names !== undefined) return this.#enum(names, direction);
    return message === undefined ? {} : this.of(message, direction);
  }

  #enum(type: DescEnum, direction: Direction): JsonSchemaObject {
    if (type.typeName === 'google.protobuf.NullValue') return { type: 'null' };
    const names = type.values.map(({ name }) => name);
    // An open enum may have values that the schema has no name for.
    return type.open && direction === 'out' ? { anyOf: [{ enum: names }, { type: 'integer' }] } : { enum: names };
  }
}

function described(schema: JsonSchema, field: DescField): JsonSchema {
  if (schema === true || schema === false) return schema;
  const oneof = field.oneof === undefined ? undefined : `At most one of ${field.oneof.fields.map(({ jsonName }) => jsonName).join(', ')}.`;
  const description = [schema['description'], oneof].filter((text) => typeof text === 'string').join(' ');
  return { ...schema, ...(description === '' ? {} : { description }), ...(field.deprecated ? { deprecated: true } : {}) };
}

const pairs = (names: readonly string[]): readonly (readonly string[])[] => names.flatMap((name, i) => names.slice(i + 1).map((other) => [name, other]));
