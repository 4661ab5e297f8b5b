import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLocalJWKSet, createRemoteJWKSet, decodeJwt, decodeProtectedHeader, importJWK, importSPKI, type JWK, type JWTVerifyOptions, jwtVerify } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { restDoor } from './doors.js';
import { type LocalMint, localMint } from './mint.js';
import { runSuite, startCanary } from './suite.js';

const AUDIENCE = 'https://gw.example/mcp';
let mint: LocalMint;
let keys: { readonly keys: JWK[] };
let canary: Awaited<ReturnType<typeof startCanary>>;
beforeAll(async () => {
  mint = await localMint({ audience: AUDIENCE });
  keys = await (await fetch(`${mint.issuer}/certs`)).json() as typeof keys;
  canary = await startCanary();
});
afterAll(async () => { await mint.close(); canary.close(); });

/** A resource server as they are often written: correct enough, but for what `defect` makes of it. Answers whether the request is let in. */
type Defect = (token: string, request: IncomingMessage) => Promise<unknown>;
const STRICT: JWTVerifyOptions = { audience: AUDIENCE, algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'], requiredClaims: ['exp', 'iat', 'sub', 'aud', 'iss'], clockTolerance: 30 };
const strict = (token: string, more: Partial<JWTVerifyOptions> = {}): Promise<unknown> => jwtVerify(token, createLocalJWKSet(keys), { ...STRICT, issuer: mint.issuer, ...more });
const bearerOf = ({ headers, url = '' }: IncomingMessage, query = false): string | undefined => /^bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? (query ? new URL(url, 'http://x').searchParams.get('access_token') ?? undefined : undefined);

async function faultsOf(defect: Defect, { query = false, challenge = 'Bearer resource_metadata="https://gw.example/.well-known/oauth-protected-resource"' } = {}, only?: ReadonlySet<number>): Promise<ReadonlySet<number>> {
  const server = createServer((request, response) => {
    const token = bearerOf(request, query);
    const answer = (status: number, headers: Record<string, string> = {}): void => { response.writeHead(status, { 'content-type': 'application/json', ...headers }).end('{"tools":[]}'); };
    void (async () => {
      try {
        if (token === undefined) throw new Error('no token');
        await defect(token, request);
        answer(200);
      } catch { answer(401, challenge === '' ? {} : { 'www-authenticate': challenge }); }
    })();
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  try {
    // What needs tenants, policy or another key is not this server's to show.
    const numbers = only ?? new Set(Array.from({ length: 30 }, (_, at) => at + 1).filter((number) => number !== 20));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const caller = { tenant: 'acme', role: 'tenant-admin' };
    const { verdicts } = await runSuite({ mint, canary, doors: [restDoor(url)], owner: caller, stranger: { ...caller, tenant: 'globex' }, wait: async () => undefined }, numbers);
    return new Set(verdicts.filter(({ faults }) => faults.length > 0).map(({ number }) => number));
  } finally {
    await new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); });
  }
}
const key = async (token: string, from: 'jwk' | 'jku'): Promise<unknown> => {
  const header = decodeProtectedHeader(token);
  if (from === 'jwk' && header.jwk) return jwtVerify(token, await importJWK(header.jwk, header.alg), { ...STRICT, issuer: mint.issuer });
  if (from === 'jku' && typeof header.jku === 'string') return jwtVerify(token, createRemoteJWKSet(new URL(header.jku)), { ...STRICT, issuer: mint.issuer });
  return strict(token);
};

it.each<{ name: string; defect: Defect; catches: readonly number[]; how?: { query?: boolean; challenge?: string } }>([
  { name: 'signatures that nobody checks', defect: async (token) => decodeJwt(token), catches: [3, 4, 5, 6, 9, 10, 12, 14, 15, 17, 18, 19] },
  { name: 'alg none', defect: async (token) => (/^none$/i.test(decodeProtectedHeader(token).alg ?? '') ? decodeJwt(token) : strict(token)), catches: [3] },
  { name: 'the public key as a shared secret', defect: async (token) => (decodeProtectedHeader(token).alg === 'HS256' ? jwtVerify(token, new TextEncoder().encode(mint.publicPem)) : strict(token)), catches: [4] },
  { name: 'one key for every kid', defect: async (token) => { const { alg = '' } = decodeProtectedHeader(token); return alg === 'RS256' ? jwtVerify(token, await importSPKI(mint.publicPem, alg), { ...STRICT, issuer: mint.issuer }) : strict(token); }, catches: [6, 8] },
  { name: 'the key in the header', defect: (token) => key(token, 'jwk'), catches: [9] },
  { name: 'the key set that the header names', defect: (token) => key(token, 'jku'), catches: [9] },
  { name: 'tokens without end', defect: (token) => strict(token, { clockTolerance: 1e12 }), catches: [10, 11] },
  { name: 'no tolerance of clocks', defect: (token) => strict(token, { clockTolerance: 0 }), catches: [10] },
  { name: 'exp not required', defect: (token) => strict(token, { requiredClaims: ['sub', 'aud', 'iss'] }), catches: [12] },
  { name: 'any audience', defect: async (token) => { const { aud } = decodeJwt(token); return strict(token, { audience: aud ?? [] }); }, catches: [15, 17] },
  { name: 'an audience by its beginning', defect: async (token) => { const { aud } = decodeJwt(token); return strict(token, typeof aud === 'string' && aud.startsWith(AUDIENCE) ? { audience: aud } : {}); }, catches: [17] },
  { name: 'the first audience alone', defect: async (token) => { const { aud } = decodeJwt(token); if (Array.isArray(aud) && aud[0] !== AUDIENCE) throw new Error('aud'); return strict(token); }, catches: [16] },
  { name: 'any realm', defect: async (token) => strict(token, { issuer: decodeJwt(token).iss ?? '' }), catches: [18, 19] },
  { name: 'a token in the query', defect: (token) => strict(token), how: { query: true }, catches: [23] },
  { name: 'a challenge without metadata', defect: (token) => strict(token), how: { challenge: 'Bearer' }, catches: [3, 10, 15] },
  { name: 'no challenge', defect: (token) => strict(token), how: { challenge: '' }, catches: [3, 10, 15] },
  { name: 'RS256 alone', defect: (token) => strict(token, { algorithms: ['RS256'] }), catches: [2] },
])('catches $name', { timeout: 60_000 }, async ({ defect, catches, how }) => {
  // The flood takes long and shows nothing here.
  const found = await faultsOf(defect, how, new Set([...catches, 1]));
  expect([...found].filter((number) => number !== 1 || catches.includes(1))).toEqual([...catches]);
});

it('finds in a server that only calls jose what it was not told of: kinds of tokens, doubled claims, the form of the request', { timeout: 60_000 }, async () => {
  const found = await faultsOf((token) => strict(token));
  for (const number of [21, 22, 28]) expect(found).toContain(number);
  for (const number of [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 14, 15, 16, 17, 18, 19, 23, 29]) expect(found).not.toContain(number);
});
