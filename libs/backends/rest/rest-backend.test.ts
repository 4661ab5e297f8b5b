import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { CredentialReference, CredentialSlot, RestBinding, RestParameter } from '#libs/core/rest-binding.js';
import type { ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { createEgress, type Egress } from '#libs/egress/egress.js';
import { RestBackend, type RestBackendOptions } from './rest-backend.js';

interface Seen { method: string; url: string; headers: IncomingMessage['headers']; body: string }
const open: { server: Server; egress: Egress }[] = [];
afterEach(async () => {
  for (const { server, egress } of open.splice(0)) {
    server.closeAllConnections();
    server.close();
    await egress.close();
  }
});

const acme = tenantSlug('acme');
if (!acme) throw new Error('acme is a slug');

async function backend(answer: (request: IncomingMessage, response: ServerResponse) => void, options: Partial<RestBackendOptions> = {}) {
  const seen: Seen[] = [];
  let sockets = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
    request.on('end', () => {
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      answer(request, response);
    });
  }).on('connection', () => { sockets += 1; });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const egress = createEgress({ allow: ['127.0.0.1'] });
  open.push({ server, egress });
  const rest = new RestBackend({ outbound: egress, version: '1.2.3', credentials: { resolve: () => 'unset' }, ...options });
  return { rest, baseUrl, seen, sockets: () => sockets };
}

interface Shape {
  binding?: Partial<RestBinding>;
  input?: Record<string, unknown>;
  target?: Partial<Target>;
  slots?: Record<string, CredentialSlot>;
  credentials?: Record<string, CredentialReference>;
  signal?: AbortSignal;
  trace?: { traceparent: string; tracestate?: string };
}
function call(baseUrl: string, shape: Shape = {}): ValidatedCall {
  const binding: RestBinding = { kind: 'rest', method: 'GET', baseUrl, path: '/pets', parameters: [], accept: 'application/json', security: [], ...shape.binding };
  const target = { kind: 'tool', name: 'list_pets', tenant: acme, timeoutMs: 5_000, definitions: {}, inputSchema: true, backend: binding, ...shape.target } as Target;
  return {
    requestId: 'req-1', input: shape.input ?? {}, target,
    api: { name: 'petstore', tenant: acme, baseUrl: undefined, slots: shape.slots ?? {}, credentials: shape.credentials ?? {} },
    principal: { tenant: acme }, exchange: { signal: shape.signal ?? new AbortController().signal },
    traceparent: shape.trace?.traceparent, tracestate: shape.trace?.tracestate,
  } as unknown as ValidatedCall;
}
const param = (argument: string, where: RestParameter['in'], more: Partial<RestParameter> = {}): RestParameter =>
  ({ argument, name: argument, in: where, style: where === 'path' || where === 'header' ? 'simple' : 'form', explode: where === 'query' || where === 'cookie', allowReserved: false, required: false, ...more });

async function toolResult(rest: RestBackend, made: ValidatedCall): Promise<ToolResult> {
  const answer = await rest.invoke(made);
  if (answer instanceof Denial) throw new Error(`denied: ${answer.message}`);
  if (answer.result.type !== 'tool') throw new Error('not a tool result');
  return answer.result;
}
const textOf = (result: ToolResult): string => result.content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
const json = (value: unknown) => (_request: IncomingMessage, response: ServerResponse): void => { response.setHeader('content-type', 'application/json').end(JSON.stringify(value)); };

describe('a call to a REST backend', () => {
  it('puts path, query, header, cookie and body where the document says, and nowhere else', async () => {
    const { rest, baseUrl, seen } = await backend(json({ ok: true }));
    const result = await toolResult(rest, call(baseUrl, {
      binding: {
        method: 'POST', path: '/pets/{id}', parameters: [param('id', 'path'), param('limit', 'query'), param('X-Trace', 'header'), param('session', 'cookie')],
        body: { argument: 'body', required: true, content: { mediaType: 'application/json', kind: 'json' } },
      },
      input: { id: 7, limit: 0, 'X-Trace': 'yes', session: 's1', body: { name: 'Rex', tags: [] } },
    }));
    expect(result).toMatchObject({ isError: false, backendStatus: 200, structuredJson: '{"ok":true}' });
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/pets/7?limit=0', body: '{"name":"Rex","tags":[]}' });
    expect(seen[0]?.headers).toMatchObject({ 'x-trace': 'yes', cookie: 'session=s1', 'content-type': 'application/json', accept: 'application/json' });
  });
});
