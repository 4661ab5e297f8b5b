/** A JSON Schema of dialect 2020-12 (https://json-schema.org/draft/2020-12). */
export type JsonSchema = boolean | JsonSchemaObject;
export interface JsonSchemaObject { readonly [keyword: string]: unknown }

/** Schemas shared by every tool of one API, addressed as `#/$defs/{name}` from a tool's own schema. */
export type Definitions = Readonly<Record<string, JsonSchema>>;
