import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { emptyChain, extend } from '#libs/audit/chain.js';
import { CheckpointSigner, newSigningKey } from '#libs/audit/checkpoint.js';
import { genesis } from '#libs/audit/entry.js';
import { exportLines } from '#libs/audit/export-line.js';
import { auditCommand } from './audit.js';

const folder = mkdtempSync(join(tmpdir(), 'stoa-audit-'));
afterAll(() => { rmSync(folder, { recursive: true }); });
const file = (name: string, content: string): string => { const path = join(folder, name); writeFileSync(path, content); return path; };

const signer = new CheckpointSigner(newSigningKey());
const first = extend(emptyChain('acme'), { at: new Date(0), kind: 'call', id: 'b-1', facts: { tool: 'get_pet' } });
const second = extend(first.head, { at: new Date(1), kind: 'call', id: 'b-2', facts: { tool: 'get_pet' } });
const checkpoint = signer.sign(second.head, undefined, new Date(2));
const lines = [...exportLines({ header: { chain: 'acme', from: 1, prev: genesis('acme'), exportedAt: '' }, entries: [first.entry, second.entry], checkpoints: [checkpoint] })];
const key = file('key.pem', signer.publicKey);
const anchors = file('anchors.jsonl', `${JSON.stringify(checkpoint)}\n`);

async function run(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = ''; let err = '';
  const code = await auditCommand(args, { out: (line) => { out += `${line}\n`; }, err: (line) => { err += `${line}\n`; }, stdin: () => new Uint8Array(), env: {} });
  return { code, out, err };
}

describe('stoa audit verify', () => {
  it('needs nothing but the file and a public key', async () => {
    const { code, out } = await run('verify', file('good.jsonl', lines.join('\n')), '--key', key, '--anchors', anchors);
    expect([code, out]).toEqual([0, expect.stringContaining('vouch for entries up to 2') as unknown]);
  });
  it('names the line and the entry that was changed, and exits 1', async () => {
    const { code, err } = await run('verify', file('bad.jsonl', lines.join('\n').replace('get_pet', 'delete_pet')), '--key', key);
    expect([code, err]).toEqual([1, expect.stringMatching(/bad\.jsonl:3: entry 2: does not follow/) as unknown]);
  });
  it('finds a tail that was cut off by a checkpoint kept elsewhere', async () => {
    expect((await run('verify', file('cut.jsonl', lines.slice(0, 2).join('\n')), '--key', key, '--anchors', anchors)).err).toContain('tail was cut off');
  });
  it.each([[['verify', 'no-such-file', '--key', key], /Cannot read no-such-file/], [['verify', 'x'], /needs --key/], [['verify', anchors, '--key', anchors], /--key/], [['check'], /stoa audit verify/]] as const)('refuses %j with what is wrong', async (args, message) => {
    await expect(run(...args)).rejects.toThrow(message);
  });
});
