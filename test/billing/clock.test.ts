import { describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import type { CallRecord } from '#libs/core/call-record.js';
import { usageEvent } from '#libs/core/usage-events.js';
import { aCall, endingOf } from '#libs/metering/a-call.contract.js';
import { CallLines, parseRecord } from '#libs/metering/call-lines.js';
import { newBoot } from '#libs/metering/segment-name.js';
import { JournalMeter } from '#libs/metering/usage-meter.js';
import { takeEvent } from '#libs/ledger/intake.js';

const NOON = Date.parse('2026-11-20T12:00:00Z');
const MINUTE = 60_000;

/** A meter whose wall clock and monotonic clock are the test's. */
function metered(bootId: string) {
  const time = { wall: NOON, mono: 1000 };
  const records: CallRecord[] = [];
  const heads = new Map<number, string>();
  let seq = 0;
  const meter = new JournalMeter({
    lines: new CallLines(bootId), now: () => time.wall, monotonic: () => time.mono,
    journal: {
      refusal: undefined, mint: () => ++seq,
      intend: async (at, head) => { heads.set(at, head); },
      settle: async (at, tail) => { records.push(parseRecord(heads.get(at) + tail)); },
      record: async (_at, whole) => { records.push(parseRecord(whole)); },
    },
  });
  return { time, records, meter };
}

// REL-14: the clock is set back and forth, by NTP or by hand, while calls run.
describe('a clock that is set while calls run', () => {
  it.each([-5, 5, -60, 24 * 60])('by %i minutes: no duration is negative, a call began when it began, numbers go on, the ledger takes it', async (minutes) => {
    const { time, records, meter } = metered('0123456789abcde');
    for (let at = 0; at < 20; at += 1) {
      const call = aCall({ startedAt: time.mono });
      const callId = await meter.intent(call);
      if (callId instanceof Denial) throw new Error('refused');
      if (at === 10) time.wall += minutes * MINUTE;
      time.mono += 15;
      time.wall += 15;
      await meter.settle({ ...endingOf({ ...call, callId }), durationMs: 15 });
    }
    expect(records.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
    expect(new Set(records.map(({ id }) => id)).size).toBe(20);
    expect(records.filter(({ units }) => Object.values(units).some((value) => Number(value) < 0))).toEqual([]);
    // Up to the step by the old clock, from then on by the new one: no call is put where it was not.
    expect(records[10]?.at).toBe(NOON + 150);
    expect(records[11]?.at).toBe(NOON + 165 + minutes * MINUTE);
    const taken = records.map((record) => takeEvent(usageEvent(record, '/gw/a/b/0123456789abcde'), time.wall));
    // Those that the new clock takes for the day after tomorrow are put aside and named, not charged in another month.
    expect(taken.filter((one) => 'usage' in one)).toHaveLength(minutes === -60 ? 9 : 20);
    expect(taken.filter((one) => !('usage' in one)).every((one) => 'reason' in one && one.reason === 'future' && one.seen !== undefined)).toBe(true);
  });
  it('no two lives of a gateway have one name, though they begin at the same millisecond', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => newBoot(NOON).id)).size).toBe(10_000);
  });
});
