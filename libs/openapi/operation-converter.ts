import type { ConversionOptions } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { CredentialSlot, RestBinding, RestParameter } from '#libs/core/rest-binding.js';
import type { OperationClass } from '#libs/core/target.js';
import { cleanText, cut } from '#libs/tool-listing/clean-text.js';
import { Findings, isMethodToken } from '#libs/openapi/operation-source.js';
import type { DocumentContext, OperationSource } from '#libs/openapi/operation-source.js';
import { convertParameter, rawParameters } from '#libs/openapi/parameters.js';
import { readTemplate } from '#libs/openapi/path-template.js';
import { isObject, listOf, member, textOf } from '#libs/tool-listing/raw.js';
import type { RawObject } from '#libs/tool-listing/raw.js';
import { convertRequestBody } from '#libs/openapi/request-body.js';
import type { BodyResult } from '#libs/openapi/request-body.js';
import { convertResponses } from '#libs/openapi/responses.js';
import { Security } from '#libs/openapi/security.js';
import { Servers } from '#libs/openapi/servers.js';
import { convertSwaggerBody } from '#libs/openapi/swagger-body.js';

/** One operation on its way to a tool; without `facts` where refused. */
export interface OperationDraft {
  readonly source: OperationSource;
  readonly operationId: string | undefined;
  readonly documentTags: readonly string[];
  readonly findings: Findings;
  readonly facts: OperationFacts | undefined;
}

export interface OperationFacts {
  readonly title: string | undefined;
  readonly description: string;
  readonly tags: readonly string[];
  readonly deprecated: boolean;
  readonly operationClass: OperationClass;
  readonly inputSchema: JsonSchema;
  readonly outputSchema: JsonSchema | undefined;
  readonly backend: RestBinding;
}

/** Longest description of a tool, in characters. */
const MAX_DESCRIPTION = 4096;
const READ: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY']);

export class OperationConverter {
  readonly #context: DocumentContext;
  readonly #options: ConversionOptions;
  readonly #servers: Servers;
  readonly #security: Security;

  constructor(context: DocumentContext, options: ConversionOptions) {
    this.#context = context;
    this.#options = options;
    this.#servers = new Servers(context, options);
    this.#security = new Security(context);
  }

  get slots(): Readonly<Record<string, CredentialSlot>> { return this.#security.slots; }

  draft(source: OperationSource): OperationDraft {
    const findings = new Findings();
    const { operation } = source;
    const operationId = operation && textOf(member(operation, 'operationId'));
    const documentTags = operation ? listOf(member(operation, 'tags')).filter((tag) => typeof tag === 'string') : [];
    if (source.method === '*') findings.refuse('path-item-unresolvable', 'the path is a $ref that leads nowhere in this document, so its operations are unknown', source.pointer);
    else if (!operation) findings.refuse('not-an-operation', 'what stands here is not an object', source.pointer);
    else if (!isMethodToken(source.method)) findings.refuse('illegal-method', `"${source.method}" cannot be the method of a request (RFC 9110 §9.1)`, source.pointer);
    const facts = operation && !findings.refusal ? this.#facts(source, operation, documentTags, findings) : undefined;
    return { source, operationId, documentTags, findings, facts: findings.refusal ? undefined : facts };
  }

  #facts(source: OperationSource, operation: RawObject, documentTags: readonly string[], findings: Findings): OperationFacts | undefined {
    const context = this.#context;
    const parameters = rawParameters(source, context, findings);
    const template = readTemplate(source, parameters, findings);
    if (findings.refusal) return undefined;
    const args = new Arguments(findings);
    const bindings: RestParameter[] = [];
    for (const parameter of parameters) {
      if (parameter.in === 'body' || parameter.in === 'formData') continue;
      if (parameter.in === 'path' && !template.expressions.has(parameter.name)) {
        findings.degrade('path-parameter-not-in-path', `the path has no {${parameter.name}}; the parameter is left out`, parameter.pointer);
        continue;
      }
      const converted = convertParameter(parameter, args.nameFor(parameter.name, parameter.in, parameter.pointer), context, findings);
      if (!converted) continue;
      args.add(converted.binding.argument, converted.schema, converted.binding.required);
      bindings.push(converted.binding);
    }
    for (const name of template.undeclared) {
      const argument = args.nameFor(name, 'path', source.itemPointer);
      args.add(argument, { type: 'string' }, true);
      bindings.push({ argument, name, in: 'path', style: 'simple', explode: false, allowReserved: false, required: true });
    }
    const body = context.format === 'swagger-2.0' ? convertSwaggerBody(source, parameters, context, findings) : convertRequestBody(source, context, findings);
    if (findings.refusal) return undefined;
    const { accept, outputSchema } = convertResponses(source, context, findings);
    const backend: RestBinding = {
      kind: 'rest', method: source.method, baseUrl: this.#servers.baseUrlOf(source, findings), path: template.path, parameters: bindings,
      ...(body ? { body: addBody(body, args, source) } : {}),
      accept, security: this.#security.requirementsOf(source, findings),
    };
    const summary = textOf(member(operation, 'summary'));
    const deprecated = member(operation, 'deprecated') === true;
    const text = textOf(member(operation, 'description')) ?? summary ?? `${source.method} ${source.path}`;
    return {
      title: summary === undefined ? undefined : cleanText(summary),
      description: cut(cleanText(deprecated ? `Deprecated. ${text}` : text), MAX_DESCRIPTION),
      tags: [...new Set([...documentTags, ...(this.#options.toolDefaults?.tags ?? [])])],
      deprecated,
      operationClass: READ.has(source.method) ? 'read' : source.method === 'DELETE' ? 'destructive' : 'write',
      inputSchema: args.schema(),
      outputSchema,
      backend,
    };
  }
}

function addBody(body: BodyResult, args: Arguments, source: OperationSource): NonNullable<RestBinding['body']> {
  const argument = args.nameFor('body', '', `${source.pointer}/requestBody`);
  args.add(argument, body.schema, body.required);
  return { argument, required: body.required, content: body.content };
}

/** The tool's arguments: each parameter by its own name, the body as one. */
class Arguments {
  readonly #properties = new Map<string, JsonSchema>();
  readonly #required: string[] = [];
  readonly #findings: Findings;

  constructor(findings: Findings) { this.#findings = findings; }

  /** A name that is still free: of two parameters with one name, the later gets its place as a suffix. */
  nameFor(name: string, place: string, pointer: string): string {
    let free = name;
    for (let i = 1; this.#properties.has(free) || free === '__proto__'; i++) free = i === 1 ? `${name}_${place}` : `${name}_${place}_${i}`;
    if (free !== name) this.#findings.note('argument-renamed', `the argument is called "${free}", since "${name}" is taken`, pointer);
    return free;
  }

  add(name: string, schema: JsonSchema, isRequired: boolean): void {
    this.#properties.set(name, schema);
    if (isRequired) this.#required.push(name);
  }

  schema(): JsonSchema {
    return {
      type: 'object',
      properties: Object.fromEntries(this.#properties),
      ...(this.#required.length > 0 ? { required: this.#required } : {}),
      additionalProperties: false,
    };
  }
}

/** Whether a schema's root can only be an object, seen through references and `allOf`. */
export function isObjectRoot(schema: JsonSchema | undefined, definition: (key: string) => JsonSchema | undefined, hops = 0): boolean {
  if (!isObject(schema) || hops > 16) return false;
  const { type, $ref: ref, allOf } = schema;
  if (type !== undefined) return type === 'object';
  if (typeof ref === 'string' && isObjectRoot(definition(ref.slice('#/$defs/'.length)), definition, hops + 1)) return true;
  return listOf(allOf).some((part) => isObjectRoot(part as JsonSchema, definition, hops + 1));
}
