import { hash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { Denial } from '#libs/core/errors.js';
import type { Principal } from '#libs/core/principal.js';
import type { CredentialReference, CredentialSlot, TokenClient } from '#libs/core/rest-binding.js';
import { createTokenCredentials } from '#libs/credentials/token-credentials.js';
import { createEgress } from '#libs/egress/egress.js';
import { principal } from '../fake-gateway.js';
import { type Gateway, gatewayWith, type Offer, published } from './gateway.js';
import { graphqlKind } from './graphql-kind.js';
import { grpcKind } from './grpc-kind.js';
import type { Kind, Running } from './kind.js';
import { bodyOf, listen, restKind } from './rest-kind.js';
import { Shop } from './shop.js';

const KINDS: readonly Kind[] = [restKind, graphqlKind, grpcKind];
const SECRET = 'hunter2:correct-horse';

/** An identity provider: exchanges what it issued, and gives tokens to a client; it writes down what it is shown. */
async function issuer() {
  const shown: Record<string, string>[] = [];
  let issued = 0;
  const server = await listen(new Shop(), async (request, response) => {
    const origin = `http://127.0.0.1:${server.port}`;
    const answer = (value: object): void => { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value)); };
    if (request.method === 'GET') return answer({ issuer: origin, token_endpoint: `${origin}/token` });
    const form = Object.fromEntries(new URLSearchParams(await bodyOf(request)));
    shown.push(form);
    issued += 1;
    const subject = /^inbound-(\w+)-/.exec(form['subject_token'] ?? '')?.[1] ?? 'client';
    return answer({ access_token: `minted-${subject}-${issued}`, token_type: 'Bearer', expires_in: 300 });
  });
  return { url: `http://127.0.0.1:${server.port}`, shown, close: server.close };
}

/** Every way in which a caller's token might be written. */
const forms = (token: string): string[] => [
  token, encodeURIComponent(token), Buffer.from(token).toString('base64'), Buffer.from(`Bearer ${token}`).toString('base64'), Buffer.from(token).toString('base64url'), Buffer.from(token).toString('hex'),
  ...(['hex', 'base64', 'base64url'] as const).map((encoding) => hash('sha256', token, encoding)),
];

const bound = (slot: CredentialSlot, reference: CredentialReference): Partial<Offer> => ({ slots: { auth: slot }, credentials: { auth: reference }, security: [['auth']] });

describe.each(KINDS)('credentials of a backend of kind $kind', ({ kind, start }) => {
  const shop = new Shop();
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const principals = new Map<string, Principal>();
  let idp: Awaited<ReturnType<typeof issuer>>;
  let running: Running;
  let gateway: Gateway;
  let client: TokenClient;

  beforeAll(async () => {
    [idp, running] = await Promise.all([issuer(), start(shop)]);
    client = { clientId: 'stoa', secret: { from: 'environment', name: 'there' }, audience: 'shop' };
    const credentials = createTokenCredentials({ outbound: egress, secrets: { resolve: () => SECRET } });
    const verify = (token: string): Principal | Denial => {
      const [, subject] = /^inbound-(\w+)-/.exec(token) ?? [];
      if (subject === undefined) return new Denial({ code: 'UNAUTHENTICATED', message: 'no' });
      const known = principals.get(token) ?? { ...principal('acme', 'viewer'), subject, issuer: idp.url };
      principals.set(token, known);
      return known;
    };
    gateway = await gatewayWith(kind, (validator) => running.backend({ outbound: egress, credentials, checkOutput: (target, value) => validator.checkOutput(target, value) }), {
      authenticate: (server) => { installDoor(server, { verifier: { verify }, isPublic: publicRoutes([]), resourceMetadataUrl: 'http://g/.well-known/x', sealsTokens: true }); },
    });
  });
  afterEach(() => { shop.reset(); idp.shown.length = 0; });
  afterAll(async () => { await gateway.app.close(); await running.close(); await idp.close(); await egress.close(); });

  const nameOf = (operation: string): string => running.document.tools.find(({ operationId }) => operationId?.toLowerCase() === operation.toLowerCase())?.name ?? operation;
  const offer = (more: Partial<Offer>): void => { const { api, targets } = published({ document: running.document, name: 'shop', baseUrl: running.baseUrl, ...more }); gateway.fake.catalogue.put('acme', targets, [api]); };
  const call = (token: string, operation: string, plain: Readonly<Record<string, unknown>>, headers: Readonly<Record<string, string>> = {}) =>
    gateway.app.inject({ method: 'POST', url: `/mcp/v1/tools/${nameOf(operation)}/invoke`, payload: { arguments: running.args(operation, plain) }, headers: { authorization: `Bearer ${token}`, ...headers } });
  const SECRET_OF: CredentialReference = { from: 'environment', name: 'there' };
  const own = (): CredentialReference => ({ from: 'client-credentials', tokenUrl: `${idp.url}/token`, ...client });
  const exchange = (): CredentialReference => ({ from: 'token-exchange', ...client });

  it.each<[string, () => Partial<Offer>, number]>([
    ['none', () => ({}), 0],
    ['bearer', () => bound({ type: 'bearer' }, SECRET_OF), 0], ['basic', () => bound({ type: 'basic' }, SECRET_OF), 0],
    ['a key in a header', () => bound({ type: 'apiKey', in: 'header', name: 'X-Key' }, SECRET_OF), 0], ['a key in the query', () => bound({ type: 'apiKey', in: 'query', name: 'key' }, SECRET_OF), 0], ['a key in a cookie', () => bound({ type: 'apiKey', in: 'cookie', name: 'key' }, SECRET_OF), 0],
    ['a client certificate', () => ({ credentials: { 'client-certificate': SECRET_OF } }), 0],
    ['trust headers', () => ({ credentials: { gateway: SECRET_OF } }), 0],
    ['client credentials', () => bound({ type: 'bearer' }, own()), 0],
    ['token exchange', () => bound({ type: 'bearer' }, exchange()), 1],
  ])('by %s never show the backend the token of the caller, in any form', async (_mode, given, exchanges) => {
    const token = `inbound-ada-${Math.random().toString(36).slice(2)}`;
    offer(given());
    expect((await call(token, 'act', { how: 'fine' }, { 'x-caller': 'x', cookie: `session=${token}`, 'x-forwarded-authorization': token })).statusCode).toBe(200);
    expect(shop.received).toHaveLength(1);
    const seen = JSON.stringify(shop.received);
    for (const form of forms(token)) expect(seen).not.toContain(form);
    // Its own issuer alone is shown it, and only to exchange it.
    expect(idp.shown.filter((form) => JSON.stringify(form).includes(token))).toHaveLength(exchanges);
    const kept = JSON.stringify([gateway.records(), gateway.fake.rawLogs()]);
    for (const form of forms(token)) expect(kept).not.toContain(form);
  });

  it('on behalf of two callers never cross, in 1,000 calls that run at the same time', async () => {
    offer(bound({ type: 'bearer' }, exchange()));
    const callers = ['ada', 'bob'].map((subject) => ({ subject, token: `inbound-${subject}-1` }));
    const ended = await Promise.all(Array.from({ length: 1000 }, async (_, at) => {
      const caller = callers[at % 2] ?? { subject: '', token: '' };
      return (await call(caller.token, 'act', { how: `as ${caller.subject}` })).statusCode;
    }));
    expect(new Set(ended)).toEqual(new Set([200]));
    expect(shop.received).toHaveLength(1000);
    for (const { args, headers } of shop.received) expect(headers['authorization']).toMatch(new RegExp(`^Bearer minted-${String(args['how']).slice(3)}-`));
    expect(idp.shown.map((form) => form['subject_token']).toSorted((a = '', b = '') => a.localeCompare(b))).toEqual(['inbound-ada-1', 'inbound-bob-1']);
  });

  it('that a backend refuses with 401 are had anew, once, and the call is made again', async () => {
    offer(bound({ type: 'bearer' }, { ...own(), scope: 'renewed' } as CredentialReference));
    const refused = new Set<string>();
    shop.prove = ({ headers }) => { const sent = headers['authorization'] ?? ''; if (refused.size > 0) return refused.has(sent) ? 'revoked' : undefined; refused.add(sent); return 'revoked'; };
    expect((await call('inbound-ada-1', 'act', { how: 'fine' })).statusCode).toBe(200);
    expect([shop.received.length, idp.shown.length]).toEqual([2, 2]);
    shop.prove = () => 'revoked';
    expect((await call('inbound-ada-1', 'act', { how: 'fine' })).statusCode).toBe(502);
    expect([shop.received.length, idp.shown.length]).toEqual([3, 2]);
  });

  it('of trust say that the gateway asks, and for whom; what a caller sends under those names is nothing', async () => {
    offer({ credentials: { gateway: SECRET_OF } });
    await call('inbound-ada-2', 'act', { how: 'fine' }, { 'x-gateway-auth': 'forged', 'x-user-id': 'root' });
    expect(shop.received.at(-1)?.headers).toMatchObject({ 'x-gateway-auth': SECRET, 'x-user-id': 'ada' });
    shop.prove = ({ headers }) => (headers['x-gateway-auth'] === SECRET ? undefined : 'not from the gateway');
    expect((await call('inbound-ada-2', 'act', { how: 'fine' })).statusCode).toBe(200);
    offer({});
    const { statusCode } = await call('inbound-ada-2', 'act', { how: 'fine' }, { 'x-gateway-auth': SECRET });
    expect([statusCode, shop.received.at(-1)?.headers['x-gateway-auth']]).toEqual([502, undefined]);
  });
});
