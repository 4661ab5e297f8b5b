// What puts a call on record, measured: the journal against lmdb (when it is installed) and node:sqlite, with the same bytes and the same two waits.
//   node bench/journal.ts speed           CPU of the main thread and latency per call, at 64 and 512 calls in flight, and paced at 5,000 calls/s
//   node bench/journal.ts full FOLDER     on a file system of a few MiB (tmpfs): acknowledged and lost when it fills, and whether it goes on afterwards
//   node bench/journal.ts kill FOLDER     kill -9 in the middle: acknowledged and lost
import { fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { ValidatedCall } from '#libs/core/call.js';
import type { Ending } from '#libs/core/call.js';
import { CallLines, tail, UNKNOWN_TAIL } from '#libs/metering/call-lines.js';
import { Journal } from '#libs/metering/journal.js';
import { oldBoots } from '#libs/metering/old-boots.js';
import { newBoot } from '#libs/metering/segment-name.js';
import { readSegment } from '#libs/metering/segment-reader.js';
import { JournalMeter } from '#libs/metering/usage-meter.js';

/** Intent: resolves when it survives the process. Settle: when it survives the machine. */
interface Store {
  intent(seq: number, head: string): Promise<unknown>;
  settle(seq: number, tail: string): Promise<unknown>;
  tend(): Promise<void>;
  close(): Promise<void>;
}
type Open = (directory: string) => Promise<Store>;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const openJournal = async (directory: string, sync = true): Promise<Journal> => {
  const { systemFiles } = await import('#libs/metering/journal-files.js');
  const boot = newBoot(Date.now());
  return await Journal.open({ directory, boot, source: `/gw/bench/one/${boot.id}`, unknownTail: UNKNOWN_TAIL, log: silent, minFreeBytes: 0, files: sync ? systemFiles : { ...systemFiles, sync: () => Promise.resolve() } });
};
const journalStore = (sync: boolean): Open => async (directory) => {
  const journal = await openJournal(directory, sync);
  const numbers = new Map<number, number>();
  return {
    intent: async (seq, head) => {
      if (journal.refusal !== undefined) throw new Error(journal.refusal);
      const own = journal.mint();
      await journal.intend(own, head);
      numbers.set(seq, own);
    },
    settle: (seq, text) => { const own = numbers.get(seq) ?? 0; numbers.delete(seq); return journal.settle(own, text); },
    tend: () => journal.tend(), close: () => journal.close(),
  };
};

const sqliteStore: Open = (directory) => {
  const db = new DatabaseSync(join(directory, 'j.sqlite'));
  db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; CREATE TABLE IF NOT EXISTS r (seq INTEGER, part INTEGER, text TEXT, PRIMARY KEY (seq, part)) WITHOUT ROWID');
  const insert = db.prepare('INSERT OR REPLACE INTO r VALUES (?, ?, ?)');
  type Waiting = { seq: number; part: number; text: string; resolve: () => void; reject: (reason: unknown) => void };
  let group: Waiting[] = [];
  const flush = (): void => {
    const taken = group;
    group = [];
    // Commits of intents need no sync in WAL mode; those with an ending do.
    const durable = taken.some(({ part }) => part === 1);
    try {
      db.exec(`PRAGMA synchronous=${durable ? 'FULL' : 'NORMAL'}; BEGIN`);
      for (const { seq, part, text } of taken) insert.run(seq, part, text);
      db.exec('COMMIT');
      for (const { resolve } of taken) resolve();
    } catch (failure) { try { db.exec('ROLLBACK'); } catch { /* none open */ } for (const { reject } of taken) reject(failure); }
  };
  const add = (seq: number, part: number, text: string): Promise<void> => new Promise((resolve, reject) => {
    if (group.length === 0) setImmediate(flush);
    group.push({ seq, part, text, resolve, reject });
  });
  return Promise.resolve({ intent: (seq, head) => add(seq, 0, head), settle: (seq, text) => add(seq, 1, text), tend: () => Promise.resolve(), close: () => { db.close(); return Promise.resolve(); } });
};

interface Lmdb { open(options: object): { put(key: unknown, value: string): Promise<boolean>; flushed: Promise<boolean>; close(): Promise<void>; getRange(): Iterable<{ key: [number, number]; value: string }> } }
const lmdb = await (async (): Promise<Lmdb | undefined> => { const name = process.env['LMDB'] ?? 'lmdb'; try { return await import(name) as Lmdb; } catch { return undefined; } })();
const lmdbStore: Open = (directory) => {
  if (!lmdb) throw new Error('lmdb is not installed');
  const db = lmdb.open({ path: join(directory, 'j.lmdb'), encoding: 'string', compression: false });
  return Promise.resolve({ intent: (seq, head) => db.put([seq, 0], head), settle: async (seq, text) => { await db.put([seq, 1], text); await db.flushed; }, tend: () => Promise.resolve(), close: () => db.close() });
};

const STORES: Readonly<Record<string, Open>> = {
  'nothing': () => Promise.resolve({ intent: () => Promise.resolve(), settle: () => new Promise((resolve) => { setImmediate(resolve); }), tend: () => Promise.resolve(), close: () => Promise.resolve() }),
  'journal, no sync': journalStore(false), 'journal': journalStore(true), 'node:sqlite': sqliteStore, ...(lmdb ? { lmdb: lmdbStore } : {}),
};

// A call as it comes: principal and target are the same objects in many calls, as in the gateway.
const target = { kind: 'tool', name: 'weather_forecast', tenant: 'acme', operationClass: 'read', tags: ['weather'], backend: { kind: 'rest' } };
const principal = { tenant: 'acme', issuer: 'https://id.example.com/realms/stoa', subject: '8b6f2c1e-6a55-4c11-9a3e-0f3f0a4c7d21', clientId: 'agent', roles: new Set(['viewer']), scopes: new Set(['stoa:catalog:read', 'stoa:subscription:read', 'stoa:observability:read', 'stoa:tools:read', 'stoa:tools:execute']), expiresAt: 2e9 };
const decision = { ruleId: 'roles.read', policyRevision: 'a1b2c3d4' };
const exchange = { signal: new AbortController().signal };
const api = { name: 'weather' };
let request = 0;
const call = (): ValidatedCall => ({ requestId: `0199d1b2-7c5e-7aaa-9000-${String(request += 1).padStart(12, '0')}`, door: 'mcp', principal, kind: 'tool', name: 'weather_forecast', arguments: { city: 'Paris', days: 3 }, input: {}, exchange, consumer: 'claude-desktop', startedAt: performance.now(), target, api, revision: 12, decision }) as unknown as ValidatedCall;
const lines = new CallLines('0123456789abcde');
const headOf = (seq: number): string => lines.head(seq, Date.now(), call(), ',"arguments":{"city":"Paris","days":3}');
const tailOf = (): string => tail('success', true, { requestBytes: 25, responseBytes: 345, backendMs: 12, totalMs: 14, attempts: 1 }, { denial: undefined, decided: true });

const inFolder = async <T>(parent: string, work: (directory: string) => Promise<T>): Promise<T> => {
  const directory = await mkdtemp(join(parent, 'bench-journal-'));
  try { return await work(directory); } finally { await rm(directory, { recursive: true, force: true }); }
};
const quantile = (values: Float64Array, part: number): string => (values.toSorted()[Math.floor(values.length * part)] ?? 0).toFixed(2);
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** `flight` calls at once, `total` in all; the backend answers in the next turn. */
async function saturate(run: (seq: number) => Promise<void>, flight: number, total: number): Promise<{ perSecond: number; cpu: number; all: number; waits: Float64Array }> {
  let next = 0;
  const waits = new Float64Array(total);
  const main = process.threadCpuUsage();
  const whole = process.cpuUsage();
  const started = performance.now();
  await Promise.all(Array.from({ length: flight }, async () => {
    while (next < total) { const seq = next += 1; const at = performance.now(); await run(seq); waits[seq - 1] = performance.now() - at; }
  }));
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.threadCpuUsage(main);
  const all = process.cpuUsage(whole);
  return { perSecond: total / seconds, cpu: (user + system) / total, all: (all.user + all.system) / total, waits };
}

async function paced(run: () => Promise<void>, perMs: number, total: number): Promise<Float64Array> {
  const waits = new Float64Array(total);
  const calls: Promise<void>[] = [];
  const started = performance.now();
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor((performance.now() - started) * perMs));
    for (; sent < due; sent += 1) { const index = sent; calls.push((async () => { const at = performance.now(); await run(); waits[index] = performance.now() - at; })()); }
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
  await Promise.all(calls);
  return waits;
}

/** All that a call is without its record. */
async function bare(): Promise<void> { const one = call(); await turn(); endingOf(one, ''); await turn(); }

async function speed(): Promise<void> {
  console.log('store               in flight   calls/s   µs main   µs all threads   p50 ms   p99 ms');
  for (const flight of [64, 512]) {
    for (const [name, open] of Object.entries(STORES)) {
      await inFolder(tmpdir(), async (directory) => {
        const store = await open(directory);
        const run = async (seq: number): Promise<void> => { await store.intent(seq, headOf(seq)); await turn(); await store.settle(seq, tailOf()); };
        await saturate(run, flight, 20_000);
        const { perSecond, cpu, all, waits } = await saturate((seq) => run(seq + 20_000), flight, name === 'node:sqlite' || name === 'lmdb' ? 40_000 : 100_000);
        console.log(name.padEnd(20), String(flight).padStart(8), perSecond.toFixed(0).padStart(9), cpu.toFixed(2).padStart(9), all.toFixed(2).padStart(16), quantile(waits, 0.5).padStart(8), quantile(waits, 0.99).padStart(8));
        await store.close();
      });
    }
  }
  console.log('\nthe meter itself, records built from calls');
  for (const flight of [64, 512]) {
    await inFolder(tmpdir(), async (directory) => {
      const journal = await openJournal(directory);
      const meter = new JournalMeter({ journal, lines: new CallLines(journal.source.slice(-15)) });
      const run = async (): Promise<void> => { const one = call(); const callId = await meter.intent(one); await turn(); await meter.settle(endingOf(one, typeof callId === 'string' ? callId : '')); };
      await saturate(bare, flight, 50_000);
      await saturate(run, flight, 50_000);
      const without = await saturate(bare, flight, 100_000);
      const metered = await saturate(run, flight, 100_000);
      console.log(`in flight ${flight}: ${metered.perSecond.toFixed(0)} calls/s, metering costs ${(metered.cpu - without.cpu).toFixed(2)} µs of the main thread a call, ${(metered.all - without.all).toFixed(2)} of all threads; p50 ${quantile(metered.waits, 0.5)} ms, p99 ${quantile(metered.waits, 0.99)} ms`);
      // At a steady rate: what waiting for the disk adds to a call.
      for (const [name, one] of [['without', bare], ['metered', run]] as const) {
        const waits = await paced(one, 5, 25_000);
        console.log(`at 5,000 calls/s, ${name}: p50 ${quantile(waits, 0.5)} ms, p99 ${quantile(waits, 0.99)} ms`);
      }
      console.log(`${(journal.bytes / journal.minted).toFixed(0)} bytes a call; commits ${(journal.commits.seconds / journal.commits.count * 1000).toFixed(2)} ms`);
      await journal.close();
    });
  }
}
const endingOf = (one: ValidatedCall, callId: string): Ending => ({ reached: Object.assign(one, { callId, answer: { result: { type: 'tool', content: [], isError: false }, outcome: 'success', latencyMs: 12, bytes: 345 } }) as unknown as Ending['reached'], denial: undefined, durationMs: 14 });

/** What a new process finds. */
async function found(name: string, directory: string): Promise<ReadonlySet<number>> {
  const settled = new Set<number>();
  if (name === 'node:sqlite') {
    const db = new DatabaseSync(join(directory, 'j.sqlite'));
    for (const { seq } of db.prepare('SELECT seq FROM r WHERE part = 1').all()) settled.add(Number(seq));
    db.close();
  } else if (name === 'lmdb') {
    const db = lmdb?.open({ path: join(directory, 'j.lmdb'), encoding: 'string' });
    for (const { key } of db?.getRange() ?? []) if (key[1] === 1) settled.add(key[0]);
    await db?.close();
  } else {
    // The store numbers by itself, without gaps; the head has the number of the trial. A tail that stands for an unknown ending is no acknowledgement.
    const numbers = new Map<string, number>();
    for (const { segments } of await oldBoots(directory)) for (const { path } of segments) for await (const part of readSegment(path)) {
      if (!('text' in part)) continue;
      for (const line of part.text.split('\n')) {
        const own = line.slice(1, line.indexOf(' '));
        if (line.startsWith('+')) numbers.set(own, Number(/"seq":(\d+)/.exec(line)?.[1]));
        if (line.startsWith('=') && !line.includes('"unknown"')) settled.add(numbers.get(own) ?? 0);
      }
    }
  }
  return settled;
}

const told = (message: object): void => { process.send?.(message); };
async function child(name: string, directory: string, mode: string): Promise<void> {
  const store = await STORES[name]?.(directory);
  if (!store) throw new Error(`no store ${name}`);
  let seq = 0;
  let failed = 0;
  const worker = async (until: () => boolean): Promise<void> => {
    while (!until()) {
      const mine = seq += 1;
      try { await store.intent(mine, headOf(mine)); await store.settle(mine, tailOf()); told({ acknowledged: mine }); } catch (failure) { failed += 1; told({ failed: String(failure) }); await new Promise((resolve) => { setTimeout(resolve, 5); }); }
    }
  };
  if (mode === 'kill') { await Promise.all(Array.from({ length: 32 }, () => worker(() => false))); return; }
  await Promise.all(Array.from({ length: 32 }, () => worker(() => failed > 64)));
  await rm(join(directory, '..', 'ballast'), { force: true });
  await store.tend();
  const before = failed;
  const goal = seq + 2000;
  await Promise.all(Array.from({ length: 32 }, () => worker(() => seq >= goal)));
  await store.close().catch(() => undefined);
  // Not before all that was told is on its way.
  process.send?.({ after: 2000 - (failed - before) }, () => { process.exit(0); });
}

async function trial(mode: 'full' | 'kill', parent: string): Promise<void> {
  for (const name of Object.keys(STORES).filter((one) => one !== 'nothing' && one !== 'journal, no sync')) {
    await inFolder(parent, async (directory) => {
      if (mode === 'full') await writeFile(join(parent, 'ballast'), Buffer.alloc(6 * 1024 * 1024));
      const acknowledged = new Set<number>();
      const failures = new Map<string, number>();
      let after = 0;
      const running = fork(import.meta.filename, ['child', name, directory, mode], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      running.on('message', (message: { acknowledged?: number; failed?: string; after?: number }) => {
        if (message.acknowledged !== undefined) acknowledged.add(message.acknowledged);
        if (message.failed !== undefined) failures.set(message.failed.slice(0, 90), (failures.get(message.failed.slice(0, 90)) ?? 0) + 1);
        if (message.after !== undefined) after = message.after;
        if (mode === 'kill' && acknowledged.size === 5000) running.kill('SIGKILL');
      });
      const late = setTimeout(() => running.kill('SIGKILL'), 60_000);
      const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => { running.on('close', (...ended) => { resolve(ended); }); });
      clearTimeout(late);
      const kept = await found(name, directory).catch((failure: unknown) => String(failure));
      const lost = typeof kept === 'string' ? `cannot be opened: ${kept}` : [...acknowledged].filter((seq) => !kept.has(seq)).length;
      console.log(`${mode} ${name}: acknowledged ${acknowledged.size}, lost ${lost}${mode === 'full' ? `, of 2000 after space came back ${after} without a restart` : ''}; ended by ${signal ?? code}`, [...failures].slice(0, 2));
    });
  }
}

const [mode = 'speed', first = tmpdir(), ...rest] = process.argv.slice(2);
if (mode === 'speed') await speed();
else if (mode === 'child') await child(first, rest[0] ?? '', rest[1] ?? '');
else if (mode === 'full' || mode === 'kill') await trial(mode, first);
else throw new Error('speed | full FOLDER | kill FOLDER');
