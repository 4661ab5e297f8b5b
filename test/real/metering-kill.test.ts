import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordBatch } from '#libs/core/usage-events.js';

const KILLS = Number(process.env['KILLS'] ?? 8);
const CALLS_EACH = Number(process.env['CALLS_EACH'] ?? 700);

/** The backend counts what reached it, the receiver what it was handed: neither asks the gateway. */
const receipts = new Map<string, number>();
const outcomes = new Map<string, string[]>();
const complete = new Map<string, number>();
let server: Server;
let url: string;
let directory: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/call') {
        const id = String(request.headers['x-call-id']);
        receipts.set(id, (receipts.get(id) ?? 0) + 1);
      } else {
        const batch = JSON.parse(Buffer.concat(chunks).toString('utf8')) as RecordBatch;
        for (const { id, outcome } of batch.records) outcomes.set(id, [...outcomes.get(id) ?? [], outcome]);
        if (batch.ended) complete.set(batch.source, batch.complete);
      }
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const address = server.address();
  url = `http://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
  directory = await mkdtemp(join(tmpdir(), 'stoa-kill-'));
});
afterAll(async () => { server.close(); server.closeAllConnections(); await rm(directory, { recursive: true, force: true }); });

/** Lives until so many calls were answered and a random moment more; answers the calls that it told of. */
function live(calls: number, signal: NodeJS.Signals): Promise<readonly string[]> {
  const child = spawn(process.execPath, ['test/real/metering-child.mjs', directory, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  let lines = 0;
  let due = false;
  child.stdout.on('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1');
    said += text;
    for (const character of text) if (character === '\n') lines += 1;
    if (lines >= calls && !due) { due = true; setTimeout(() => child.kill(signal), Math.random() * 30); }
  });
  // A line that was cut off was not answered.
  return new Promise((resolve, reject) => { child.on('close', (code) => { if (code === 1) reject(new Error('the child failed')); else resolve(said.slice(0, said.lastIndexOf('\n') + 1).split('\n').filter((line) => line !== '')); }); });
}

describe('a gateway that is killed at random moments', () => {
  it(`loses no call that it answered and counts none twice, in ${KILLS} lives that end by SIGKILL`, async () => {
    const answered: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) answered.push(...await live(CALLS_EACH, 'SIGKILL'));
    answered.push(...await live(50, 'SIGTERM'));

    expect(answered.length).toBeGreaterThanOrEqual(KILLS * CALLS_EACH);
    expect(new Set(answered).size).toBe(answered.length);
    const final = new Map([...outcomes].map(([id, all]) => [id, all[0]]));
    expect(answered.filter((id) => final.get(id) !== 'success'), 'answered and lost').toEqual([]);
    expect([...receipts].filter(([, count]) => count !== 1), 'asked twice').toEqual([]);
    expect([...receipts.keys()].filter((id) => !final.has(id)), 'the backend worked, and nobody knows').toEqual([]);
    // Handed on more than once is allowed, and then always the same.
    expect([...outcomes.values()].filter((all) => new Set(all).size !== 1)).toEqual([]);
    const unknown = [...final].filter(([, outcome]) => outcome === 'unknown');
    expect(unknown.length).toBeLessThanOrEqual(16 * KILLS);
    const successes = [...final].filter(([, outcome]) => outcome === 'success').map(([id]) => id);
    expect(successes.filter((id) => !receipts.has(id)), 'charged and never asked').toEqual([]);
    // Each life is over and complete.
    expect(complete.size).toBe(KILLS + 1);
    expect([...complete.values()].reduce((sum, count) => sum + count, 0)).toBe(final.size);
    process.stdout.write(`kills ${KILLS}, answered ${answered.length}, receipts ${receipts.size}, records ${final.size}, unknown ${unknown.length}, handed on again ${[...outcomes.values()].reduce((sum, all) => sum + all.length - 1, 0)}\n`);
  }, 180_000);
});
