import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoredPolicy } from '#libs/core/policy-store.js';
import { tenantSlug } from '#libs/core/tenant.js';
import { EngineFailure, type PolicyEngine } from './engine.js';
import { SidecarPolicy } from './sidecar-policy.js';

let folder: string;
let file: string;
let running: SidecarPolicy | undefined;
let stored: readonly StoredPolicy[] = [];
let tell = (): void => undefined;
/** Whether the server reads its file, and answers. */
let server: 'reads' | 'stays' | 'away' = 'reads';
let decidesBy = 'old';
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'stoa-bundle-')); file = join(folder, 'bundle.tar.gz'); stored = []; server = 'reads'; decidesBy = 'old'; });
afterEach(async () => { await running?.stop(); rmSync(folder, { recursive: true, force: true }); });

/** Name and text of each file of the archive. */
function unpacked(): Record<string, string> {
  const bytes = gunzipSync(readFileSync(file));
  const files: Record<string, string> = {};
  for (let at = 0; bytes[at] !== 0; ) {
    const name = bytes.toString('utf8', at, bytes.indexOf(0, at));
    const size = parseInt(bytes.toString('latin1', at + 124, at + 135), 8);
    files[name] = bytes.toString('utf8', at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}
const revisionOfFile = (): string => (JSON.parse(unpacked()['.manifest'] ?? '{}') as { revision: string }).revision;
const engine: PolicyEngine = {
  evaluate: async () => {
    if (server === 'away') throw new EngineFailure('unreachable', 'away');
    if (server === 'reads') try { decidesBy = revisionOfFile(); } catch { /* There is no file yet. */ }
    return { result: { allow: false }, revision: decidesBy };
  },
};
const policyOf = (tenant: string, files: Record<string, string>): StoredPolicy => ({ scope: tenantSlug(tenant), digest: tenant, files, createdAt: new Date(0), createdBy: 'ada' });
const DENIES = { 'r.yaml': 'policies: [{ name: r, tool: a, rules: [{ action: deny, message: no }] }]' };
const OWN = 'package stoa.tenant.acme\n\ndeny contains "x" if input.arguments.a\n';
async function start(bundleFile?: string): Promise<SidecarPolicy> {
  running = new SidecarPolicy({ engine, pollMs: 60_000, lookMs: 1, ...(bundleFile === undefined ? {} : { bundleFile }), store: { active: async () => ({ revision: 1, policies: stored }), watch: async (changed) => { tell = changed; return async () => undefined; } } });
  await running.start();
  return running;
}

describe('with a bundle file', () => {
  it('the server is given the shipped policy, the rules of tenants as data, and own Rego as it was written', async () => {
    stored = [policyOf('acme', { ...DENIES, 'own.rego': OWN }), policyOf('globex', DENIES)];
    const policy = await start(file);
    const files = unpacked();
    expect(Object.keys(files)).toEqual(['authz.rego', 'data.json', 'own/tenants/acme.rego', '.manifest']);
    expect(files['own/tenants/acme.rego']).toBe(OWN);
    expect(JSON.parse(files['data.json'] ?? '')).toMatchObject({ governance: { own_rego: { varies: ['arguments', 'time'] }, tenants: { acme: { rules: [{ id: 'r' }] }, globex: { rules: [{ id: 'r' }] } } } });
    expect(policy.engine()).toBeDefined();
    expect(await policy.readiness.check()).toEqual({ ok: true });
  });
  it('a change reaches it, what was remembered is forgotten, and those who asked are told', async () => {
    const policy = await start(file);
    const before = policy.engine();
    let told = 0;
    policy.onChange(() => { told += 1; });
    stored = [policyOf('acme', DENIES)];
    tell();
    await policy.reload();
    expect([decidesBy, policy.engine() === before, told]).toEqual([revisionOfFile(), false, 1]);
    expect(policy.rules('acme')).toMatchObject([{ name: 'r' }]);
    expect(policy.rules('globex')).toEqual([]);
  });
  it('nothing is decided before the server decides by it', async () => {
    server = 'stays';
    const policy = await start(file);
    expect(policy.engine()).toBeUndefined();
    expect(await policy.readiness.check()).toEqual({ ok: false, reason: expect.stringMatching(/^the policy server decides by old, and not by [0-9a-f]{64}, which is in .*start it with --bundle/) });
    server = 'reads';
    expect(await policy.readiness.check()).toEqual({ ok: true });
    expect(policy.engine()).toBeDefined();
  });
  it('what is no policy changes neither file nor decisions', async () => {
    const policy = await start(file);
    const before = revisionOfFile();
    stored = [policyOf('acme', { 'r.yaml': 'policies: nonsense' })];
    await policy.reload();
    expect(revisionOfFile()).toBe(before);
    expect(await policy.readiness.check()).toEqual({ ok: true, reason: expect.stringContaining('r.yaml:1') });
  });
});

describe('without one', () => {
  it('the server\'s own bundle decides, until the control plane has a policy that it cannot know', async () => {
    const policy = await start();
    expect(policy.engine()).toBeDefined();
    stored = [policyOf('acme', DENIES)];
    await policy.reload();
    expect(policy.engine()).toBeUndefined();
    expect(await policy.readiness.check()).toEqual({ ok: false, reason: expect.stringContaining('set OPA_BUNDLE_FILE') });
    stored = [];
    await policy.reload();
    expect(policy.engine()).toBeDefined();
  });
});
