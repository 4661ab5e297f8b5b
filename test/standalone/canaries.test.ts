import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { built, freshHome, gone, type Product, startProduct, stoa } from './product.js';

const { home, remove } = freshHome();
let product: Product;
let backend: Server;
/** By the place it was put: a value that nothing else is. `echoed`: an answer to the same caller may say it. */
const canaries = new Map<string, { readonly value: string; readonly echoed: boolean }>();
const answers: { readonly to: string; readonly text: string }[] = [];
const canary = (place: string, make: (random: string) => string = (random) => `CANARY${random}`, echoed = false): string => {
  let known = canaries.get(place);
  if (!known) canaries.set(place, known = { value: make(randomBytes(12).toString('hex')), echoed });
  return known.value;
};
/** What was issued while the test ran: its own answer holds it, and nothing else may. */
const issued = (place: string, value: string): string => canary(place, () => value, true);
/** The part of a token that makes it one. */
const tail = (token: string): string => token.slice(-40);

const BACKEND = { bearer: 'STOA_CREDENTIAL_ACME_BEARER', header: 'STOA_CREDENTIAL_ACME_HEADER', query: 'STOA_CREDENTIAL_ACME_QUERY' };

beforeAll(async () => {
  built();
  backend = createServer((request, response) => {
    request.resume();
    const { pathname } = new URL(request.url ?? '', 'http://b');
    // A backend that quotes all that it was sent, one that fails with it, one that says nothing, one that hangs up in the middle.
    const quoted = JSON.stringify({ url: request.url, headers: request.headers });
    if (pathname.endsWith('/hangup')) { response.writeHead(200, { 'content-length': '1000', 'content-type': 'application/json' }).write(quoted.slice(0, 20)); response.destroy(); return; }
    if (pathname.endsWith('/silence')) return;
    const status = pathname.endsWith('/fail') ? 500 : pathname.endsWith('/refuse') ? 401 : pathname.endsWith('/move') ? 302 : 200;
    response.writeHead(status, { 'content-type': pathname.endsWith('/text') ? 'text/plain' : 'application/json', 'www-authenticate': `Bearer realm="${request.headers.authorization ?? ''}"`, location: `http://127.0.0.1:1/?k=${request.headers.authorization ?? ''}` }).end(quoted);
  }).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  mkdirSync(join(home, 'credentials', 'acme'), { recursive: true });
  writeFileSync(join(home, 'credentials', 'acme', 'basic'), `user:${canary('backend credential: basic, from a file')}`);
  product = await startProduct(home, {
    LOG_LEVEL: 'trace', [BACKEND.bearer]: canary('backend credential: bearer'), [BACKEND.header]: canary('backend credential: header'), [BACKEND.query]: canary('backend credential: query'),
    JWT_SECRET_KEY: canary('configuration: shared secret', (random) => `CANARY-secret-of-32-bytes-${random}`), JWT_ISSUER: 'upstream', JWT_AUDIENCE: 'mcp-gateway', STATIC_TOKENS: `demo@acme:viewer=${canary('configuration: static token')}`,
  });
}, 90_000);
afterAll(async () => {
  backend.close();
  await product.stop('SIGKILL');
  await gone(product.url);
  remove();
});

const b64 = (text: string): string => Buffer.from(text).toString('base64url');
async function send(to: string, path: string, init: RequestInit = {}): Promise<{ readonly status: number; readonly text: string }> {
  const reply = await fetch(product.url + path, { redirect: 'manual', signal: AbortSignal.timeout(10_000), ...init });
  const text = await reply.text();
  answers.push({ to, text: `${JSON.stringify([...reply.headers])}\n${text}` });
  return { status: reply.status, text };
}
const json = (body: unknown, headers: Record<string, string> = {}, method = 'POST'): RequestInit => ({ method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
const modern = (method: string, params: Record<string, unknown>, headers: Record<string, string>): RequestInit => json(
  { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } } } },
  { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}), ...headers });
const legacy = (headers: Record<string, string>): RequestInit => json({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } } }, { accept: 'application/json, text/event-stream', ...headers });

/** The same credential at each kind of door. */
async function everywhere(place: string, headers: Record<string, string>, query = ''): Promise<void> {
  await send(place, `/mcp/v1/tools${query}`, { headers });
  await send(place, `/mcp/v1/tools/list_pets/invoke${query}`, json({ arguments: {} }, headers));
  await send(place, `/mcp${query}`, modern('tools/list', {}, headers));
  await send(place, `/mcp${query}`, legacy(headers));
  await send(place, `/admin/v1/tenants${query}`, { headers });
  await send(place, `/v1/token/exchange${query}`, json({ tools: ['list_pets'] }, headers));
  await send(place, `/no/such/path${query}`, { headers });
}

it('fifty secrets, one in every place that takes one, are in no log line, number, record, file or answer', { timeout: 120_000 }, async () => {
  const token = async (role: string, tenant?: string): Promise<string> => issued(`token of ${role}`, (await stoa(home, ['token', '--role', role, ...(tenant === undefined ? [] : ['--tenant', tenant])])).stdout.trim());
  const admin = { authorization: `Bearer ${await token('tenant-admin', 'acme')}` };
  const viewer = { authorization: `Bearer ${await token('viewer', 'acme')}` };
  await token('cpi-admin');

  // Credentials of callers: wrong ones, in each form and place.
  const forged = (place: string, header: object): string => `${b64(JSON.stringify(header))}.${b64(JSON.stringify({ sub: canary(`${place}: claim`, undefined), iss: 'https://evil.test' }))}.${canary(`${place}: signature`, (random) => `CANARY${random}${random}`)}`;
  await everywhere('opaque bearer', { authorization: `Bearer ${canary('opaque bearer')}` });
  await everywhere('bearer of none', { authorization: `Bearer ${forged('bearer of none', { alg: 'none' })}` });
  await everywhere('bearer of RS256', { authorization: `Bearer ${forged('bearer of RS256', { alg: 'RS256', kid: canary('kid of a bearer') })}` });
  await everywhere('bearer of HS256', { authorization: `Bearer ${forged('bearer of HS256', { alg: 'HS256', kid: 'x' })}` });
  await everywhere('capability bearer', { authorization: `Bearer ${forged('capability bearer', { alg: 'EdDSA', typ: 'stoa-capability+jwt' })}` });
  await everywhere('API key as bearer', { authorization: `Bearer ${canary('API key as bearer', (random) => `stoa_sk_${random}${random}`)}` });
  await everywhere('API key header', { 'x-api-key': canary('API key header', (random) => `stoa_sk_${random}${random}`) });
  await everywhere('API key of another form', { 'x-api-key': canary('API key of another form') });
  await everywhere('Basic', { authorization: `Basic ${Buffer.from(`client:${canary('Basic: secret')}`).toString('base64')}` });
  canary('Basic: as sent', () => Buffer.from(`client:${canary('Basic: secret')}`).toString('base64'));
  await everywhere('another scheme', { authorization: `Digest ${canary('another scheme')}` });
  await everywhere('X-Debug-User', { 'x-debug-user': canary('X-Debug-User') });
  await everywhere('cookie', { ...viewer, cookie: `session=${canary('cookie')}` });
  await everywhere('proxy authorization', { ...viewer, 'proxy-authorization': `Basic ${canary('proxy authorization')}` });
  await everywhere('two credentials', { ...viewer, 'x-api-key': canary('second credential', (random) => `stoa_sk_${random}${random}`) });
  for (const name of ['access_token', 'token', 'api_key', 'code']) await everywhere(`query ${name}`, viewer, `?${name}=${canary(`query ${name}`)}`);
  await everywhere('static token', { authorization: `Bearer ${canary('configuration: static token')}` });

  // Sealed values and sessions that were made up.
  await send('session', '/mcp', { ...legacy(viewer), headers: { ...viewer, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-session-id': canary('session id') }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }) });
  await send('cursor', '/mcp', modern('tools/list', { cursor: canary('cursor') }, viewer));
  await send('request state', '/mcp', modern('tools/call', { name: 'remove_pet', arguments: { petId: 1 }, requestState: canary('request state'), inputResponses: { stoa_confirm: { action: 'accept', content: { confirm: canary('input response') } } } }, admin));
  await send('confirm token', '/mcp/v1/tools/remove_pet/invoke', json({ arguments: { petId: 1 }, confirm_token: canary('confirm token') }, admin));
  await send('confirm header', '/mcp/v1/tools/remove_pet/invoke', json({ arguments: { petId: 1 } }, { ...admin, 'x-confirm-token': canary('confirm header') }));

  // Routes that take secrets in their body.
  const form = (fields: Record<string, string>): RequestInit => ({ method: 'POST', headers: viewer, body: new URLSearchParams(fields) });
  await send('subject token', '/v1/token/exchange', form({ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: canary('subject token'), subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', tools: 'list_pets' }));
  await send('actor token', '/v1/token/exchange', json({ tools: ['list_pets'], actor_token: canary('actor token') }, viewer));
  await send('introspected', '/v1/token/introspect', json({ token: canary('introspected') }, admin));
  await send('revoked', '/v1/token/revoke', json({ token: canary('revoked') }, admin));
  for (const [grant, fields] of [['client_credentials', {}], ['authorization_code', { code: canary('issuer: code'), redirect_uri: 'http://127.0.0.1/cb', code_verifier: canary('issuer: verifier', (random) => `CANARY${random}${random}`) }], ['refresh_token', { refresh_token: canary('issuer: refresh token') }]] as const) {
    await send(`issuer: ${grant}`, '/oidc/token', { method: 'POST', headers: { authorization: `Basic ${Buffer.from(`stoa-cli:${canary('issuer: client secret')}`).toString('base64')}` }, body: new URLSearchParams({ grant_type: grant, ...fields }) });
  }

  // Bodies that no parser takes, and arguments that say what they are.
  await send('broken JSON', '/mcp', { method: 'POST', headers: { ...viewer, 'content-type': 'application/json' }, body: `{"jsonrpc": "2.0", "token": "${canary('broken JSON')}` });
  await send('broken JSON', '/mcp/v1/tools/get_pet/invoke', { method: 'POST', headers: { ...viewer, 'content-type': 'application/json' }, body: `{"arguments": "${canary('broken JSON over REST')}` });
  const known: Readonly<Record<string, (random: string) => string>> = {
    'AWS key': (random) => `AKIA${random.toUpperCase().slice(0, 16)}`, 'GitHub token': (random) => `ghp_${random}${random}`.slice(0, 44), 'Stripe key': (random) => `sk_live_${random}`, 'Slack token': (random) => `xoxb-${random}`,
    'Stoa key': (random) => `stoa_sk_${random}`, 'JWT': (random) => `eyJhbGciOiJub25lIn0.${b64(random)}.${random}`, 'mail address': (random) => `canary${random}@example.com`,
  };
  for (const [kind, make] of Object.entries(known)) {
    const place = `argument: ${kind}`;
    // The caller may read its own mistake; the record may not.
    await send(place, '/mcp/v1/tools/get_pet/invoke', json({ arguments: { petId: canary(place, make, true) } }, viewer));
    await send(place, '/mcp', modern('tools/call', { name: 'add_pet', arguments: { body: { name: canary(place), status: 'available' } } }, admin));
    await send(place, '/mcp', modern('tools/call', { name: canary(place), arguments: {} }, viewer));
  }

  // Backends: each credential in its place, quoted back by each kind of answer.
  const base = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
  const schemes = { bearer: { type: 'http', scheme: 'bearer' }, basic: { type: 'http', scheme: 'basic' }, header: { type: 'apiKey', in: 'header', name: 'x-key' }, query: { type: 'apiKey', in: 'query', name: 'key' } };
  const kinds = ['ok', 'text', 'fail', 'refuse', 'move', 'hangup', 'silence'];
  await send('import', '/admin/v1/tenants/acme/apis', json({ name: 'quoting', toolDefaults: { timeoutMs: 300 }, source: { inline: JSON.stringify({
    openapi: '3.1.0', info: { title: 'Quoting', version: '1' }, servers: [{ url: base }], components: { securitySchemes: schemes },
    paths: Object.fromEntries(Object.keys(schemes).flatMap((scheme) => kinds.map((kind) => [`/${scheme}/${kind}`, { get: { operationId: `${scheme}_${kind}`, security: [{ [scheme]: [] }], responses: { 200: { description: 'ok' } } } }]))),
  }) } }, admin));
  for (const slot of Object.keys(schemes)) expect((await send('credential', `/admin/v1/tenants/acme/apis/quoting/credentials/${slot}`, json({ from: slot === 'basic' ? 'file' : 'environment', name: slot }, admin, 'PUT'))).status).toBeLessThan(300);
  let quoted = 0;
  for (const slot of Object.keys(schemes)) for (const kind of kinds) {
    const { text } = await send('backend', `/mcp/v1/tools/${slot}_${kind}/invoke`, json({ arguments: {} }, viewer));
    if (text.includes(`/${slot}/${kind}`)) quoted += 1;
    await send('backend', '/mcp', modern('tools/call', { name: `${slot}_${kind}`, arguments: {} }, viewer));
  }
  // The backend did quote what it was sent.
  expect(quoted).toBeGreaterThanOrEqual(8);
  canary('backend credential: basic, as sent', () => Buffer.from(readFileSync(join(home, 'credentials', 'acme', 'basic'))).toString('base64'));
  await send('document URL', '/admin/v1/tenants/acme/apis', json({ name: 'far', source: { url: `${base}/doc?token=${canary('document URL: query', undefined, true)}` } }, admin));
  await send('document URL', '/admin/v1/tenants/acme/apis', json({ name: 'far2', source: { url: `http://user:${canary('document URL: password', undefined, true)}@127.0.0.1:1/doc` } }, admin));

  // What the product itself hands out.
  const made = JSON.parse((await send('key', '/admin/v1/tenants/acme/keys', json({ name: 'k', tools: ['list_pets'] }, admin))).text) as { secret: string; key: { id: string } };
  await everywhere('own key', { authorization: `Bearer ${issued('own key', made.secret)}` });
  const rotated = JSON.parse((await send('key', `/admin/v1/tenants/acme/keys/${made.key.id}/rotate`, json({}, admin))).text) as { secret: string };
  await everywhere('rotated key', { authorization: `Bearer ${issued('rotated key', rotated.secret)}` });
  const capability = (JSON.parse((await send('capability', '/v1/token/exchange', json({ tools: ['list_pets'], one_time: true }, viewer))).text) as { access_token: string }).access_token;
  issued('capability token', tail(capability));
  await everywhere('capability', { authorization: `Bearer ${capability}` });
  const asked = JSON.parse((await send('confirmation', '/mcp/v1/tools/remove_pet/invoke', json({ arguments: { petId: 3 } }, admin))).text) as { confirm_token: string };
  await send('confirmation', '/mcp/v1/tools/remove_pet/invoke', json({ arguments: { petId: 3 }, confirm_token: issued('own confirm token', asked.confirm_token) }, admin));
  for (const role of ['tenant-admin', 'viewer', 'cpi-admin']) canary(`signature of ${role}`, () => tail(canary(`token of ${role}`)), true);
  canary('secret of the command line', () => (JSON.parse(readFileSync(join(home, 'cli.json'), 'utf8')) as { clientSecret: string }).clientSecret);

  const metrics = (await (await fetch(`${product.url}/metrics`)).text());
  const usage = await send('usage', '/admin/v1/usage', { headers: admin });
  await product.stop();

  expect(canaries.size).toBeGreaterThanOrEqual(50);
  const sinks: { readonly name: string; readonly text: string }[] = [{ name: 'the log', text: product.output }, { name: 'metrics', text: metrics }, { name: 'usage', text: usage.text }];
  // What was written down on purpose: the test's own credential file, the connection of the command line, the issuer's keys and clients.
  for (const entry of readdirSync(home, { recursive: true, withFileTypes: true })) {
    const path = relative(home, join(entry.parentPath, entry.name));
    if (entry.isFile() && !/^(credentials|cli\.json|client-config\.json|issuer)/.test(path)) sinks.push({ name: path, text: readFileSync(join(home, path), 'latin1') });
  }
  expect(product.output.split('\n').length).toBeGreaterThan(300);
  expect(sinks.some(({ name }) => name.startsWith('journal'))).toBe(true);
  const found: string[] = [];
  for (const [place, { value, echoed }] of canaries) {
    for (const sink of sinks) if (sink.text.includes(value)) found.push(`${place} is in ${sink.name}`);
    if (!echoed) for (const answer of answers) if (answer.text.includes(value)) found.push(`${place} is in an answer to ${answer.to}: ${answer.text.slice(0, 300)}`);
  }
  console.info(`canaries: ${canaries.size} secrets, ${answers.length} answers, ${product.output.split('\n').length} lines of log, ${sinks.length - 3} files, ${found.length} found`);
  expect([...new Set(found)]).toEqual([]);
});
