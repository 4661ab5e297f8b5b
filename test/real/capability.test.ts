import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ExchangeRefused, type Wanted } from '#libs/capability/authority.js';
import { type Capabilities, createCapabilities } from '#libs/capability/capabilities.js';
import { keyRing } from '#libs/capability/key-ring.js';
import type { Marks } from '#libs/capability/marks.js';
import { redisMarks } from '#libs/capability/redis-marks.js';
import type { ValidatedCall } from '#libs/core/call.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { type RedisServer, startRedis } from './services/redis.js';

let server: RedisServer;
const open: Marks[] = [];
beforeAll(async () => { server = await startRedis(); });
afterAll(async () => { for (const marks of open) marks.close(); await server.stop(); });

/** One of several gateways, with its own connection and the secret of all. */
async function replica(): Promise<Capabilities> {
  const marks = redisMarks({ url: server.url, keyPrefix: `t${process.pid}` });
  open.push(marks);
  await back(marks);
  return createCapabilities({ ring: keyRing(['a secret of at least thirty-two bytes']), issuer: 'https://gw.test/v1/token', audience: 'https://gw.test/mcp', marks, now: Date.now });
}
const back = ({ revocations }: Marks): Promise<void> => vi.waitFor(() => { revocations.isRevoked([]); }, { timeout: 10_000, interval: 10 });
const ada: Principal = { tenant: tenantSlug('acme'), issuer: 'https://idp.test', subject: 'ada', clientId: 'agent', roles: new Set(), scopes: new Set(), expiresAt: Date.now() / 1000 + 3600 };
async function issued(by: Capabilities, wanted: Wanted = {}): Promise<string> {
  const answer = await by.exchange(ada, { tools: ['t'], ...wanted });
  if (answer instanceof ExchangeRefused) throw new Error(answer.description);
  return answer.token;
}
const proved = async (by: Capabilities, token: string): Promise<Principal> => {
  const answer = await by.verify(token);
  if (answer instanceof Denial) throw new Error(answer.message);
  return answer;
};
const spend = async (by: Capabilities, principal: Principal): Promise<string> => (await by.spend({ principal } as ValidatedCall))?.code ?? 'ok';

describe('capability tokens of several replicas', () => {
  it('for one use are used once by all of them together, of any number at once', async () => {
    const all = await Promise.all([replica(), replica(), replica()]);
    const token = await issued(all[0], { oneTime: true });
    const holders = await Promise.all(all.map((one) => proved(one, token)));
    const answers = await Promise.all(Array.from({ length: 60 }, (_, at) => spend(all[at % 3]!, holders[at % 3]!)));
    expect(answers.filter((answer) => answer === 'ok')).toHaveLength(1);
    for (const one of all) expect(await one.verify(token)).toMatchObject({ code: 'UNAUTHENTICATED', message: 'Token has been used' });
  });

  it('that are revoked at one are refused at every other within 2 s', async () => {
    const all = await Promise.all([replica(), replica(), replica()]);
    const token = await issued(all[0]);
    for (const one of all) await proved(one, token);
    const began = performance.now();
    await all[0].revoke(token, ada);
    expect(await all[0].verify(token)).toBeInstanceOf(Denial);
    for (const one of all) await vi.waitFor(async () => { if (!(await one.verify(token) instanceof Denial)) throw new Error('still good'); }, { timeout: 2_000, interval: 20 });
    console.info(`revoked on three replicas after ${Math.round(performance.now() - began)} ms`);
  });

  it('prove nobody while Redis is away, neither one-time nor other ones, and revocation says that it did not happen', async () => {
    const one = await replica();
    const [once, many] = [await issued(one, { oneTime: true }), await issued(one)];
    const holder = await proved(one, once);
    await server.kill();
    await expect(spend(one, holder)).rejects.toThrow(Unavailable);
    await expect(one.revoke(many, ada)).rejects.toThrow(Unavailable);
    // What is revoked elsewhere may not be known here any more: within 2 s nothing is believed.
    await vi.waitFor(async () => { await expect(one.verify(many)).rejects.toThrow(Unavailable); }, { timeout: 2_000, interval: 50 });
    await server.restart();
    await vi.waitFor(async () => { await proved(one, many); }, { timeout: 10_000, interval: 50 });
  });
});
