import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, type JWK } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { StandaloneConfig } from '#apps/standalone/src/config.js';
import { startStandalone, type Standalone } from '#apps/standalone/src/start.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { adminDoor, legacyDoor, modernDoor, restDoor } from './doors.js';
import { type Algorithm, keyPair, type Mint, signer } from './mint.js';
import { adminKey, pairOf, productMint } from './product.js';
import { CASE_COUNT, reportLines, runSuite, startCanary } from './suite.js';

const home = mkdtempSync(join(tmpdir(), 'stoa-suite-'));
const keysFile = join(home, 'issuer', 'issuer.json');
let product: Standalone;
const start = async (port: string): Promise<void> => {
  product = await startStandalone(readConfig(StandaloneConfig, { STOA_HOME: home, STOA_PORT: port, LOG_LEVEL: 'silent', RATE_LIMIT_FAILED_AUTH: 'off', RATE_LIMIT_IP: 'off', DRAIN_SECONDS: '1' }), {});
};
const stored = async (kid: string, algorithm: Algorithm): Promise<JWK> => {
  const { privateKey } = await keyPair(kid, algorithm);
  return { ...await exportJWK(privateKey), kid, alg: algorithm, use: 'sig' };
};
const keys = (): JWK[] => (JSON.parse(readFileSync(keysFile, 'utf8')) as { keys: JWK[] }).keys;
const replaceKeys = (next: readonly JWK[]): void => { writeFileSync(keysFile, JSON.stringify({ ...JSON.parse(readFileSync(keysFile, 'utf8')) as object, keys: next }), { mode: 0o600 }); };

beforeAll(async () => {
  mkdirSync(join(home, 'issuer'), { mode: 0o700 });
  writeFileSync(keysFile, JSON.stringify({ keys: [await stored('rs', 'RS256'), await stored('ps', 'PS256'), await stored('es', 'ES256'), await stored('ed', 'EdDSA')], clientSecret: 'c'.repeat(43), cookieKey: 'k'.repeat(43) }), { mode: 0o600 });
  await start('0');
}, 120_000);
afterAll(async () => { await product.stop(); rmSync(home, { recursive: true, force: true }); }, 60_000);

it('the whole product holds all cases with the tokens of its own issuer', { timeout: 180_000 }, async () => {
  const { url, issuer } = product;
  const resource = `${url}/mcp`;
  const base = await productMint(home, issuer.url, resource);
  const [first] = keys() as [JWK & { kid: string; alg: Algorithm }];
  const next = await stored('rs-next', 'RS256') as typeof first;
  const by = async (jwk: typeof first) => signer({ issuer: issuer.url, audience: resource, key: await pairOf(jwk) });
  const again = async (): Promise<void> => { await product.stop(); await start(new URL(url).port); };
  // This issuer's keys change by a restart of the product.
  const mint: Mint = { ...base, rotation: {
    publish: async () => { replaceKeys([next, ...keys()]); await again(); },
    withNewKey: async (caller) => (await by(next)).sign(base.claims(caller)),
    withOldKey: async (caller) => (await by(first)).sign(base.claims(caller)),
    retireOld: async () => { replaceKeys(keys().filter(({ kid }) => kid !== first.kid)); await again(); },
  } };
  const canary = await startCanary();
  const owner = { tenant: 'acme', role: 'tenant-admin' };
  const report = await runSuite({
    mint, canary, owner, stranger: { tenant: 'globex', role: 'tenant-admin' }, doors: [modernDoor(resource), legacyDoor(resource), restDoor(url), adminDoor(url)],
    // Two seconds are promised to a revocation; here it gets half of one.
    wait: (seconds) => new Promise((resolve) => { setTimeout(resolve, seconds > 2 ? 0 : seconds * 250); }),
    tool: 'list_pets', revocable: adminKey(url, mint, owner),
  });
  canary.close();
  process.stdout.write(`the product's own issuer\n${reportLines(report).slice(-5).join('\n')}\n`);
  expect(report.verdicts.filter(({ faults }) => faults.length > 0)).toEqual([]);
  expect(report.held).toBe(CASE_COUNT);
});
