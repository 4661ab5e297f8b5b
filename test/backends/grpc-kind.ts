import { type DescMessage, fromBinary, fromJson, type JsonValue, toBinary, toJson } from '@bufbuild/protobuf';
import { type handleUnaryCall, Server, ServerCredentials, type ServerUnaryCall, status } from '@grpc/grpc-js';
import { Channels } from '#libs/backends/grpc/channels.js';
import { convertGrpc } from '#libs/backends/grpc/convert-grpc.js';
import { readDescriptorSet } from '#libs/backends/grpc/descriptors.js';
import { GrpcBackend } from '#libs/backends/grpc/grpc-backend.js';
import { compileProto } from '#libs/backends/grpc/proto-source.js';
import { type Kind, MAX_BYTES } from './kind.js';

const PROTO = `
  syntax = "proto3"; package shop.v1; import "google/protobuf/wrappers.proto";
  message Item { string id = 1; string name = 2; google.protobuf.StringValue note = 3; repeated string tags = 4; int64 count = 5; }
  message Id { string id = 1; } message Page { int32 limit = 1; optional string after = 2; } message Items { repeated Item items = 1; optional string next = 2; }
  message NewItem { string name = 1; google.protobuf.StringValue note = 2; repeated string tags = 3; int32 count = 4; }
  message Done { bool done = 1; } message How { string how = 1; } message Text { string text = 1; }
  service Shop { rpc GetItem (Id) returns (Item); rpc ListItems (Page) returns (Items); rpc AddItem (NewItem) returns (Item); rpc DeleteItem (Id) returns (Done); rpc Act (How) returns (Text); }
`;
const OPERATIONS = { getItem: ['Id', 'Item'], listItems: ['Page', 'Items'], addItem: ['NewItem', 'Item'], deleteItem: ['Id', 'Done'], act: ['How', 'Text'] } as const;
const STATUS = { error: status.INTERNAL, missing: status.NOT_FOUND, unproved: status.UNAUTHENTICATED } as const;
const asItIs = (bytes: Buffer): Buffer => bytes;

const definition = (name: string): object => ({ path: `/shop.v1.Shop/${name}`, requestStream: false, responseStream: false, requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs, responseDeserialize: asItIs });
const capital = (name: string): string => `${name[0]?.toUpperCase() ?? ''}${name.slice(1)}`;
const at = (host: string, to: number): string => `grpc://${host}:${to}`;
export const grpcKind: Kind = {
  kind: 'grpc',
  async start(shop) {
    const set = compileProto({ text: PROTO }, 'shop.proto');
    const registry = readDescriptorSet(set, 'shop');
    const typeOf = (name: string): DescMessage => { const found = registry.getMessage(`shop.v1.${name}`); if (!found) throw new Error(name); return found; };
    const handler = (operation: keyof typeof OPERATIONS): handleUnaryCall<Buffer, Buffer> => (call: ServerUnaryCall<Buffer, Buffer>, done) => {
      const [input, output] = OPERATIONS[operation];
      call.on('cancelled', () => { shop.aborted += 1; });
      const headers = Object.fromEntries(Object.entries(call.metadata.getMap()).map(([name, value]) => [name, String(value)]));
      const reply = shop.ask({ operation, args: toJson(typeOf(input), fromBinary(typeOf(input), call.request), { alwaysEmitImplicit: true }) as Record<string, unknown>, headers, query: {} });
      if ('value' in reply) return done(null, Buffer.from(toBinary(typeOf(output), fromJson(typeOf(output), withoutNulls(reply.value) as JsonValue))));
      if (reply.fault === 'hang') return undefined;
      // A field of the wrong wire type, cut short.
      if (reply.fault === 'wrong') return done(null, Buffer.from([0x0a, 0x7f]));
      return done({ code: STATUS[reply.fault], details: reply.message });
    };
    const server = new Server();
    const operations = Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[];
    server.addService(Object.fromEntries(operations.map((name) => [capital(name), definition(capital(name))])) as unknown as Parameters<Server['addService']>[0], Object.fromEntries(operations.map((name) => [capital(name), handler(name)])));
    const port = await new Promise<number>((resolve, reject) => { server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => { if (error) reject(error); else resolve(bound); }); });
    const opened: Channels[] = [];
    return {
      document: convertGrpc(set, { baseUrl: at('127.0.0.1', port) }), at, baseUrl: at('127.0.0.1', port), http: false,
      close: async () => { for (const channels of opened) channels.close(); server.forceShutdown(); },
      backend: ({ outbound, ...given }) => {
        const channels = new Channels({ guard: outbound, maxMessageBytes: MAX_BYTES, userAgent: 'stoa/1' });
        opened.push(channels);
        return new GrpcBackend({ ...given, channels });
      },
      args: (_operation, plain) => plain,
      plain: (_operation, structured) => structured,
    };
  },
};

const withoutNulls = (value: unknown): unknown => (Array.isArray(value) ? value.map(withoutNulls)
  : typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null).map(([name, member]) => [name, withoutNulls(member)])) : value);
