import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Said { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown }
/** Answers in place of the right ones, by `METHOD path`; `base` is the server's own address. */
export type Faults = (base: string) => Readonly<Record<string, Said | ((request: IncomingMessage, body: string) => Said)>>;

/** An MCP server and its issuer, both right, on one loopback address; each answer can be replaced by a wrong one. */
export async function startScripted(faults: Faults = () => ({})): Promise<{ readonly base: string; readonly registered: Set<string>; readonly close: () => Promise<void> }> {
  const registered = new Set<string>();
  const open = { 'access-control-allow-origin': '*' };
  const answers = (base: string): ReturnType<Faults> => ({
    'POST /mcp': ({ headers }) => (headers.authorization === 'Bearer good' ? { status: 200, body: { jsonrpc: '2.0', id: 0, result: {} } } : { status: 401, headers: { 'www-authenticate': `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"` } }),
    'GET /.well-known/oauth-protected-resource/mcp': { status: 200, headers: open, body: resourceOf(base) },
    'GET /.well-known/oauth-authorization-server/realms/stoa': { status: 200, headers: open, body: serverOf(base) },
    'POST /realms/stoa/register': (_request, body) => {
      registered.add('c1');
      return { status: 201, body: { client_id: 'c1', redirect_uris: (JSON.parse(body) as { redirect_uris: string[] }).redirect_uris, registration_client_uri: `${base}/realms/stoa/register/c1`, registration_access_token: 'r' } };
    },
    'DELETE /realms/stoa/register/c1': () => { registered.delete('c1'); return { status: 204 }; },
    'GET /realms/stoa/auth': { status: 200, headers: { 'content-type': 'text/html' }, body: '<form action="/login">' },
    'POST /realms/stoa/token': { status: 400, body: { error: 'invalid_grant', error_description: 'Code not valid' } },
  });
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; }).on('end', () => {
      const route = `${request.method ?? ''} ${(request.url ?? '').split('?', 1)[0] ?? ''}`;
      const known = { ...answers(base), ...faults(base) }[route] ?? { status: 404, body: { detail: 'Not Found' } };
      const { status, headers = {}, body: content } = typeof known === 'function' ? known(request, body) : known;
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(content === undefined ? undefined : typeof content === 'string' ? content : JSON.stringify(content));
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { base, registered, close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(() => { resolve(); }); }) };
}

export const resourceOf = (base: string, more: object = {}): object => ({ resource: `${base}/mcp`, authorization_servers: [`${base}/realms/stoa`], scopes_supported: ['stoa:read', 'stoa:write'], bearer_methods_supported: ['header'], ...more });
export const serverOf = (base: string, more: object = {}): object => ({
  issuer: `${base}/realms/stoa`, authorization_endpoint: `${base}/realms/stoa/auth`, token_endpoint: `${base}/realms/stoa/token`, registration_endpoint: `${base}/realms/stoa/register`,
  response_types_supported: ['code'], grant_types_supported: ['authorization_code', 'refresh_token'], code_challenge_methods_supported: ['plain', 'S256'], ...more,
});
