import { describe, expect, it } from 'vitest';
import type { RecordBatch } from '#libs/core/usage-events.js';
import { silent } from './a-call.contract.js';
import { headOf, inFolder, KeptRecords, oneCall, openJournal, replay, segmentsIn, TAIL } from './a-journal.contract.js';
import type { Journal } from './journal.js';
import { type JournalFiles, systemFiles } from './journal-files.js';
import { SequenceSet } from './sequence-set.js';
import { Shipper, type ShipperOptions } from './shipper.js';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const shipping = (directory: string, journal: Journal, options: Partial<ShipperOptions> & Pick<ShipperOptions, 'sink'>): Shipper => {
  const shipper = new Shipper({ directory, journal, bootId: journal.source.slice(-15), older: [], log: silent, linger: 0, retry: [1, 4], ...options });
  shipper.start();
  return shipper;
};

class Unsteady extends KeptRecords {
  offered = 0;
  constructor(private readonly refuses: (offer: number) => boolean) { super(); }
  override accept(batch: RecordBatch): Promise<void> {
    this.offered += 1;
    return this.refuses(this.offered) ? Promise.reject(new Error('away')) : super.accept(batch);
  }
}

describe('the shipper', () => {
  it('hands on in batches with their positions, and says up to where all was handed on', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    const early = journal.mint();
    await journal.intend(early, headOf(early));
    await Promise.all(upTo(25).map(() => oneCall(journal)));
    const kept = new KeptRecords();
    const shipper = shipping(directory, journal, { sink: kept, batch: 10 });
    await shipper.delivered(26);
    expect(kept.batches.map(({ firstSeq, lastSeq, complete, ended, records }) => ({ firstSeq, lastSeq, complete, ended, count: records.length }))).toEqual([
      { firstSeq: 2, lastSeq: 11, complete: 0, ended: false, count: 10 }, { firstSeq: 12, lastSeq: 21, complete: 0, ended: false, count: 10 }, { firstSeq: 22, lastSeq: 26, complete: 0, ended: false, count: 5 },
    ]);
    await journal.settle(early, TAIL);
    await journal.close();
    await shipper.close(5000);
    expect(kept.batches.at(-2)).toMatchObject({ firstSeq: 1, lastSeq: 1, complete: 26, ended: false });
    expect(kept.batches.at(-1)).toMatchObject({ complete: 26, ended: true, records: [] });
    expect(await segmentsIn(directory)).toEqual([]);
  }));

  it('offers a batch that is not taken again until it is, and keeps it in the journal meanwhile', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    const sink = new Unsteady((offer) => offer <= 5);
    const shipper = shipping(directory, journal, { sink });
    await oneCall(journal);
    await shipper.delivered(1);
    expect(sink.offered).toBe(6);
    expect(sink.sequences).toEqual([1]);
    await journal.close();
    await shipper.close(5000);
  }));

  it('deletes no segment before all in it is taken, and each after', () => inFolder(async (directory) => {
    let away = true;
    const journal = await openJournal(directory, { segmentBytes: 5000 });
    const sink = new Unsteady(() => away);
    const shipper = shipping(directory, journal, { sink, batch: 20 });
    for (let turn = 0; turn < 30; turn += 1) await Promise.all(upTo(10).map(() => oneCall(journal)));
    const full = await segmentsIn(directory);
    expect(full.length).toBeGreaterThan(3);
    away = false;
    await shipper.delivered(300);
    await oneCall(journal);
    await shipper.delivered(301);
    for (let turn = 0; turn < 200 && (await segmentsIn(directory)).length > 1; turn += 1) await new Promise((resolve) => { setTimeout(resolve, 5); });
    expect((await segmentsIn(directory)).length).toBeLessThanOrEqual(1);
    expect(sink.sequences).toEqual(upTo(301));
    await journal.close();
    await shipper.close(5000);
  }));

  it('does not go on to the next segment before the end of the last one is durable', () => inFolder(async (directory) => {
    const gates: PromiseWithResolvers<void>[] = [];
    let gated = false;
    const sync: JournalFiles['sync'] = async (file) => { if (gated) { const gate = Promise.withResolvers<void>(); gates.push(gate); await gate.promise; } await systemFiles.sync(file); };
    const journal = await openJournal(directory, { segmentBytes: 5000, files: { ...systemFiles, sync } });
    const kept = new KeptRecords();
    const shipper = shipping(directory, journal, { sink: kept });
    await oneCall(journal);
    gated = true;
    const calls = Promise.all(upTo(10).map(() => oneCall(journal)));
    while (gates.length < 1) await new Promise((resolve) => { setImmediate(resolve); });
    const more = Promise.all(upTo(80).map(() => oneCall(journal)));
    while (journal.readable().length < 2) await new Promise((resolve) => { setImmediate(resolve); });
    void shipper.delivered(1000).catch(() => undefined);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    gated = false;
    for (const gate of gates) gate.resolve();
    await calls;
    await more;
    await shipper.delivered(91);
    expect(kept.sequences).toEqual(upTo(91));
    await journal.close();
    await shipper.close(5000);
  }));

  it('reads on after a restart where it was, and loses nothing that was not taken', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    const sink = new Unsteady((offer) => offer > 3);
    const shipper = shipping(directory, journal, { sink, batch: 10 });
    await Promise.all(upTo(100).map(() => oneCall(journal)));
    await shipper.delivered(30);
    await journal.close();
    await shipper.close(20);
    expect(sink.sequences).toEqual(upTo(30));
    const { kept } = await replay(directory);
    expect(new Set([...sink.sequences, ...kept.sequences])).toEqual(new Set(upTo(100)));
    expect(kept.batches.find(({ ended }) => ended)?.complete).toBe(100);
  }));

  it('hands on an ending whose intent stands before the saved position only with that intent', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    const early = journal.mint();
    await journal.intend(early, headOf(early));
    const first = new KeptRecords();
    const shipper = shipping(directory, journal, { sink: first });
    for (let turn = 0; turn < 5; turn += 1) await Promise.all(upTo(10).map(() => oneCall(journal)));
    await shipper.delivered(51);
    await journal.close();
    await shipper.close(5000);
    // The call was under way when the process ended.
    const { kept } = await replay(directory);
    expect(kept.records.filter(({ seq }) => seq === early).map(({ outcome }) => outcome)).toEqual(['unknown']);
  }));

  it('has several batches on their way where the sink takes them, and never says more is complete than is', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    const gates: PromiseWithResolvers<void>[] = [];
    const offered: RecordBatch[] = [];
    const sink = { name: 'slow', inFlight: 3, accept: (batch: RecordBatch) => { offered.push(batch); const gate = Promise.withResolvers<void>(); gates.push(gate); return gate.promise; } };
    await Promise.all(upTo(50).map(() => oneCall(journal)));
    const shipper = shipping(directory, journal, { sink, batch: 10 });
    while (gates.length < 3) await new Promise((resolve) => { setImmediate(resolve); });
    expect(offered.map(({ complete }) => complete)).toEqual([10, 0, 0]);
    expect(gates).toHaveLength(3);
    for (let index = 0; index < 5; index += 1) { while (gates.length <= index) await new Promise((resolve) => { setImmediate(resolve); }); gates[index]?.resolve(); }
    await shipper.delivered(50);
    for (const gate of gates) gate.resolve();
    const closing = journal.close().then(() => shipper.close(5000));
    while (gates.length < 6) await new Promise((resolve) => { setImmediate(resolve); });
    gates[5]?.resolve();
    await closing;
  }));
});

describe('a set of sequences', () => {
  it('keeps ranges, in whatever order numbers come', () => {
    const set = new SequenceSet();
    for (const seq of [5, 3, 1, 2, 9, 8, 4, 4]) set.add(seq);
    expect([set.contiguous, set.highest, set.size, set.gaps()]).toEqual([5, 9, 7, [[6, 7]]]);
    set.addUpTo(6);
    expect([set.contiguous, set.gaps(), set.has(6), set.has(7)]).toEqual([6, [[7, 7]], true, false]);
  });
});
