import { type DynamicModule, type FactoryProvider, Inject, Module, type ModuleMetadata, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RPC } from '../error-mapping.js';
import { releaseHead } from '../reply-head.js';
import { rpcError } from './answer.js';
import { type McpDoor, mcpDoor } from './mcp-door.js';
import { MCP_LIMITS, type McpDoorOptions } from './options.js';
import { originRules } from './origin-rules.js';

const OPTIONS = Symbol('McpDoorOptions');
/** The endpoint and its older names. */
const PATHS = ['/mcp', '/mcp/', '/mcp/sse', '/mcp/message'];

/** The MCP door: raw Fastify routes in a scope of their own, so that no Nest provider is made for a call. */
@Module({})
export class McpModule implements OnModuleInit {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost, @Inject(OPTIONS) private readonly options: McpDoorOptions) {}

  static with(options: McpDoorOptions): DynamicModule {
    return { module: McpModule, providers: [{ provide: OPTIONS, useValue: options }] };
  }

  /** The same with options made of what the `imports` offer. */
  static from({ imports = [], inject = [], useFactory }: Pick<ModuleMetadata, 'imports'> & Pick<FactoryProvider<McpDoorOptions>, 'inject' | 'useFactory'>): DynamicModule {
    return { module: McpModule, imports, providers: [{ provide: OPTIONS, inject, useFactory }] };
  }

  async onModuleInit(): Promise<void> {
    await this.host.httpAdapter.getInstance<FastifyInstance>().register(mcpRoutes(this.options));
  }
}

/** The door as a Fastify plugin. */
const mcpRoutes = (options: McpDoorOptions) => (scope: FastifyInstance): Promise<void> => {
  const door = mcpDoor(options);
  const bodyLimit = options.limits?.bodyBytes ?? MCP_LIMITS.bodyBytes;
  const refusedBy = originRules(options.allowedOrigins, options.allowedHosts);

  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body));
  scope.addHook('onRequest', (request, reply, done) => {
    const fault = refusedBy(request.headers);
    if (fault === undefined) return done();
    reply.code(403).header('content-type', 'application/json').send(rpcError(undefined, RPC.invalidRequest, fault, { correlation_id: request.id }));
  });
  scope.addHook('onSend', (request, reply, payload, done) => {
    releaseHead(reply);
    // What a hook of the whole server refuses (401, 429) is said in its shape, with the id that a person may have to quote, as in every error here.
    const isRefusal = reply.statusCode >= 400 && typeof payload === 'string' && payload.startsWith('{"detail":') && payload.endsWith('}');
    done(null, isRefusal ? `${payload.slice(0, -1)},"correlation_id":${JSON.stringify(request.id)}}` : payload);
  });
  scope.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500;
    const data = { correlation_id: request.id, ...(status === 413 ? { code: 'PAYLOAD_TOO_LARGE', max_size_kb: bodyLimit / 1024 } : {}) };
    const [code, message] = status === 413 ? [RPC.tooLarge, `The body is larger than ${bodyLimit} bytes.`]
      : status === 415 ? [RPC.invalidRequest, 'Content-Type is application/json.']
        : status < 500 ? [RPC.invalidRequest, error.message] : [RPC.internal, 'Internal error.'];
    if (status >= 500) options.onFailure?.({ requestId: request.id, error });
    options.onProtocolError?.({ requestId: request.id, status, code, message });
    return reply.code(status).header('content-type', 'application/json').send(rpcError(undefined, code, message, data));
  });
  for (const url of PATHS) {
    scope.route({ method: 'POST', url, bodyLimit, config: { ownHead: true }, onRequest: takeOver(door, bodyLimit), handler: (request, reply) => { door.post(request, reply); } });
    scope.route({ method: 'GET', url, exposeHeadRoute: false, handler: (request, reply) => { door.get(request, reply); } });
    scope.route({ method: 'DELETE', url, handler: (request, reply) => { door.delete(request, reply); } });
  }
  scope.addHook('preClose', (done) => { door.close(); done(); });
  return Promise.resolve();
};

/**
 * The last hook of a POST, after all that govern it: reads a body of the usual form itself, which is cheaper than Fastify's parsers, and
 * serves it. Every other request goes on to them and to what they say of it. What is to govern these routes must be an `onRequest` hook.
 */
const takeOver = (door: McpDoor, bodyLimit: number) => (request: FastifyRequest, reply: FastifyReply, done: (failure?: Error) => void): void => {
  const { headers, raw } = request;
  if (headers['content-type'] !== 'application/json' || !(Number(headers['content-length']) <= bodyLimit)) { done(); return; }
  const chunks: Buffer[] = [];
  raw.on('data', (chunk: Buffer) => { chunks.push(chunk); });
  raw.on('end', () => {
    // Node's parser ends a message only when all that its head promised has come.
    request.body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    door.post(request, reply);
  });
  raw.on('error', done);
};
