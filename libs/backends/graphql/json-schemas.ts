import {
  type GraphQLArgument, type GraphQLEnumType, type GraphQLInputObjectType, type GraphQLInputType, type GraphQLOutputType, type GraphQLScalarType, type GraphQLSchema, isAbstractType, isEnumType, isInputObjectType, isListType, isNonNullType, isRequiredArgument, isRequiredInputField, isScalarType, valueFromASTUntyped, type GraphQLInputField,
} from 'graphql';
import type { JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import type { SelectedField, Selection } from '#libs/backends/graphql/selection.js';

/** GraphQL §3.5, and custom scalars that servers agree on (the-guild scalars, GitHub, Hasura). What is not here may be any JSON. */
const SCALARS: Readonly<Record<string, JsonSchemaObject>> = {
  Int: { type: 'integer', minimum: -2_147_483_648, maximum: 2_147_483_647 }, Float: { type: 'number' }, String: { type: 'string' }, Boolean: { type: 'boolean' },
  DateTime: { type: 'string', description: 'Date and time, ISO 8601.' }, Date: { type: 'string', description: 'Date, ISO 8601.' }, Time: { type: 'string', description: 'Time, ISO 8601.' },
  UUID: { type: 'string' }, URI: { type: 'string' }, URL: { type: 'string' }, EmailAddress: { type: 'string' }, JSONObject: { type: 'object' },
};
/** An ID is a string on the way back (GraphQL §3.5.5), and may be given as an integer. */
const ID_IN: JsonSchemaObject = { type: ['string', 'integer'] };
const ID_OUT: JsonSchemaObject = { type: 'string' };

/** Schemas of arguments, with one definition for each input type and enum that they lead to. */
export class InputSchemas {
  readonly definitions: Record<string, JsonSchema> = {};

  /** Each argument is a property; absent optional ones take the server's default. */
  of(args: readonly GraphQLArgument[]): JsonSchemaObject {
    return this.#object(args, args.filter((argument) => isRequiredArgument(argument)).map(({ name }) => name));
  }

  #object(fields: readonly (GraphQLArgument | GraphQLInputField)[], required: readonly string[]): JsonSchemaObject {
    const properties = Object.fromEntries(fields.map((field) => [field.name, this.#described(field)]));
    return { type: 'object', properties, ...(required.length === 0 ? {} : { required }), additionalProperties: false };
  }

  #described({ type, description, deprecationReason, astNode }: GraphQLArgument | GraphQLInputField): JsonSchema {
    const schema = this.#type(type);
    const fallback = astNode?.defaultValue === undefined ? {} : { default: valueFromASTUntyped(astNode.defaultValue) };
    const about = { ...(typeof description === 'string' && description !== '' ? { description } : {}), ...(deprecationReason == null ? {} : { deprecated: true }), ...fallback };
    return Object.keys(about).length === 0 ? schema : { ...(schema === true ? {} : schema), ...about };
  }

  #type(type: GraphQLInputType): JsonSchema {
    if (isNonNullType(type)) return this.#present(type.ofType);
    return nullable(this.#present(type));
  }

  #present(type: GraphQLInputType): JsonSchema {
    if (isNonNullType(type)) return this.#present(type.ofType);
    if (isListType(type)) return { type: 'array', items: this.#type(type.ofType) };
    if (isScalarType(type)) return scalar(type, ID_IN);
    return this.#named(type);
  }

  #named(type: GraphQLEnumType | GraphQLInputObjectType): JsonSchema {
    if (!Object.hasOwn(this.definitions, type.name)) {
      this.definitions[type.name] = true;
      this.definitions[type.name] = isEnumType(type) ? enumSchema(type) : this.#inputObject(type);
    }
    return { $ref: `#/$defs/${type.name}` };
  }

  #inputObject(type: GraphQLInputObjectType): JsonSchema {
    const fields = Object.values(type.getFields());
    const object = this.#object(fields, fields.filter((field) => isRequiredInputField(field)).map(({ name }) => name));
    return { ...object, ...(type.description ? { description: type.description } : {}), ...(type.isOneOf ? { minProperties: 1, maxProperties: 1 } : {}) };
  }
}

/** What the answer to a selection looks like; every field that was asked for is there, null where the schema allows it. */
export function outputSchema(schema: GraphQLSchema, type: GraphQLOutputType, selection: Selection | undefined): JsonSchema {
  if (isNonNullType(type)) return present(schema, type.ofType, selection);
  return nullable(present(schema, type, selection));
}

function present(schema: GraphQLSchema, type: GraphQLOutputType, selection: Selection | undefined): JsonSchema {
  if (isNonNullType(type)) return present(schema, type.ofType as GraphQLOutputType, selection);
  if (isListType(type)) return { type: 'array', items: outputSchema(schema, type.ofType, selection) };
  if (isScalarType(type)) return scalar(type, ID_OUT);
  if (isEnumType(type)) return enumSchema(type);
  if (selection === undefined || isInputObjectType(type)) return {};
  const { fields, fragments } = selection;
  const always = Object.fromEntries(fields.map((field) => [keyOf(field), fieldSchema(schema, field)]));
  if (!isAbstractType(type) && fragments.length === 0) return { type: 'object', properties: always, required: Object.keys(always) };
  const sometimes = Object.fromEntries(fragments.flatMap((fragment) => fragment.fields.map((field) => [keyOf(field), fieldSchema(schema, field)])));
  const names = isAbstractType(type) ? { __typename: { type: 'string', enum: schema.getPossibleTypes(type).map(({ name }) => name) } } : {};
  return { type: 'object', properties: { ...names, ...sometimes, ...always }, required: [...Object.keys(names), ...Object.keys(always)] };
}

const keyOf = ({ alias, name }: SelectedField): string => alias ?? name;
const fieldSchema = (schema: GraphQLSchema, { type, selection }: SelectedField): JsonSchema => outputSchema(schema, type, selection);

const scalar = ({ name, description }: GraphQLScalarType, id: JsonSchemaObject): JsonSchema => (name === 'ID' ? id : SCALARS[name] ?? (description ? { description } : {}));

const enumSchema = (type: GraphQLEnumType): JsonSchemaObject => ({ type: 'string', enum: type.getValues().map(({ name }) => name), ...(type.description ? { description: type.description } : {}) });

function nullable(schema: JsonSchema): JsonSchema {
  if (schema === true || schema === false || Object.keys(schema).every((key) => key === 'description')) return schema;
  const { type } = schema;
  if (Array.isArray(schema['enum'])) return { ...schema, type: [type, 'null'], enum: [...schema['enum'] as readonly unknown[], null] };
  if (typeof type === 'string') return { ...schema, type: [type, 'null'] };
  return Array.isArray(type) ? { ...schema, type: [...type as readonly unknown[], 'null'] } : { anyOf: [schema, { type: 'null' }] };
}
