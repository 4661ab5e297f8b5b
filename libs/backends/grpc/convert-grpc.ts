import { createHash } from 'node:crypto';
import type { DescMessage, DescMethod, DescService, FileRegistry } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';
import { AdmissionError } from '#libs/core/admission.js';
import type { ConversionOptions, ConvertedDocument, VerdictReason } from '#libs/core/conversion.js';
import type { GrpcBinding } from '#libs/core/grpc-binding.js';
import type { JsonSchemaObject } from '#libs/core/json-schema.js';
import type { OperationClass } from '#libs/core/target.js';
import { type GrpcConnection, readConnection } from '#libs/backends/grpc/connection.js';
import { descriptorsFor, readDescriptorSet } from '#libs/backends/grpc/descriptors.js';
import { isPlainMessage, MessageSchemas } from '#libs/backends/grpc/json-schemas.js';
import { compileProto } from '#libs/backends/grpc/proto-source.js';
import { type OperationPlan, toolsOf } from '#libs/tool-listing/tools-of.js';

/** Bytes of a descriptor set. */
const MAX_BYTES = 32 * 1024 * 1024;
const READS = /^(?:get|list|search|find|read|query|count|check|describe|fetch|lookup|watch|stream)(?=[A-Z_]|$)/i;
const DESTRUCTIVE = /^(?:delete|remove|destroy|purge|drop|erase|revoke|truncate|wipe)(?=[A-Z_]|$)/i;
/** Services about the server itself: no operations of the API. */
const ABOUT_THE_SERVER = /^grpc\.(?:reflection|health|channelz)\./;

/**
 * A descriptor set, or one `.proto` file, into a tool for each method of its services. Rejects with `AdmissionError` naming the file and the fix.
 */
export function convertGrpc(bytes: Uint8Array, options: ConversionOptions & { readonly fileName?: string }): ConvertedDocument {
  const file = options.fileName ?? 'document';
  const connection = readConnection(options.connection ?? {}, options.baseUrl);
  if (bytes.byteLength > MAX_BYTES) throw new AdmissionError('too-large', `${file}: has ${bytes.byteLength} bytes, the limit is ${MAX_BYTES}`);
  const registry = readDescriptorSet(isProtoText(bytes) ? compileProto({ text: Buffer.from(bytes).toString('utf8') }, file) : bytes, file);
  const services = [...registry.files].flatMap((one) => one.services).filter(({ typeName }) => !ABOUT_THE_SERVER.test(typeName));
  if (services.length === 0) throw new AdmissionError('no-services', `${file}: declares no service, so there is nothing to call`);
  const schemas = new MessageSchemas();
  const plans = services.flatMap((service) => service.methods.map((method) => planOf({ registry, schemas, connection }, service, method)));
  return {
    format: 'protobuf', title: services.map(({ name }) => name).join(', ').slice(0, 200), version: '', description: '', specHash: createHash('sha256').update(bytes).digest('hex'),
    definitions: schemas.definitions, slots: connection.auth === undefined ? {} : { auth: connection.auth },
    ...toolsOf(plans, schemas.definitions, options),
  };
}

/** A descriptor set begins with the tag of its first file: 0x0a. A `.proto` file may begin with a line end too, but then has words before the next control character. */
const isProtoText = (bytes: Uint8Array): boolean => /^[\s\uFEFF]*(?:\/[/*]|syntax|edition|package|import|option|message|enum|service)/.test(Buffer.from(bytes.subarray(0, 4096)).toString('latin1')) && !bytes.subarray(0, 4096).includes(0);

interface Source { readonly registry: FileRegistry; readonly schemas: MessageSchemas; readonly connection: GrpcConnection }
const KINDS = { unary: 'UNARY', server_streaming: 'SERVER_STREAM', client_streaming: 'CLIENT_STREAM', bidi_streaming: 'BIDI_STREAM' } as const;

function planOf({ registry, schemas, connection }: Source, service: DescService, method: DescMethod): OperationPlan {
  const path = `/${service.typeName}/${method.name}`;
  const clientStreaming = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  const serverStreaming = method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming';
  const { argument, inputSchema } = inputOf(schemas, method.input, clientStreaming);
  const binding: GrpcBinding = {
    kind: 'grpc', address: connection.address, tls: connection.tls, path, request: method.input.typeName, response: method.output.typeName, clientStreaming, serverStreaming,
    descriptors: Buffer.from(descriptorsFor(registry, method)).toString('base64'), ...(argument === undefined ? {} : { argument }), metadata: connection.metadata, security: connection.auth === undefined ? [] : [['auth']],
  };
  const notes: readonly VerdictReason[] = clientStreaming || serverStreaming ? [{ code: 'stream-collected', message: `a ${method.methodKind.replace('_', ' ')} method: its messages are sent and collected as one list, within bounds of count, bytes and time`, pointer: path }] : [];
  return {
    method: KINDS[method.methodKind], path, operationId: method.name, tags: [service.name], reasons: [], notes,
    tool: {
      title: undefined, description: comment(service, method) ?? `${method.name} of ${service.typeName}`, deprecated: method.deprecated || service.deprecated,
      operationClass: classOf(method), inputSchema, outputSchema: outputOf(schemas, method.output, serverStreaming), backend: binding,
    },
  };
}

/** gRPC's own word on side effects, else the method's name, as API guides use it. */
function classOf({ idempotency, name }: DescMethod): OperationClass {
  if (idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS || READS.test(name)) return 'read';
  return DESTRUCTIVE.test(name) ? 'destructive' : 'write';
}

/** The request's fields are the tool's arguments; a request that has none of its own, and streams of requests, go into one. */
function inputOf(schemas: MessageSchemas, input: DescMessage, streams: boolean): { readonly argument: string | undefined; readonly inputSchema: JsonSchemaObject } {
  if (!streams && isPlainMessage(input)) return { argument: undefined, inputSchema: schemas.object(input, 'in') };
  const argument = streams ? 'messages' : 'body';
  const one = schemas.of(input, 'in');
  return { argument, inputSchema: { type: 'object', properties: { [argument]: streams ? { type: 'array', items: one, maxItems: 1000 } : one }, required: [argument], additionalProperties: false } };
}

function outputOf(schemas: MessageSchemas, output: DescMessage, streams: boolean): JsonSchemaObject {
  if (streams) return { type: 'object', properties: { messages: { type: 'array', items: schemas.of(output, 'out') }, complete: { type: 'boolean', description: 'False: the stream went on, and was ended at the bound.' } }, required: ['messages', 'complete'] };
  return isPlainMessage(output) ? schemas.object(output, 'out') : { type: 'object', properties: { value: schemas.of(output, 'out') }, required: ['value'] };
}

/** Leading comment of the method (SourceCodeInfo, path 6.service.2.method), where the descriptors carry comments. */
function comment(service: DescService, method: DescMethod): string | undefined {
  const { proto } = service.file;
  const place = [6, proto.service.indexOf(service.proto), 2, service.proto.method.indexOf(method.proto)].join(' ');
  const text = proto.sourceCodeInfo?.location.find(({ path }) => path.join(' ') === place)?.leadingComments.trim();
  return text === '' ? undefined : text;
}
