import { createHash } from 'node:crypto';
import {
  buildClientSchema, buildSchema, type DirectiveNode, getNamedType, type GraphQLField, GraphQLError, type GraphQLSchema, type IntrospectionQuery, isCompositeType, isLeafType, valueFromASTUntyped,
} from 'graphql';
import { AdmissionError } from '#libs/core/admission.js';
import type { ConversionOptions, ConvertedDocument, VerdictReason } from '#libs/core/conversion.js';
import type { GraphqlBinding } from '#libs/core/graphql-binding.js';
import type { JsonSchemaObject } from '#libs/core/json-schema.js';
import type { OperationClass } from '#libs/core/target.js';
import { type GraphqlConnection, readConnection } from '#libs/backends/graphql/connection.js';
import { readSelection } from '#libs/backends/graphql/given-selection.js';
import { InputSchemas, outputSchema } from '#libs/backends/graphql/json-schemas.js';
import { chooseSelection, printSelection, type Selection } from '#libs/backends/graphql/selection.js';
import { type OperationPlan, toolsOf } from '#libs/tool-listing/tools-of.js';

/** Bytes of a schema document; GitHub's has 1.4 MB. */
const MAX_BYTES = 32 * 1024 * 1024;
const DESTRUCTIVE = /^(?:delete|remove|destroy|purge|drop|erase|revoke|truncate|wipe)(?![a-z])/;

/**
 * A GraphQL schema, as introspection gave it (JSON) or in the schema definition language, into one tool for each query and mutation field. Each tool has one
 * fixed document; its caller gives variables only. Rejects with `AdmissionError` naming the line and the fix.
 */
export function convertGraphql(bytes: Uint8Array, options: ConversionOptions & { readonly fileName?: string }): ConvertedDocument {
  const file = options.fileName ?? 'document';
  const connection = readConnection(options.connection ?? {});
  const url = options.baseUrl ?? connection.url;
  if (url === undefined) throw new AdmissionError('missing-url', 'baseUrl is missing: a schema document does not say where its server is; give its URL');
  const schema = readSchema(bytes, file);
  const inputs = new InputSchemas();
  const roots = [['QUERY', schema.getQueryType()], ['MUTATION', schema.getMutationType()], ['SUBSCRIPTION', schema.getSubscriptionType()]] as const;
  const unknown = new Set(Object.keys(connection.select ?? {}));
  const plans: OperationPlan[] = [];
  for (const [method, root] of roots) {
    for (const field of Object.values(root?.getFields() ?? {})) {
      unknown.delete(field.name);
      plans.push(planOf({ schema, inputs, connection, url, file }, method, field));
    }
  }
  const [stray] = unknown;
  if (stray !== undefined) throw new AdmissionError('selection-invalid', `connection.select.${stray}: the server has no query or mutation of this name`);
  return {
    format: 'graphql', title: file, version: '', description: schema.description ?? '', specHash: createHash('sha256').update(bytes).digest('hex'),
    definitions: inputs.definitions, slots: connection.auth === undefined ? {} : { auth: connection.auth },
    ...toolsOf(plans, inputs.definitions, options),
  };
}

interface Source { readonly schema: GraphQLSchema; readonly inputs: InputSchemas; readonly connection: GraphqlConnection; readonly url: string; readonly file: string }
type Method = 'QUERY' | 'MUTATION' | 'SUBSCRIPTION';
const KEYWORD = { QUERY: 'query', MUTATION: 'mutation' } as const;
const ROOT = { QUERY: 'Query', MUTATION: 'Mutation', SUBSCRIPTION: 'Subscription' } as const;

function planOf({ schema, inputs, connection, url }: Source, method: Method, field: GraphQLField<unknown, unknown>): OperationPlan {
  const path = `${ROOT[method]}.${field.name}`;
  const about = { method, path, operationId: field.name, tags: [method.toLowerCase()] };
  const refused = (code: string, message: string): OperationPlan => ({ ...about, tool: undefined, reasons: [{ code, message, pointer: path }], notes: [] });
  const hints = hintsOf(field);
  if (hints.hide) return refused('hidden', 'the schema hides this field from agents (@stoa(hide: true))');
  if (method === 'SUBSCRIPTION') return refused('subscription', 'a subscription has no single answer; call the query that gives the same data');

  const given = connection.select?.[field.name] ?? hints.select;
  const { selection, omitted } = given === undefined ? chooseSelection(schema, field.type) : { selection: readSelection(schema, field.type, given, `the selection of ${path}`), omitted: [] };
  if (selection === undefined && isCompositeType(getNamedType(field.type))) return refused('nothing-to-select', 'none of its fields can be asked for without arguments; give a selection at import');
  const document = documentOf(KEYWORD[method], field, selection);
  const inputSchema = inputs.of(field.args);
  const binding: GraphqlBinding = {
    kind: 'graphql', url, document, documentHash: createHash('sha256').update(document).digest('hex'), operationName: field.name, persisted: connection.persisted === true,
    headers: connection.headers ?? {}, security: connection.auth === undefined ? [] : [['auth']],
  };
  const notes: VerdictReason[] = [...new Map(omitted.map((one) => [`${one.code} ${one.path}`, one])).values()].slice(0, 20).map(({ code, path: where }) => ({ code, message: OMITTED[code], pointer: where }));
  const output: JsonSchemaObject = { type: 'object', properties: { [field.name]: outputSchema(schema, field.type, selection) }, required: [field.name] };
  return {
    ...about, reasons: [], notes,
    tool: {
      title: undefined, description: field.description ?? `${KEYWORD[method]} ${field.name} of the ${isLeafType(getNamedType(field.type)) ? 'value' : 'type'} ${String(field.type)}`,
      deprecated: field.deprecationReason != null, operationClass: hints.class ?? (method === 'QUERY' ? 'read' : DESTRUCTIVE.test(field.name) ? 'destructive' : 'write'),
      inputSchema, outputSchema: output, backend: binding,
    },
  };
}

const OMITTED = {
  'field-needs-arguments': 'is not asked for: it needs arguments; give a selection at import',
  'selection-too-deep': 'is not asked for: it lies deeper than the rule goes; give a selection at import',
  'selection-too-wide': 'is not asked for in whole: there are more fields than the rule takes; give a selection at import',
} as const;

function documentOf(keyword: 'query' | 'mutation', { name, args }: GraphQLField<unknown, unknown>, selection: Selection | undefined): string {
  const variables = args.map((argument) => `$${argument.name}: ${String(argument.type)}`).join(', ');
  const passed = args.map((argument) => `${argument.name}: $${argument.name}`).join(', ');
  return `${keyword} ${name}${variables === '' ? '' : `(${variables})`} { ${name}${passed === '' ? '' : `(${passed})`}${selection === undefined ? '' : ` ${printSelection(selection)}`} }`;
}

interface Hints { readonly hide: boolean; readonly select: string | undefined; readonly class: OperationClass | undefined }
/** `@stoa(select: "id name", class: "destructive", hide: true)` on a field of Query or Mutation, in a schema that is given as a document. */
function hintsOf({ astNode }: GraphQLField<unknown, unknown>): Hints {
  const directive = astNode?.directives?.find((one: DirectiveNode) => one.name.value === 'stoa');
  const value = (name: string): unknown => {
    const node = directive?.arguments?.find((argument) => argument.name.value === name)?.value;
    return node === undefined ? undefined : valueFromASTUntyped(node);
  };
  const kind = value('class');
  const select = value('select');
  return { hide: value('hide') === true, select: typeof select === 'string' ? select : undefined, class: kind === 'read' || kind === 'write' || kind === 'destructive' ? kind : undefined };
}

function readSchema(bytes: Uint8Array, file: string): GraphQLSchema {
  const fail = (problem: string): never => { throw new AdmissionError('not-graphql', `${file}: ${problem}`); };
  if (bytes.byteLength > MAX_BYTES) return fail(`has ${bytes.byteLength} bytes, the limit is ${MAX_BYTES}`);
  let text: string;
  try { text = new TextDecoder('utf-8', { fatal: true }).decode(bytes); } catch { return fail('is not UTF-8 text'); }
  try {
    if (!/^\s*\{/.test(text)) return buildSchema(text, { assumeValidSDL: true, noLocation: false });
    const parsed = JSON.parse(text) as { readonly data?: IntrospectionQuery } & Partial<IntrospectionQuery>;
    const introspection = parsed.data ?? parsed;
    if (!('__schema' in introspection)) return fail('is JSON without __schema: expected the answer to an introspection query, or schema definition language');
    return buildClientSchema(introspection as IntrospectionQuery);
  } catch (error) {
    if (error instanceof AdmissionError) throw error;
    const place = error instanceof GraphQLError ? error.locations?.[0] : undefined;
    return fail(`${place === undefined ? '' : `line ${place.line}, column ${place.column}: `}${error instanceof Error ? error.message : String(error)}`);
  }
}
