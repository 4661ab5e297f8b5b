import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { CallRecord } from '#libs/core/call-record.js';
import { Unavailable } from '#libs/core/errors.js';
import type { Log } from '#libs/core/ports.js';
import type { RecordSink, RecordSource } from '#libs/core/usage-events.js';
import { BootCursor, type Position } from './boot-cursor.js';
import type { Journal, Segment } from './journal.js';
import type { OldBoot } from './old-boots.js';
import { readSegment } from './segment-reader.js';

export interface ShipperOptions {
  readonly directory: string;
  readonly journal: Pick<Journal, 'source' | 'minted' | 'readable' | 'onDurable' | 'release'>;
  readonly bootId: string;
  /** Oldest first; handed on before this boot's. */
  readonly older: readonly OldBoot[];
  readonly sink: RecordSink;
  readonly log: Log;
  /** Records of a batch at most. Default 500. */
  readonly batch?: number;
  /** How long the first record waits for others, in milliseconds. Default 50. */
  readonly linger?: number;
  /** Between two tries of a batch that was not taken, in milliseconds: from, to. Default 200 and 5000. */
  readonly retry?: readonly [number, number];
  /** How long `delivered` waits, in milliseconds. Default 5000. */
  readonly deliverWithin?: number;
}

const POSITIONS = 'positions.json';
class Stopped extends Error {}

/**
 * Reads the journal behind its writer, only what is durable, and hands it on: at least once, until the sink has taken it. A segment is
 * deleted when everything in it was taken. A restart reads again from the first record that was not.
 */
export class Shipper implements RecordSource {
  private readonly positions: Record<string, Position> = {};
  private readonly live: BootCursor;
  private readonly cursors: BootCursor[] = [];
  private readonly flights = new Set<Promise<void>>();
  private readonly waiting = new Map<number, { resolve: () => void; reject: (reason: unknown) => void; timer: NodeJS.Timeout }>();
  private readonly stop = new AbortController();
  private wake = Promise.withResolvers<void>();
  private running: Promise<void> | undefined;
  private ending = false;
  private savedAt = 0;
  private saving: Promise<boolean> = Promise.resolve(false);
  /** Why the sink does not take records at the moment. */
  refusing: string | undefined;
  /** Stretches and lines of the journal that were no records; calls of earlier boots whose ending is not known; sequences that are missing. */
  readonly found = { damaged: 0, unknown: 0, missing: 0 };
  shipped = 0;

  constructor(private readonly options: ShipperOptions) {
    this.live = new BootCursor(options.journal.source, undefined);
    options.journal.onDurable(() => { this.wake.resolve(); });
  }

  start(): void {
    this.running ??= this.run().catch((failure: unknown) => {
      if (!(failure instanceof Stopped)) this.options.log.error({ err: failure }, 'records are not handed on any more');
    });
  }

  /** Of this boot: minted and not taken yet. */
  get unshipped(): number { return this.options.journal.minted - this.live.taken.size; }
  /** Milliseconds since the oldest call that waits to be taken began. */
  oldest(now: number): number { const since = this.live.oldest; return since === undefined ? 0 : Math.max(0, now - since); }

  progress(): ReturnType<RecordSource['progress']> {
    return [
      ...this.cursors.map(({ source, taken }) => ({ source, minted: taken.highest, complete: taken.contiguous })),
      { source: this.live.source, minted: this.options.journal.minted, complete: this.live.taken.contiguous },
    ];
  }

  /** Resolves when the sink has taken this record of this boot; rejects with `Unavailable` after a while. */
  delivered(seq: number): Promise<void> {
    if (this.live.taken.has(seq)) return Promise.resolve();
    this.wake.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { this.waiting.delete(seq); reject(new Unavailable(this.options.sink.name, { cause: this.refusing })); }, this.options.deliverWithin ?? 5000);
      this.waiting.set(seq, { resolve, reject, timer });
    });
  }

  /** After the journal is closed: hands on what is left for at most so many milliseconds. */
  async close(within: number): Promise<void> {
    this.ending = true;
    this.wake.resolve();
    if (this.running) await Promise.race([this.running, wait(within, undefined, { ref: false })]);
    this.stop.abort();
    // A sink that does not answer is not waited for: what it has or has not taken is offered again after the next start.
    await Promise.race([Promise.allSettled([this.running, ...this.flights]), wait(1000, undefined, { ref: false })]);
    await this.save(true);
    for (const { timer, reject } of this.waiting.values()) { clearTimeout(timer); reject(new Unavailable(this.options.sink.name)); }
    await this.options.sink.close?.();
  }

  private async run(): Promise<void> {
    const saved = await this.load();
    for (const boot of this.options.older) await this.shipOld(boot, saved[boot.id]);
    const { journal, linger = 50 } = this.options;
    for (;;) {
      const last = this.ending;
      this.wake = Promise.withResolvers<void>();
      await this.shipLive();
      if (last) break;
      await this.wake.promise;
      if (linger > 0 && this.waiting.size === 0) await wait(linger, undefined, { signal: this.stop.signal }).catch(() => undefined);
    }
    await this.landed();
    if (this.live.oldest !== undefined) return;
    await this.offer(this.live, [], true);
    delete this.positions[this.options.bootId];
    for (const { path } of journal.readable().slice()) journal.release(path);
  }

  private async shipOld(boot: OldBoot, from: Position | undefined): Promise<void> {
    const { log, journal } = this.options;
    const cursor = new BootCursor(boot.source ?? this.live.source.replace(/[^/]*$/, boot.id), from);
    this.cursors.push(cursor);
    await this.ship(cursor, boot.id, boot.segments.map((segment) => ({ ...segment, durable: Infinity, size: Infinity, sealed: true })));
    const unknown = cursor.unresolved();
    if (unknown.length > 0) {
      this.found.unknown += unknown.length;
      log.warn({ boot: boot.id, calls: unknown.map(({ id }) => id).slice(0, 100), count: unknown.length }, 'calls whose ending is not known: the gateway ended while their backends were asked');
    }
    for (let start = 0; start < unknown.length; start += this.batchSize) await this.send(cursor, boot.id, unknown.slice(start, start + this.batchSize));
    await this.landed();
    const gaps = cursor.taken.gaps();
    if (gaps.length > 0) {
      const count = gaps.reduce((sum, [first, last]) => sum + last - first + 1, 0);
      this.found.missing += count;
      log.error({ boot: boot.id, missing: gaps.slice(0, 100).map(([first, last]) => (first === last ? `${boot.id}-${first}` : `${boot.id}-${first}…${last}`)), count }, 'records are missing from the journal');
    }
    await this.offer(cursor, [], true);
    this.cursors.splice(this.cursors.indexOf(cursor), 1);
    delete this.positions[boot.id];
    for (const { path } of boot.segments) journal.release(path);
    await this.save(true);
  }

  private async shipLive(): Promise<void> {
    const { journal, bootId } = this.options;
    await this.ship(this.live, bootId, journal.readable());
  }

  private async ship(cursor: BootCursor, bootId: string, segments: readonly Segment[]): Promise<void> {
    let records: CallRecord[] = [];
    for (const segment of segments.filter(({ number }) => number >= cursor.segment)) {
      if (segment.number !== cursor.segment) { cursor.segment = segment.number; cursor.at = 0; }
      // Asked before it is read: what becomes durable meanwhile is read next time.
      const { durable } = segment;
      const finished = segment.sealed && durable >= segment.size;
      // The header stands before the first frame and is read over.
      for await (const part of readSegment(segment.path, cursor.at, durable)) {
        if ('damage' in part) { this.damage(segment.path, part.at, part.damage); continue; }
        records.push(...cursor.read(segment.number, part.at, part.text));
        cursor.at = part.next;
        while (records.length >= this.batchSize) { await this.send(cursor, bootId, records.slice(0, this.batchSize)); records = records.slice(this.batchSize); }
      }
      // The next one may already be durable while the end of this one is not.
      if (!finished) break;
    }
    if (records.length > 0) await this.send(cursor, bootId, records);
  }

  private damage(path: string, at: number, damage: string): void {
    this.found.damaged += 1;
    this.options.log.warn({ segment: path, at, damage }, 'a stretch of the journal is not a record and is passed over');
  }

  private get batchSize(): number { return this.options.batch ?? 500; }

  private async send(cursor: BootCursor, bootId: string, records: readonly CallRecord[]): Promise<void> {
    while (this.flights.size >= (this.options.sink.inFlight ?? 1)) await Promise.race(this.flights);
    if (this.stop.signal.aborted) throw new Stopped();
    const flight: Promise<void> = this.offer(cursor, records, false).then(() => {
      cursor.acknowledge(records);
      this.shipped += records.length;
      if (cursor === this.live) for (const { seq } of records) this.arrived(seq);
      return this.advance(cursor, bootId);
    });
    const tracked: Promise<void> = flight.finally(() => { this.flights.delete(tracked); });
    tracked.catch(() => undefined);
    this.flights.add(tracked);
  }

  private async landed(): Promise<void> { while (this.flights.size > 0) await Promise.race(this.flights); }

  private arrived(seq: number): void {
    const waiter = this.waiting.get(seq);
    if (!waiter) return;
    this.waiting.delete(seq);
    clearTimeout(waiter.timer);
    waiter.resolve();
  }

  /** Until it is taken; throws `Stopped` at the end of the process. */
  private async offer(cursor: BootCursor, records: readonly CallRecord[], ended: boolean): Promise<void> {
    const { sink, log, retry: [first, longest] = [200, 5000] } = this.options;
    const sequences = records.map(({ seq }) => seq);
    for (let pause = first; ; pause = Math.min(pause * 2, longest)) {
      try {
        const complete = cursor.completeWith(records);
        await sink.accept({ source: cursor.source, firstSeq: records.length > 0 ? Math.min(...sequences) : 0, lastSeq: records.length > 0 ? Math.max(...sequences) : 0, complete, ended, records });
        if (this.refusing !== undefined) log.info({ sink: sink.name }, 'records are taken again');
        this.refusing = undefined;
        return;
      } catch (failure) {
        if (this.refusing === undefined) log.warn({ sink: sink.name, err: failure }, 'records are not taken; they stay in the journal and are offered again');
        this.refusing = failure instanceof Error ? failure.message : String(failure);
      }
      await wait(pause, undefined, { signal: this.stop.signal }).catch(() => undefined);
      if (this.stop.signal.aborted) throw new Stopped();
    }
  }

  private advance(cursor: BootCursor, bootId: string): void {
    const position = cursor.position;
    this.positions[bootId] = position;
    const done = cursor === this.live ? this.options.journal.readable().filter(({ number }) => number < position.segment) : [];
    // What is deleted before it is known that it was taken would be missed after a restart.
    void this.save(done.length > 0).then((saved) => { if (saved) for (const { path } of done) this.options.journal.release(path); return saved; });
  }

  /** Where it is lost, records are handed on once more: nothing else depends on it. */
  private async save(now: boolean): Promise<boolean> {
    if (!now && Date.now() - this.savedAt < 1000) return false;
    this.savedAt = Date.now();
    return await (this.saving = this.saving.then(() => this.write()));
  }
  private async write(): Promise<boolean> {
    const path = join(this.options.directory, POSITIONS);
    try {
      await writeFile(`${path}.new`, JSON.stringify(this.positions), { mode: 0o600, flush: true });
      await rename(`${path}.new`, path);
      return true;
    } catch (failure) {
      this.options.log.warn({ err: failure }, 'the position in the journal could not be saved; nothing is deleted until it can');
      return false;
    }
  }

  private async load(): Promise<Readonly<Record<string, Position>>> {
    try { return JSON.parse(await readFile(join(this.options.directory, POSITIONS), 'utf8')) as Record<string, Position>; } catch { return {}; }
  }
}
