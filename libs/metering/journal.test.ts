import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Unavailable } from '#libs/core/errors.js';
import { type Fault, faultyFiles, headOf, inFolder, oneCall, openJournal, type Operation, replay, segmentsIn, TAIL } from './a-journal.contract.js';
import { MAGIC } from './frame.js';
import { oldBoots } from './old-boots.js';
import { newBoot } from './segment-name.js';
import { readSegment } from './segment-reader.js';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

const written = async (directory: string): Promise<Buffer> => {
  const journal = await openJournal(directory);
  for (let turn = 0; turn < 4; turn += 1) await Promise.all(upTo(3).map(() => oneCall(journal)));
  await journal.close();
  return readFile((await segmentsIn(directory))[0] ?? '');
};
/** Each frame's end, and the text of all frames up to it. */
const framesOf = async (path: string): Promise<{ readonly next: number; readonly text: string }[]> => {
  const frames: { next: number; text: string }[] = [];
  for await (const part of readSegment(path)) if ('text' in part) frames.push(part);
  return frames;
};

/** Runs calls against a fault until all is over; answers which were acknowledged. */
const trial = (fails: (operation: Operation, count: number) => Fault | undefined) => inFolder(async (directory) => {
  let broken = true;
  const files = faultyFiles((operation, count) => (broken ? fails(operation, count) : undefined));
  const journal = await openJournal(directory, { files, segmentBytes: 5000 }).catch((failure: unknown) => { if (!String(failure).includes('injected')) throw failure; });
  if (!journal) return { opened: false as const };
  const acknowledged: number[] = [];
  const failed: unknown[] = [];
  const touched = new Set<number>();
  const call = async (): Promise<void> => {
    if (journal.refusal !== undefined) return;
    const seq = journal.mint();
    try {
      await journal.intend(seq, headOf(seq));
      touched.add(seq);
      await journal.settle(seq, TAIL);
      acknowledged.push(seq);
    } catch (failure) { failed.push(failure); }
  };
  for (let turn = 0; turn < 30; turn += 1) { await Promise.all(upTo(3).map(call)); if (turn % 7 === 6) await journal.tend(); }
  broken = false;
  await journal.tend();
  expect(journal.refusal, 'mended without a restart').toBeUndefined();
  for (let turn = 0; turn < 3; turn += 1) await Promise.all(upTo(3).map(call));
  await journal.close();
  const { kept, found } = await replay(directory);
  return { opened: true as const, acknowledged, failed, touched, kept, found, minted: journal.minted };
});

const expectNothingLost = (result: Awaited<ReturnType<typeof trial>>): void => {
  if (!result.opened) return;
  const { acknowledged, failed, touched, kept, found, minted } = result;
  expect(failed.every((failure) => failure instanceof Unavailable)).toBe(true);
  const outcomes = new Map(kept.records.map(({ seq, outcome }) => [seq, outcome as string]));
  expect(acknowledged.filter((seq) => outcomes.get(seq) !== 'success'), 'acknowledged and lost').toEqual([]);
  expect([...touched].filter((seq) => !outcomes.has(seq)), 'backend asked, no record').toEqual([]);
  expect(kept.sequences, 'gapless, each once').toEqual(upTo(minted));
  expect(found.missing).toBe(0);
};

describe('the journal', () => {
  it('hands every call on once, in one record of head and tail', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    await Promise.all(upTo(50).map(() => oneCall(journal)));
    const denied = journal.mint();
    await journal.record(denied, headOf(denied) + TAIL);
    await journal.close();
    const { kept, found } = await replay(directory);
    expect(kept.sequences).toEqual(upTo(51));
    expect(kept.records.every(({ outcome }) => outcome === 'success')).toBe(true);
    expect(found).toEqual({ damaged: 0, unknown: 0, missing: 0 });
    expect(kept.batches.find(({ ended }) => ended)?.complete).toBe(51);
    expect(await segmentsIn(directory)).toEqual([]);
  }));

  it('writes what one turn of the event loop brings with one write, and syncs it once', () => inFolder(async (directory) => {
    const files = faultyFiles(() => undefined);
    const journal = await openJournal(directory, { files });
    const before = { ...files.counts };
    const sequences = upTo(100).map(() => journal.mint());
    await Promise.all(sequences.map((seq) => journal.intend(seq, headOf(seq))));
    expect(files.counts.write - before.write).toBe(1);
    expect(files.counts.sync - before.sync).toBe(0);
    await Promise.all(sequences.map((seq) => journal.settle(seq, TAIL)));
    expect(files.counts.write - before.write).toBe(2);
    expect(files.counts.sync - before.sync).toBe(1);
    await journal.close();
  }));

  it('settles only after the sync that followed its write', () => inFolder(async (directory) => {
    const gate = Promise.withResolvers<void>();
    let gated = false;
    const base = faultyFiles(() => undefined);
    const journal = await openJournal(directory, { files: { ...base, sync: async (file) => { if (gated) await gate.promise; await base.sync(file); } } });
    const seq = journal.mint();
    await journal.intend(seq, headOf(seq));
    gated = true;
    let settled = false;
    const settling = (async () => { await journal.settle(seq, TAIL); settled = true; })();
    await new Promise((resolve) => { setImmediate(() => { setImmediate(resolve); }); });
    expect(settled).toBe(false);
    gate.resolve();
    await settling;
    await journal.close();
  }));

  it('reports calls that were begun and not ended as unknown, and nothing else of them', () => inFolder(async (directory) => {
    const journal = await openJournal(directory);
    const begun = journal.mint();
    await journal.intend(begun, headOf(begun));
    await oneCall(journal);
    await journal.close();
    const { kept, found } = await replay(directory);
    expect(kept.records.map(({ seq, outcome, invoked }) => [seq, outcome, invoked ?? undefined] as const).toSorted(([a], [b]) => a - b)).toEqual([[1, 'unknown', true], [2, 'success', undefined]]);
    expect(found.unknown).toBe(1);
  }));

  it('begins a new segment before one is too large, and finds a call whose halves stand in two', () => inFolder(async (directory) => {
    const journal = await openJournal(directory, { segmentBytes: 6000 });
    const early = journal.mint();
    await journal.intend(early, headOf(early));
    for (let turn = 0; turn < 30; turn += 1) await Promise.all(upTo(10).map(() => oneCall(journal)));
    await journal.settle(early, TAIL);
    await journal.close();
    const segments = await segmentsIn(directory);
    expect(segments.length).toBeGreaterThan(2);
    for (const segment of segments) expect((await stat(segment)).size).toBeLessThanOrEqual(6000);
    const { kept } = await replay(directory);
    expect(kept.sequences).toEqual(upTo(301));
    expect(kept.records.every(({ outcome }) => outcome === 'success')).toBe(true);
  }));

  it('takes no call any more once the folder holds all it may, and says how much that is', () => inFolder(async (directory) => {
    const journal = await openJournal(directory, { maxBytes: 2000 });
    expect(journal.refusal).toBeUndefined();
    while (journal.refusal === undefined) await oneCall(journal);
    expect(journal.refusal).toMatch(/holds 2\d{3} bytes of at most 2000/);
    await journal.close();
  }));

  it('takes no call while the disk has too little left, and takes them again without a restart', () => inFolder(async (directory) => {
    let free = 1;
    const files = { ...faultyFiles(() => undefined), free: () => Promise.resolve(free) };
    const journal = await openJournal(directory, { files, minFreeBytes: 1000 });
    expect(journal.refusal).toMatch(/1 bytes left, less than 1000/);
    free = 5000;
    await journal.tend();
    expect(journal.refusal).toBeUndefined();
    await journal.close();
  }));

  it('forgets the oldest where nobody takes the records, and refuses nothing', () => inFolder(async (directory) => {
    const journal = await openJournal(directory, { maxBytes: 20_000, segmentBytes: 5000, atLimit: 'forget' });
    for (let turn = 0; turn < 60; turn += 1) await Promise.all(upTo(10).map(() => oneCall(journal)));
    expect(journal.refusal).toBeUndefined();
    expect(journal.forgotten).toBeGreaterThan(0);
    expect(journal.bytes).toBeLessThan(26_000);
    await journal.close();
  }));
});

describe('a journal that was torn', () => {

  it('cut at any byte, gives exactly the whole frames before the cut', () => inFolder(async (directory) => {
    const whole = await written(directory);
    const path = (await segmentsIn(directory))[0] ?? '';
    const frames = await framesOf(path);
    expect(frames.length).toBeGreaterThanOrEqual(8);
    for (let cut = 0; cut < whole.length; cut += 1) {
      await writeFile(path, whole.subarray(0, cut));
      const expected = frames.filter(({ next }) => next <= cut);
      expect(await framesOf(path), `cut at byte ${cut}`).toEqual(expected);
    }
  }));

  it('with any bit flipped, never gives a frame that was not written', () => inFolder(async (directory) => {
    const whole = await written(directory);
    const path = (await segmentsIn(directory))[0] ?? '';
    const frames = await framesOf(path);
    const texts = new Set(frames.map(({ text }) => text));
    await fc.assert(fc.asyncProperty(fc.integer({ min: MAGIC.length, max: whole.length - 1 }), fc.integer({ min: 0, max: 7 }), async (byte, bit) => {
      const flipped = Buffer.from(whole);
      flipped[byte] = (flipped[byte] ?? 0) ^ (1 << bit);
      await writeFile(path, flipped);
      const read = await framesOf(path);
      expect(read.every(({ text }) => texts.has(text))).toBe(true);
      // All before the flip; and where the length was spared, all after its frame too.
      expect(read.length).toBeGreaterThanOrEqual(frames.filter(({ next }) => next <= byte).length);
    }), { numRuns: 300 });
  }));

  it('names the records that are missing, wherever one was taken out', () => inFolder(async (directory) => {
    const whole = await written(directory);
    const path = (await segmentsIn(directory))[0] ?? '';
    const frames = await framesOf(path);
    const name = path.slice(directory.length + 1);
    let removed = 0;
    for (const [index, frame] of frames.entries()) {
      const start = frames[index - 1]?.next ?? headerEnd(whole);
      // The last calls of a journal have nothing after them to be missed by.
      const numbers = [...frame.text.matchAll(/^\+(\d+)/gm)].map(([, seq]) => Number(seq));
      if (numbers.length === 0 || numbers.includes(12)) continue;
      const copy = join(directory, `copy-${index}`);
      await mkdir(copy);
      await writeFile(join(copy, name), Buffer.concat([whole.subarray(0, start), whole.subarray(frame.next)]));
      const { found, kept } = await replay(copy);
      expect(found.missing).toBe(numbers.length);
      expect(kept.batches.filter(({ ended }) => ended)[0]?.complete).toBe(Math.min(...numbers) - 1);
      removed += 1;
    }
    expect(removed).toBeGreaterThanOrEqual(3);
  }));

  it('of another version stops the start and is left as it is', () => inFolder(async (directory) => {
    const boot = newBoot(1);
    const path = join(directory, `000000000000001-${boot.id}-000001.journal`);
    await writeFile(path, Buffer.concat([Buffer.from('STOAJNL9'), Buffer.alloc(100)]));
    await expect(oldBoots(directory)).rejects.toThrow(/has format version "9", this program reads version 1: let the program that wrote it/);
    expect((await stat(path)).size).toBe(108);
  }));
});

const headerEnd = (whole: Buffer): number => MAGIC.length + 8 + whole.readUInt32LE(MAGIC.length);

describe('a journal whose disk fails', () => {
  const faults: readonly (readonly [string, Operation, Fault])[] = [
    ['ENOSPC at a write', 'write', { code: 'ENOSPC' }], ['EIO at a write', 'write', { code: 'EIO' }], ['a short write', 'write', { code: '', partly: 7 }],
    ['EIO at a sync', 'sync', { code: 'EIO' }], ['EIO at a sync of the folder', 'syncFolder', { code: 'EIO' }], ['EMFILE at a new segment', 'create', { code: 'EMFILE' }],
  ];
  it.each(faults)('loses nothing acknowledged by %s, whichever it is', async (_name, operation, fault) => {
    let tried = 0;
    for (let nth = 1; nth <= 40; nth += 1) { expectNothingLost(await trial((asked, count) => (asked === operation && count === nth ? fault : undefined))); tried += 1; }
    expect(tried).toBe(40);
  });
  it.each(faults)('loses nothing acknowledged by %s that lasts, from whichever on', async (_name, operation, fault) => {
    let tried = 0;
    for (let nth = 1; nth <= 40; nth += 3) { expectNothingLost(await trial((asked, count) => (asked === operation && count >= nth && count < nth + 12 ? fault : undefined))); tried += 1; }
    expect(tried).toBe(14);
  });
  it('loses nothing acknowledged on a full disk that writes a part of what it is given and cannot cut it off', async () => {
    let tried = 0;
    for (let nth = 2; nth <= 40; nth += 2) {
      tried += 1;
      let full = false;
      expectNothingLost(await trial((operation, count) => {
        if (operation === 'write' && count === nth) return { code: '', partly: 11 };
        if (operation === 'write' && count === nth + 1) { full = true; return { code: 'ENOSPC' }; }
        return full && operation === 'truncate' ? { code: 'EIO' } : undefined;
      }));
    }
    expect(tried).toBe(20);
  });
  it('keeps calls away from backends while it is broken, and counts what was under way as unknown', () => inFolder(async (directory) => {
    let broken = false;
    const files = faultyFiles((operation) => (broken && (operation === 'write' || operation === 'create') ? { code: 'ENOSPC' } : undefined));
    const journal = await openJournal(directory, { files });
    const seq = journal.mint();
    await journal.intend(seq, headOf(seq));
    broken = true;
    await expect(journal.settle(seq, TAIL)).rejects.toThrow(Unavailable);
    expect(journal.refusal).toMatch(/cannot be written: ENOSPC/);
    await journal.tend();
    expect(journal.refusal).toMatch(/ENOSPC/);
    broken = false;
    await journal.tend();
    expect(journal.refusal).toBeUndefined();
    await journal.close();
    const { kept, found } = await replay(directory);
    expect(kept.records.map(({ outcome }) => outcome)).toEqual(['unknown']);
    expect(found.unknown, 'told by the journal when it was mended, not found by the next start').toBe(0);
  }));
});
