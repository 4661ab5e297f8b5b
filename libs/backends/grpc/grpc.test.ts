import { fromBinary, type Registry, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type handleUnaryCall, Metadata, Server, ServerCredentials, type ServerDuplexStream, type ServerReadableStream, type ServerWritableStream, type sendUnaryData, status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdmissionError } from '#libs/core/admission.js';
import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import type { ConvertedTool } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { GrpcBinding } from '#libs/core/grpc-binding.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress } from '#libs/egress/egress.js';
import { Channels } from '#libs/backends/grpc/channels.js';
import { convertGrpc } from '#libs/backends/grpc/convert-grpc.js';
import { readDescriptorSet } from '#libs/backends/grpc/descriptors.js';
import { GrpcAdmission } from '#libs/backends/grpc/grpc-admission.js';
import { GrpcBackend } from '#libs/backends/grpc/grpc-backend.js';
import { compileProto } from '#libs/backends/grpc/proto-source.js';

const PROTO = `
  syntax = "proto3"; package shop.v1;
  import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
  import "google/protobuf/field_mask.proto"; import "google/protobuf/empty.proto";
  enum Size { SIZE_UNKNOWN = 0; SMALL = 1; LARGE = 2; }
  message Item {
    int64 id = 1; uint64 big = 2; bytes photo = 3; double price = 4; Size size = 5; repeated string tags = 6; map<string, Item> parts = 7; map<int32, bool> flags = 8;
    google.protobuf.Timestamp made = 9; google.protobuf.Duration life = 10; google.protobuf.StringValue nick = 11; google.protobuf.Struct extra = 12; google.protobuf.FieldMask mask = 13;
    oneof owner { string person = 14; int32 shop_number = 15; } optional string note = 16; Item parent = 17; google.protobuf.Value anything = 18; Unused.Inner inner = 20;
  }
  message Unused { message Inner { string text = 1; } string never = 1; }
  message Elsewhere { string x = 1; }
  message GetItemRequest { int64 id = 1; }
  service Inventory {
    rpc Echo (Item) returns (Item); rpc GetItem (GetItemRequest) returns (Item); rpc DeleteItem (GetItemRequest) returns (google.protobuf.Empty);
    rpc Name (google.protobuf.StringValue) returns (google.protobuf.StringValue);
    rpc Watch (GetItemRequest) returns (stream Item); rpc Sum (stream GetItemRequest) returns (GetItemRequest); rpc Chat (stream GetItemRequest) returns (stream GetItemRequest);
  }
  service Other { rpc Ping (Elsewhere) returns (Elsewhere); }
`;
const set = compileProto({ text: PROTO }, 'shop.proto');
const document = convertGrpc(set, { baseUrl: 'grpc://127.0.0.1:1', fileName: 'shop.proto' });
const tool = (name: string): ConvertedTool => {
  const found = document.tools.find(({ operationId }) => operationId === name);
  if (!found) throw new Error(`no tool ${name}`);
  return found;
};
const bindingOf = (name: string): GrpcBinding => tool(name).backend as GrpcBinding;
const registry: Registry = readDescriptorSet(set, 'shop');
const itemType = registry.getMessage('shop.v1.Item');
const ajv = new Ajv2020({ strict: false, validateFormats: false });
const check = (schema: unknown, value: unknown): string | undefined => { const validate = ajv.compile({ ...schema as object, $defs: document.definitions }); return validate(value) ? undefined : ajv.errorsText(validate.errors); };

/** One of everything; what ProtoJSON says its canonical form is. */
const ITEM = {
  id: '9223372036854775807', big: '18446744073709551615', photo: 'AP8Q', price: 1.5, size: 'LARGE', tags: ['ü', '🐕'], parts: { a: { id: '1' } }, flags: { '-3': true }, made: '2026-11-21T07:00:00.000000001Z', life: '1.500s', nick: 'n',
  extra: { a: [1, null, { b: true }] }, mask: 'a,b.cD', person: 'ada', note: '', parent: { shopNumber: 7 }, anything: [1, 'x', null], inner: { text: 't' },
};

describe('a descriptor set becomes tools', () => {
  it('one for each method of each service, with its class and kind', () => {
    expect(document.tools.map(({ name, method, operationClass }) => `${name} ${method} ${operationClass}`)).toEqual([
      'echo UNARY write', 'getitem UNARY read', 'deleteitem UNARY destructive', 'name UNARY write', 'watch SERVER_STREAM read', 'sum CLIENT_STREAM write', 'chat BIDI_STREAM write', 'ping UNARY write',
    ]);
    expect(document.ledger.every(({ verdict }) => verdict === 'exact')).toBe(true);
    expect(document.format).toBe('protobuf');
  });
  it('whose schemas take what ProtoJSON takes and refuse what it refuses', () => {
    const { inputSchema } = tool('Echo');
    for (const good of [{}, ITEM, { id: 5, big: 0, price: 'NaN', nick: null, shopNumber: 3, anything: null }, { parts: { x: { parts: { y: {} } } } }]) expect(check(inputSchema, good)).toBeUndefined();
    for (const bad of [{ id: 1.5 }, { id: 'x' }, { big: -1 }, { size: 'HUGE' }, { nope: 1 }, { person: 'a', shopNumber: 1 }, { flags: { a: true } }, { life: '1' }, { tags: 'a' }]) expect(check(inputSchema, bad)).toBeDefined();
  });
  it('that carry the descriptors of their own messages and no others', () => {
    const names = fromBinary(FileDescriptorSetSchema, Buffer.from(bindingOf('Ping').descriptors, 'base64')).file.flatMap(({ messageType }) => messageType.map(({ name }) => name));
    expect(names).toEqual(['Elsewhere']);
    expect(fromBinary(FileDescriptorSetSchema, Buffer.from(bindingOf('Echo').descriptors, 'base64')).file.flatMap(({ messageType }) => messageType.map(({ name }) => name))).toEqual(expect.arrayContaining(['Item', 'Unused', 'Timestamp', 'Struct']) as unknown);
  });
  it('from the .proto text itself, the same', () => {
    expect(convertGrpc(Buffer.from(PROTO), { baseUrl: 'grpc://127.0.0.1:1' }).tools.map(({ name, inputSchema }) => [name, inputSchema])).toEqual(document.tools.map(({ name, inputSchema }) => [name, inputSchema]));
  });
  it.each<[string, Uint8Array, object, RegExp]>([
    ['bytes that are neither', Buffer.from([0xff, 0xff]), {}, /not a FileDescriptorSet/], ['a .proto that imports what is not there', Buffer.from('syntax = "proto3"; import "other/thing.proto"; message A { other.Thing t = 1; }'), {}, /imports thing\.proto, which is not there/],
    ['a .proto with a mistake', Buffer.from('syntax = "proto3";\nmessage A { string }'), {}, /line 2/], ['no service', Buffer.from('syntax = "proto3"; message A { string a = 1; }'), {}, /declares no service/],
    ['a connection to nowhere', set, { connection: { address: 'host' } }, /connection\.address/], ['an unknown member', set, { connection: { adress: 'h:1' } }, /connection\.adress/], ['metadata that is a credential', set, { connection: { address: 'h:1', metadata: { authorization: 'x' } } }, /connection\.metadata\.authorization/],
  ])('refuses %s, naming what to mend', (_name, bytes, options, message) => {
    expect(() => convertGrpc(bytes, { ...('connection' in options ? {} : { baseUrl: 'grpc://h:1' }), ...options })).toThrow(message);
  });
});

const raw = (bytes: Buffer): Buffer => bytes;
interface UntypedDefinition { path: string; requestStream: boolean; responseStream: boolean; requestSerialize: (b: Buffer) => Buffer; requestDeserialize: (b: Buffer) => Buffer; responseSerialize: (b: Buffer) => Buffer; responseDeserialize: (b: Buffer) => Buffer }
const method = (path: string, requestStream: boolean, responseStream: boolean): UntypedDefinition => ({ path, requestStream, responseStream, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw });
const field = (number: number, value: Uint8Array): Buffer => Buffer.from([(number << 3) | 2, ...varint(value.length), ...value]);
const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
const any = (url: string, value: Buffer): Buffer => Buffer.concat([field(1, Buffer.from(url)), field(2, value)]);
function details(): Metadata {
  const metadata = new Metadata();
  const info = Buffer.concat([field(1, Buffer.from('GNE')), field(2, Buffer.from('shop'))]);
  metadata.set('grpc-status-details-bin', Buffer.concat([Buffer.from([0x08, 5]), field(3, any('type.googleapis.com/google.rpc.ErrorInfo', info)), field(3, any('type.googleapis.com/shop.Unknown', Buffer.from([1, 2])))]));
  return metadata;
}

describe('a gRPC backend', () => {
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const channels = new Channels({ guard: egress, maxMessageBytes: 1 << 20, userAgent: 'stoa/1' });
  const server = new Server();
  let address = '';
  let cancelled = 0;
  let seen = new Metadata();
  const implementation: UntypedServiceImplementation = {
    Echo: ((echoed, reply) => { seen = echoed.metadata; reply(null, echoed.request); }) as handleUnaryCall<Buffer, Buffer>,
    GetItem: ((asked, reply) => {
      const id = asked.request[1] ?? 0;
      if (id === 1) return reply({ code: status.NOT_FOUND, details: 'no item 1 for hunter2-hunter2', metadata: details() });
      if (id === 2) return void setTimeout(() => { reply(null, Buffer.alloc(0)); }, 60_000).unref();
      if (id === 3) return reply(null, Buffer.alloc(2 << 20));
      if (id === 4) return reply(null, Buffer.from([0x08]));
      return reply(null, Buffer.from([0x08, id]));
    }) as handleUnaryCall<Buffer, Buffer>,
    DeleteItem: ((_asked, reply) => { reply(null, Buffer.alloc(0)); }) as handleUnaryCall<Buffer, Buffer>,
    Name: ((asked, reply) => { reply(null, asked.request); }) as handleUnaryCall<Buffer, Buffer>,
    Watch: (stream: ServerWritableStream<Buffer, Buffer>) => {
      const many = stream.request[1] ?? 0;
      if (many === 127) stream.on('cancelled', () => { cancelled += 1; });
      for (let i = 1; i <= (many === 127 ? 5000 : many); i += 1) stream.write(Buffer.from([0x08, i % 128]));
      if (many !== 127) stream.end();
    },
    Sum: (stream: ServerReadableStream<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
      let sum = 0;
      stream.on('data', (message: Buffer) => { sum += message[1] ?? 0; });
      stream.on('end', () => { reply(null, Buffer.from([0x08, sum])); });
    },
    Chat: (stream: ServerDuplexStream<Buffer, Buffer>) => { stream.on('data', (message: Buffer) => { stream.write(message); }); stream.on('end', () => { stream.end(); }); },
  };
  let reflects: 'v1' | 'v1alpha' | 'lies' | 'no' = 'v1';
  const reflection = (version: 'v1' | 'v1alpha') => ({
    ServerReflectionInfo: (stream: ServerDuplexStream<Buffer, Buffer>) => {
      if (reflects !== version && !(reflects === 'lies' && version === 'v1')) { stream.emit('error', { code: status.UNIMPLEMENTED, details: 'unknown service' }); return; }
      stream.on('data', (request: Buffer) => {
        const kind = (request[0] ?? 0) >> 3;
        if (kind === 7) { stream.write(field(6, Buffer.concat(['shop.v1.Inventory', 'shop.v1.Other', 'grpc.reflection.v1.ServerReflection'].map((name) => field(1, field(1, Buffer.from(name))))))); return; }
        const { file } = fromBinary(FileDescriptorSetSchema, set);
        const asked = request.subarray(2).toString();
        const found = kind === 4 ? file.find(({ service }) => service.length > 0) : file.find(({ name }) => name === asked);
        if (found === undefined || (reflects === 'lies' && kind === 3)) { stream.write(field(7, Buffer.from([0x08, 5, 0x12, 2, 0x6e, 0x6f]))); return; }
        stream.write(field(4, field(1, toBinary(FileDescriptorProtoSchema, found))));
      });
      stream.on('end', () => { stream.end(); });
    },
  });

  beforeAll(async () => {
    const inventory = '/shop.v1.Inventory/';
    server.addService({ Echo: method(`${inventory}Echo`, false, false), GetItem: method(`${inventory}GetItem`, false, false), DeleteItem: method(`${inventory}DeleteItem`, false, false), Name: method(`${inventory}Name`, false, false), Watch: method(`${inventory}Watch`, false, true), Sum: method(`${inventory}Sum`, true, false), Chat: method(`${inventory}Chat`, true, true) }, implementation);
    for (const version of ['v1', 'v1alpha'] as const) server.addService({ ServerReflectionInfo: method(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, true, true) }, reflection(version));
    const port = await new Promise<number>((resolve, reject) => { server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => { if (error) reject(error); else resolve(bound); }); });
    address = `127.0.0.1:${port}`;
  });
  afterAll(async () => { channels.close(); server.forceShutdown(); await egress.close(); });

  const backend = new GrpcBackend({ channels, credentials: { resolve: () => 'hunter2-hunter2' }, checkOutput: ({ outputSchema }, value) => check(outputSchema, value), maxMessages: 50 });
  function call(name: string, input: Readonly<Record<string, unknown>>, more: { readonly timeoutMs?: number; readonly signal?: AbortSignal; readonly binding?: Partial<GrpcBinding>; readonly baseUrl?: string } = {}): ValidatedCall {
    const { inputSchema, outputSchema, listed } = tool(name);
    const target: Target = {
      kind: 'tool', name, tenant: 'acme' as TenantSlug, apiId: 'shop', description: '', operationClass: 'read', tags: [], category: undefined, version: '1', inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }),
      definitions: document.definitions, backend: { ...bindingOf(name), ...more.binding }, timeoutMs: more.timeoutMs ?? 5000, hash: '', listed,
    };
    return {
      requestId: 'r-1', door: 'mcp', principal: { tenant: 'acme' as TenantSlug, issuer: 'i', subject: 's', clientId: 'c', roles: new Set(), scopes: new Set(), expiresAt: 0 }, kind: 'tool', name, arguments: input, consumer: 'unknown',
      exchange: { signal: more.signal ?? new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false }, traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: undefined, startedAt: 0, target, input, decision: { ruleId: '', policyRevision: '' }, quota: undefined,
      api: { id: 'shop', tenant: 'acme' as TenantSlug, name: 'shop', version: '1', title: '', description: '', kind: 'grpc', status: 'active', category: undefined, tags: [], specHash: '', baseUrl: more.baseUrl ?? `grpc://${address}`, definitions: {}, slots: { auth: { type: 'bearer' } }, credentials: { auth: { from: 'environment', name: 'X' } } },
    };
  }
  const answered = async (...given: Parameters<typeof call>): Promise<{ readonly json: unknown; readonly answer: BackendAnswer }> => {
    const answer = await backend.invoke(call(...given));
    if (answer instanceof Denial) throw new Error(answer.message);
    const { structuredJson } = answer.result as { structuredJson?: string };
    return { json: structuredJson === undefined ? undefined : JSON.parse(structuredJson), answer };
  };

  it('carries one of everything there and back in the canonical JSON mapping', async () => {
    expect(itemType).toBeDefined();
    expect((await answered('Echo', ITEM)).json).toMatchObject({ ...ITEM, parts: { a: { id: '1' } }, parent: { shopNumber: 7 } });
    expect((await answered('Echo', { id: 5, size: 'SMALL', nick: null, price: 'Infinity' })).json).toMatchObject({ id: '5', size: 'SMALL', price: 'Infinity', tags: [], flags: {} });
  });
  it('answers requests and answers that are no objects of fields', async () => {
    expect((await answered('Name', { body: 'ü' })).json).toEqual({ value: 'ü' });
    expect((await answered('DeleteItem', { id: 1 })).json).toEqual({});
  });
  it('sends streams from a list and collects them into one, ended at the bound and cancelled there', async () => {
    expect((await answered('Watch', { id: 3 })).json).toMatchObject({ complete: true, messages: [{ id: '1' }, { id: '2' }, { id: '3' }] });
    const { json } = await answered('Watch', { id: 127 });
    expect(json).toMatchObject({ complete: false });
    expect((json as { messages: unknown[] }).messages).toHaveLength(50);
    expect((await answered('Sum', { messages: [{ id: 1 }, { id: 2 }, { id: 39 }] })).json).toEqual({ id: '42' });
    expect((await answered('Chat', { messages: [{ id: 1 }, { id: 2 }] })).json).toEqual({ messages: [{ id: '1' }, { id: '2' }], complete: true });
    await new Promise((resolve) => { setTimeout(resolve, 50); });
    expect(cancelled).toBe(1);
  });
  it('makes a status a tool error with its name, message and details, and no credential in it', async () => {
    const { answer } = await answered('GetItem', { id: 1 }, { binding: { security: [['auth']] } });
    expect(answer).toMatchObject({ outcome: 'error', result: { isError: true, meta: { error_code: 'BACKEND_ERROR', grpc_status: 'NOT_FOUND' } } });
    const [{ text }] = (answer.result as unknown as { content: [{ text: string }] }).content;
    expect(JSON.parse(text)).toEqual({ code: 'NOT_FOUND', message: 'no item 1 for [redacted]', details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'GNE', domain: 'shop' }, { '@type': 'type.googleapis.com/shop.Unknown', value: 'AQI=' }] });
  });
  it('ends at the tool\'s deadline, at a message that is too large, and at one that is none', async () => {
    expect((await answered('GetItem', { id: 2 }, { timeoutMs: 50 })).answer).toMatchObject({ outcome: 'timeout', result: { meta: { error_code: 'BACKEND_TIMEOUT' } } });
    expect((await answered('GetItem', { id: 3 })).answer).toMatchObject({ outcome: 'error', result: { meta: { error_code: 'BACKEND_RESPONSE_TOO_LARGE' } } });
    expect((await answered('GetItem', { id: 4 })).answer).toMatchObject({ outcome: 'error', result: { meta: { error_code: 'BACKEND_CONTRACT_VIOLATION' } } });
  });
  it('is cancelled when the client goes', async () => {
    const gone = new AbortController();
    const running = backend.invoke(call('GetItem', { id: 2 }, { signal: gone.signal }));
    setTimeout(() => { gone.abort(); }, 30);
    expect(await running).toMatchObject({ code: 'CANCELLED' });
  });
  it('refuses arguments that no message can hold, naming the place', async () => {
    expect(await backend.invoke(call('Sum', { messages: [{ id: 1 }, { id: '9223372036854775808' }] }))).toMatchObject({ code: 'INVALID_ARGUMENTS', issues: [{ pointer: '/messages/1' }] });
  });
  it('sends metadata from the definition, the credential and the gateway, and none from arguments', async () => {
    await answered('Echo', {}, { binding: { metadata: { 'x-shop': 'main' }, security: [['auth']] } });
    expect(seen.getMap()).toMatchObject({ 'x-shop': 'main', authorization: 'Bearer hunter2-hunter2', 'x-request-id': 'r-1', 'x-stoa-tenant-id': 'acme', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
  });
  it('does not connect where egress does not let it, and says that nothing answers without saying where', async () => {
    expect((await answered('Echo', {}, { baseUrl: 'grpc://169.254.169.254:80' })).answer).toMatchObject({ result: { meta: { error_code: 'EGRESS_REFUSED' } } });
    const { answer } = await answered('Echo', {}, { baseUrl: 'grpc://127.0.0.1:1', timeoutMs: 3000 });
    expect(answer).toMatchObject({ outcome: 'error', result: { meta: { error_code: 'BACKEND_UNREACHABLE' } } });
    expect(JSON.stringify(answer)).not.toContain('127.0.0.1:1');
  });

  const admission = new GrpcAdmission({ channels });
  const context = { tenant: 'acme' as TenantSlug, credentials: {} };
  it.each(['v1', 'v1alpha'] as const)('describes itself by reflection %s, with the same bytes each time', async (version) => {
    reflects = version;
    const [first, second] = await Promise.all([admission.describe({ address }, context), admission.describe({ address }, context)]);
    expect(Buffer.from(first.bytes).equals(second.bytes)).toBe(true);
    const made = await admission.convert(first.bytes, { connection: { address } });
    expect(made.tools.map(({ name }) => name)).toEqual(document.tools.map(({ name }) => name));
  });
  it('that lies in its reflection, has none, or is away is refused with what to do', async () => {
    reflects = 'no';
    await expect(admission.describe({ address }, context)).rejects.toMatchObject({ code: 'reflection-disabled', fault: 'backend', message: expect.stringContaining('--proto') as unknown });
    reflects = 'lies';
    await expect(admission.describe({ address }, context)).rejects.toBeInstanceOf(AdmissionError);
    await expect(admission.describe({ address: '169.254.169.254:50051' }, context)).rejects.toMatchObject({ code: 'backend-refused-address', fault: 'input' });
  });
});
