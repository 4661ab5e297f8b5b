import { join } from 'node:path';
import { Unavailable } from '#libs/core/errors.js';
import type { Log } from '#libs/core/ports.js';
import { FRAME_HEAD, MAGIC, writeFrame } from './frame.js';
import { type JournalFiles, systemFiles } from './journal-files.js';
import { type Boot, segmentName } from './segment-name.js';

export interface JournalOptions {
  readonly directory: string;
  readonly boot: Boot;
  /** `/gw/{cluster}/{instance}/{bootId}` */
  readonly source: string;
  /** What stands for the ending of a call whose own could not be put on record. */
  readonly unknownTail: string;
  readonly log: Log;
  /** Of one segment; the next is begun before it would be more. Default 64 MiB. */
  readonly segmentBytes?: number;
  /** Of all segments, those of earlier boots included: from here on no intent is taken. Default 4 GiB. */
  readonly maxBytes?: number;
  /** Bytes that must stay free on the file system. Default 64 MiB. */
  readonly minFreeBytes?: number;
  /** At `maxBytes`: take nothing more, or forget the oldest segment, where nobody is to take the records. Default `refuse`. */
  readonly atLimit?: 'refuse' | 'forget';
  /** Segments of earlier boots, oldest first. */
  readonly older?: readonly { readonly path: string; readonly bytes: number }[];
  readonly files?: JournalFiles;
}

/** A file of this boot. Bytes below `durable` are on the disk, those below `size` in the system's cache at least. */
export interface Segment { readonly path: string; readonly number: number; readonly size: number; readonly durable: number; readonly sealed: boolean }
interface OwnSegment { readonly path: string; readonly number: number; file: number | undefined; size: number; durable: number; sealed: boolean }

/** What was added in one turn of the event loop: one write, and one wait for the disk. */
class Group {
  text = '';
  readonly written = Promise.withResolvers<void>();
  private promise: PromiseWithResolvers<void> | undefined;
  constructor(/** The sequence before anything was minted in it. */ readonly first: number) { this.written.promise.catch(ignore); }
  get durable(): PromiseWithResolvers<void> | undefined { return this.promise; }
  whenDurable(): Promise<void> {
    if (!this.promise) { this.promise = Promise.withResolvers<void>(); this.promise.promise.catch(ignore); }
    return this.promise.promise;
  }
}
const ignore = (): void => undefined;

/**
 * An append-only journal of lines: `+seq head` (a call's intent), `=seq tail` (its ending), `!seq record` (a call that ended without one).
 * What is added in one turn of the event loop is one frame and one write(2); whoever asks for durability waits for the next fdatasync(2),
 * which all that wait share.
 *
 * `seq` has no gaps: what could not be written was not minted. A failed write is cut off again; after a failed sync the file is never
 * synced again (its pages may be marked clean without being written): it is cut to what was durable and closed, and what was not is written
 * once more to a new one. When that fails too, everything that waits is rejected, `refusal` says why, and `tend` mends it.
 */
export class Journal {
  readonly source: string;
  private readonly files: JournalFiles;
  private readonly segmentBytes: number;
  private readonly maxBytes: number;
  private readonly segments: OwnSegment[] = [];
  private readonly older: { readonly path: string; readonly bytes: number }[];
  private buffer = Buffer.allocUnsafe(256 * 1024);
  private next = 1;
  private numbered = 0;
  private bytesOnDisk: number;
  private group: Group | undefined;
  private unsynced: Group[] = [];
  private readonly dirty = new Set<OwnSegment>();
  private folderDirty = true;
  private syncing: Promise<void> | undefined;
  private broken: string | undefined;
  private lowDisk: string | undefined;
  private closed = false;
  /** Lines that were written and then lost with their file, and calls whose ending could not be written: for the recovery. */
  private unwritten = '';
  private readonly orphans = new Set<number>();
  private readonly listeners: (() => void)[] = [];
  private timer: NodeJS.Timeout | undefined;
  private tending: Promise<void> | undefined;
  /** Commits that reached the disk, their whole and longest time in seconds. */
  readonly commits = { count: 0, seconds: 0, longest: 0 };
  forgotten = 0;

  private constructor(private readonly options: JournalOptions) {
    this.source = options.source;
    this.files = options.files ?? systemFiles;
    this.segmentBytes = options.segmentBytes ?? 64 * 1024 * 1024;
    this.maxBytes = options.maxBytes ?? 4 * 1024 * 1024 * 1024;
    this.older = [...options.older ?? []];
    this.bytesOnDisk = this.older.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Rejects when the first segment cannot be made durable: see `JournalUnusable` for what an operator is told. */
  static async open(options: JournalOptions): Promise<Journal> {
    const journal = new Journal(options);
    journal.rotate();
    await journal.syncFiles();
    await journal.tend();
    journal.timer = setInterval(() => { void journal.tend(); }, 500).unref();
    return journal;
  }

  /** Why no call may be begun; undefined: they may. */
  get refusal(): string | undefined {
    if (this.closed) return 'the journal is closed';
    if (this.broken !== undefined) return this.broken;
    if (this.options.atLimit !== 'forget' && this.bytesOnDisk >= this.maxBytes) return `the journal holds ${this.bytesOnDisk} bytes of at most ${this.maxBytes}: its records are not taken`;
    return this.lowDisk;
  }
  get bytes(): number { return this.bytesOnDisk; }
  /** Highest sequence minted; what is being written counts. */
  get minted(): number { return this.next - 1; }
  /** Of this boot, in order. */
  readable(): readonly Segment[] { return this.segments; }
  /** Calls back when more is durable. */
  onDurable(listener: () => void): void { this.listeners.push(listener); }

  /** The next number, to be used for exactly one `intend` or `record` before anything is awaited. */
  mint(): number {
    this.current();
    const seq = this.next;
    this.next += 1;
    return seq;
  }
  /** Resolves when written, which survives this process's death; rejects with `Unavailable`, and then the number is given to another. */
  intend(seq: number, head: string): Promise<void> {
    const group = this.current();
    group.text += `+${seq} ${head}\n`;
    return group.written.promise;
  }
  /** Resolves when durable; rejects with `Unavailable` when it could not be made so, and then the call counts as `unknown`. */
  settle(seq: number, tail: string): Promise<void> {
    const group = this.current();
    group.text += `=${seq} ${tail}\n`;
    return group.whenDurable();
  }
  record(seq: number, whole: string): Promise<void> {
    const group = this.current();
    group.text += `!${seq} ${whole}\n`;
    return group.whenDurable();
  }

  private current(): Group {
    if (this.group) return this.group;
    // All that this turn of the event loop brings is one group.
    setImmediate(() => { this.flush(); });
    return this.group = new Group(this.next);
  }

  private flush(): void {
    const { group } = this;
    if (!group) return;
    this.group = undefined;
    try {
      if (this.closed || this.broken !== undefined) throw new Error(this.broken ?? 'closed');
      this.put(group.text);
    } catch (failure) {
      this.next = group.first;
      if (this.broken === undefined && !this.closed) this.breakDown('written', failure);
      this.reject(group);
      // What was written before may still become durable.
      return;
    }
    group.written.resolve();
    this.unsynced.push(group);
    if (group.durable) this.sync();
  }

  private reject(group: Group): void {
    const refused = new Unavailable('usage journal', { cause: this.broken });
    group.written.reject(refused);
    for (const line of group.text.split('\n')) if (line.startsWith('=')) this.orphans.add(seqOf(line));
    group.durable?.reject(refused);
  }

  /** One frame in the current segment, or in a new one. Throws with nothing of it left behind. */
  private put(text: string): void {
    if (this.buffer.length < FRAME_HEAD + text.length * 3) this.buffer = Buffer.allocUnsafe(FRAME_HEAD + text.length * 3);
    let segment = this.segments.at(-1);
    const length = writeFrame(this.buffer, 0, text);
    if (!segment || segment.sealed || (segment.size > 4096 && segment.size + length > this.segmentBytes)) segment = this.rotate();
    this.append(segment, this.buffer, length);
  }

  private append(segment: OwnSegment, bytes: Uint8Array, length: number): void {
    const { files } = this;
    const { file } = segment;
    if (file === undefined) throw new Error(`${segment.path} is closed`);
    try {
      for (let done = 0; done < length;) {
        const wrote = files.write(file, bytes.subarray(done, length), segment.size + done);
        if (wrote <= 0) throw new Error('nothing was written');
        done += wrote;
      }
    } catch (failure) {
      // Where even this fails, the next frame overwrites what is left behind, and readers take no frame whose sum is wrong.
      try { files.truncate(file, segment.size); } catch { /* told by the first failure */ }
      throw failure;
    }
    segment.size += length;
    this.bytesOnDisk += length;
    this.dirty.add(segment);
  }

  private rotate(): OwnSegment {
    const { directory, boot, source } = this.options;
    const number = this.numbered += 1;
    const path = join(directory, segmentName(boot, number));
    const segment: OwnSegment = { path, number, file: this.files.create(path), size: 0, durable: 0, sealed: false };
    const text = JSON.stringify({ boot: boot.id, source, segment: number, at: new Date().toISOString(), after: this.next - 1 });
    const header = Buffer.alloc(MAGIC.length + FRAME_HEAD + text.length * 3);
    MAGIC.copy(header);
    try { this.append(segment, header, MAGIC.length + writeFrame(header, MAGIC.length, text)); } catch (failure) { this.drop(segment); throw failure; }
    this.folderDirty = true;
    const last = this.segments.at(-1);
    if (last) { last.sealed = true; if (last.durable === last.size) this.closeFile(last); }
    this.segments.push(segment);
    if (this.options.atLimit === 'forget') this.forgetOldest();
    return segment;
  }

  private forgetOldest(): void {
    while (this.bytesOnDisk > this.maxBytes) {
      const path = this.older[0]?.path ?? this.segments.find(({ sealed, file }) => sealed && file === undefined)?.path;
      if (path === undefined) return;
      this.release(path);
      this.forgotten += 1;
    }
  }

  /** Deletes a segment whose records are safe elsewhere. */
  release(path: string): void {
    const old = this.older.findIndex((segment) => segment.path === path);
    if (old >= 0) {
      this.bytesOnDisk -= this.older[old]?.bytes ?? 0;
      this.older.splice(old, 1);
      this.files.remove(path);
      return;
    }
    const own = this.segments.find((segment) => segment.path === path);
    if (own?.sealed === true && own.file === undefined) { this.segments.splice(this.segments.indexOf(own), 1); this.bytesOnDisk -= own.size; this.files.remove(path); }
  }

  private sync(): void {
    this.syncing ??= this.syncLoop().finally(() => { this.syncing = undefined; if (this.unsynced.some(({ durable }) => durable)) this.sync(); });
  }

  private async syncLoop(): Promise<void> {
    let again = false;
    while (this.unsynced.some(({ durable }) => durable)) {
      const groups = this.unsynced;
      this.unsynced = [];
      const started = performance.now();
      try {
        await this.syncFiles();
        again = false;
      } catch (failure) {
        this.unsynced = [...groups, ...this.unsynced];
        this.options.log.error({ err: failure, journal: this.options.directory }, 'the journal could not be synced; its file is given up');
        try {
          if (again) throw failure;
          again = true;
          this.put(this.unsynced.map(({ text }) => text).join(''));
        } catch (second) { this.breakDown('made durable', second); this.rejectUnsynced(); }
        continue;
      }
      const seconds = (performance.now() - started) / 1000;
      this.commits.count += 1;
      this.commits.seconds += seconds;
      this.commits.longest = Math.max(this.commits.longest, seconds);
      for (const { durable } of groups) durable?.resolve();
      for (const listener of this.listeners) listener();
    }
  }

  /** Makes all that is written durable. A file that fails is given up before this rejects. */
  private async syncFiles(): Promise<void> {
    const dirty = [...this.dirty].map((segment) => ({ segment, size: segment.size }));
    this.dirty.clear();
    const folder = this.folderDirty;
    this.folderDirty = false;
    const failures: unknown[] = [];
    await Promise.all(dirty.map(async ({ segment, size }) => {
      try {
        if (segment.file !== undefined) await this.files.sync(segment.file);
        if (!folder) this.madeDurable(segment, size);
      } catch (failure) { failures.push(failure); this.giveUp(segment); }
    }));
    if (folder && failures.length === 0) {
      try {
        await this.files.syncFolder(this.options.directory);
        for (const { segment, size } of dirty) this.madeDurable(segment, size);
      } catch (failure) { failures.push(failure); for (const { segment } of dirty) this.giveUp(segment); }
    }
    if (failures.length === 0) return;
    for (const { segment } of dirty) if (segment.file !== undefined && segment.durable < segment.size) this.dirty.add(segment);
    this.folderDirty = true;
    throw failures[0] instanceof Error ? failures[0] : new Error(String(failures[0]));
  }

  private madeDurable(segment: OwnSegment, size: number): void {
    segment.durable = size;
    if (segment.sealed && segment.size === size) this.closeFile(segment);
  }

  /** Never synced again: what of it is not durable is cut off, and stands elsewhere or nowhere. */
  private giveUp(segment: OwnSegment): void {
    segment.sealed = true;
    this.dirty.delete(segment);
    if (segment.durable === 0) {
      const index = this.segments.indexOf(segment);
      if (index >= 0) this.segments.splice(index, 1);
      this.drop(segment);
      return;
    }
    try { if (segment.file !== undefined) this.files.truncate(segment.file, segment.durable); } catch { /* a reader in this process stops at `durable`; a later one takes what is whole */ }
    this.bytesOnDisk -= segment.size - segment.durable;
    segment.size = segment.durable;
    this.closeFile(segment);
  }

  private drop(segment: OwnSegment): void {
    this.closeFile(segment);
    this.dirty.delete(segment);
    this.bytesOnDisk -= segment.size;
    segment.size = 0;
    try { this.files.remove(segment.path); } catch { /* an empty segment is no harm */ }
  }

  private closeFile(segment: OwnSegment): void {
    const { file } = segment;
    segment.file = undefined;
    try { if (file !== undefined) this.files.close(file); } catch { /* nothing can be done with a file that cannot be closed */ }
  }

  private breakDown(what: string, failure: unknown): void {
    this.broken = `the journal cannot be ${what}: ${failure instanceof Error ? failure.message : String(failure)}`;
    this.options.log.error({ err: failure, journal: this.options.directory }, 'the journal is broken: calls are refused until it is mended');
  }

  private rejectUnsynced(): void {
    const groups = this.unsynced;
    this.unsynced = [];
    for (const group of groups) {
      // The ending of a call that is now answered as failed must not come true later.
      this.unwritten += group.text.split('\n').filter((line) => line !== '' && !line.startsWith('=')).map((line) => `${line}\n`).join('');
      this.reject(group);
    }
  }

  /** Looks at the disk and mends what is broken; runs by itself twice a second. */
  tend(): Promise<void> {
    return this.tending ??= this.look().finally(() => { this.tending = undefined; });
  }
  private async look(): Promise<void> {
    const { directory, minFreeBytes = 64 * 1024 * 1024 } = this.options;
    try {
      const free = await this.files.free(directory);
      this.lowDisk = free < minFreeBytes ? `the journal's disk has ${free} bytes left, less than ${minFreeBytes}` : undefined;
    } catch (failure) { this.lowDisk = `the journal's disk cannot be looked at: ${failure instanceof Error ? failure.message : String(failure)}`; }
    if (this.broken !== undefined && !this.closed) await this.recover();
  }

  private async recover(): Promise<void> {
    // A sync under way ends first: what it finds broken is part of what is to be mended.
    await this.syncing;
    const orphans = [...this.orphans];
    const text = this.unwritten + orphans.map((seq) => `=${seq} ${this.options.unknownTail}\n`).join('');
    let segment: OwnSegment | undefined;
    try {
      segment = this.rotate();
      if (text !== '') this.put(text);
      await this.syncFiles();
    } catch (failure) {
      if (segment) this.giveUp(segment);
      this.options.log.warn({ err: failure }, 'the journal is still broken');
      return;
    }
    this.unwritten = '';
    for (const seq of orphans) this.orphans.delete(seq);
    this.broken = undefined;
    this.options.log.info({ unknown: orphans.length }, 'the journal is mended');
    for (const listener of this.listeners) listener();
    if (this.orphans.size > 0) { const late = [...this.orphans]; this.orphans.clear(); for (const seq of late) void this.settle(seq, this.options.unknownTail).catch(ignore); }
  }

  /** Makes durable what is written, and takes nothing more. */
  async close(): Promise<void> {
    clearInterval(this.timer);
    this.flush();
    await this.tending;
    while (this.syncing) await this.syncing;
    try { if (this.broken === undefined) await this.syncFiles(); } catch { /* told by then */ }
    this.closed = true;
    for (const segment of this.segments) { segment.sealed = true; this.closeFile(segment); }
    for (const listener of this.listeners) listener();
  }
}

const seqOf = (line: string): number => Number(line.slice(1, line.indexOf(' ')));
