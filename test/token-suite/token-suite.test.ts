import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalMint, localMint } from './mint.js';
import { serveStoa, type Served } from './serve.js';
import { CASE_COUNT, type Report, reportLines, runSuite, startCanary } from './suite.js';
import type { World } from './trial.js';

let mint: LocalMint, served: Served, world: World;
let canary: Awaited<ReturnType<typeof startCanary>>;
let ahead = 0;
const now = (): number => Date.now() + ahead;

beforeAll(async () => {
  const resource = `http://127.0.0.1:${await freePort()}/mcp`;
  mint = await localMint({ audience: resource, now });
  canary = await startCanary();
  served = await serveStoa({ resource, clock: now, issuers: [{ issuer: mint.issuer, audiences: [resource], keys: { from: 'discovery' } }] });
  world = {
    mint, doors: served.doors, owner: { tenant: 'acme', role: 'tenant-admin' }, stranger: { tenant: 'globex', role: 'tenant-admin' },
    now, wait: async (seconds) => { ahead += seconds * 1000; }, witness: served.witness, revocable: served.revocable, canary,
  };
});
afterAll(async () => { await served.close(); await mint.close(); canary.close(); });

describe('the token suite', () => {
  it('holds at every door of the product, cold and warm', { timeout: 120_000 }, async () => {
    const report: Report = await runSuite(world);
    process.stdout.write(`${reportLines(report).slice(-5).join('\n')}\n`);
    expect(report.verdicts.filter(({ faults }) => faults.length > 0).map(({ number, faults }) => ({ number, faults }))).toEqual([]);
    expect(report.held).toBe(CASE_COUNT);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}
