import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallRecord } from '#libs/core/call-record.js';
import type { RecordBatch, RecordSink } from '#libs/core/usage-events.js';
import { silent } from './a-call.contract.js';
import { Journal, type JournalOptions } from './journal.js';
import { type JournalFiles, systemFiles } from './journal-files.js';
import { oldBoots } from './old-boots.js';
import { newBoot } from './segment-name.js';
import { Shipper } from './shipper.js';
import { UNKNOWN_TAIL } from './call-lines.js';

export async function inFolder<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'stoa-journal-'));
  try { return await work(directory); } finally { await rm(directory, { recursive: true, force: true }); }
}

export async function openJournal(directory: string, options: Partial<JournalOptions> = {}): Promise<Journal> {
  const boot = newBoot(Date.now());
  return await Journal.open({ directory, boot, source: `/gw/test/one/${boot.id}`, unknownTail: UNKNOWN_TAIL, log: silent, minFreeBytes: 0, ...options });
}

/** A head and a tail that make a small record. */
export const headOf = (seq: number, at = 1_700_000_000_000): string => `{"v":1,"id":"x-${seq}","seq":${seq},"at":${at}`;
export const TAIL = ',"outcome":"success"}';

/** One call from intent to durable ending; answers its number. */
export async function oneCall(journal: Journal): Promise<number> {
  const seq = journal.mint();
  await journal.intend(seq, headOf(seq));
  await journal.settle(seq, TAIL);
  return seq;
}

export class KeptRecords implements RecordSink {
  readonly name = 'kept';
  readonly batches: RecordBatch[] = [];
  accept(batch: RecordBatch): Promise<void> { this.batches.push(batch); return Promise.resolve(); }
  get records(): readonly CallRecord[] { return this.batches.flatMap(({ records }) => records); }
  get sequences(): readonly number[] { return this.records.map(({ seq }) => seq).toSorted((a, b) => a - b); }
}

/** What a new start finds in a folder that an earlier one left. */
export async function replay(directory: string): Promise<{ readonly kept: KeptRecords; readonly found: Shipper['found'] }> {
  const kept = new KeptRecords();
  const older = await oldBoots(directory);
  const journal = await openJournal(directory, { older: older.flatMap(({ segments }) => segments) });
  const shipper = new Shipper({ directory, journal, bootId: journal.source.slice(-15), older, sink: kept, log: silent, linger: 0, retry: [1, 5] });
  shipper.start();
  await journal.close();
  await shipper.close(10_000);
  return { kept, found: shipper.found };
}

export const segmentsIn = async (directory: string): Promise<string[]> => (await readdir(directory)).filter((name) => name.endsWith('.journal')).map((name) => join(directory, name)).toSorted();

export type Operation = 'create' | 'write' | 'sync' | 'syncFolder' | 'truncate';
export interface Fault { readonly code: string; /** Bytes that a failing write still writes. */ readonly partly?: number }

const thrown = ({ code }: Fault): Error => Object.assign(new Error(`${code}: injected`), { code });

/** The system's files, and a fault where `fails` says so; it is asked with the operation and how many of them there were. */
export function faultyFiles(fails: (operation: Operation, count: number) => Fault | undefined): JournalFiles & { readonly counts: Record<Operation, number> } {
  const counts: Record<Operation, number> = { create: 0, write: 0, sync: 0, syncFolder: 0, truncate: 0 };
  const unsynced = new Map<number, (readonly [number, number])[]>();
  const fault = (operation: Operation): Fault | undefined => fails(operation, counts[operation] += 1);
  const check = (operation: Operation): void => { const found = fault(operation); if (found) throw thrown(found); };
  return {
    ...systemFiles, counts,
    create: (path) => { check('create'); return systemFiles.create(path); },
    write: (file, bytes, position) => {
      const found = fault('write');
      unsynced.set(file, [...unsynced.get(file) ?? [], [position, bytes.length]]);
      if (!found) return systemFiles.write(file, bytes, position);
      if (found.partly !== undefined && found.partly > 0) return systemFiles.write(file, bytes.subarray(0, found.partly), position);
      throw thrown(found);
    },
    truncate: (file, length) => { check('truncate'); systemFiles.truncate(file, length); },
    sync: async (file) => {
      const found = fault('sync');
      const written = unsynced.get(file) ?? [];
      unsynced.delete(file);
      if (!found) { await systemFiles.sync(file); return; }
      // As a kernel does: what could not be written is gone from the cache, and the next sync succeeds.
      for (const [position, length] of written) systemFiles.write(file, Buffer.alloc(length), position);
      throw thrown(found);
    },
    syncFolder: async (path) => { check('syncFolder'); await systemFiles.syncFolder(path); },
  };
}
