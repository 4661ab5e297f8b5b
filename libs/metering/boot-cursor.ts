import type { CallRecord } from '#libs/core/call-record.js';
import { parseRecord, UNKNOWN_TAIL } from './call-lines.js';
import { SequenceSet } from './sequence-set.js';

/** Where to read on after a restart: a byte of a segment, and up to which sequence everything was taken. */
export interface Position { readonly segment: number; readonly at: number; readonly complete: number }

interface Pending { readonly segment: number; readonly at: number; readonly since: number; head: string | undefined }

/** The lines of one boot on their way to records: which calls are begun, which are handed over, and from where a restart reads again. */
export class BootCursor {
  /** By sequence, in the order of the file, until taken: the first says from where a restart reads. */
  private readonly pending = new Map<number, Pending>();
  readonly taken = new SequenceSet();
  segment: number;
  at: number;
  /** Lines that were no record. */
  damaged = 0;

  constructor(readonly source: string, from: Position | undefined) {
    this.segment = from?.segment ?? 0;
    this.at = from?.at ?? 0;
    this.taken.addUpTo(from?.complete ?? 0);
  }

  /** The records that end in this text of whole lines, which stands at byte `at` of the segment. */
  read(segment: number, at: number, text: string): CallRecord[] {
    const records: CallRecord[] = [];
    for (let start = 0; start < text.length;) {
      const end = text.indexOf('\n', start);
      const space = text.indexOf(' ', start);
      if (end < 0 || space < 0 || space > end) { this.damaged += 1; break; }
      const seq = Number(text.slice(start + 1, space));
      const body = text.slice(space + 1, end);
      const kind = text[start];
      start = end + 1;
      const pending = this.pending.get(seq);
      if (kind === '=') {
        // A line may stand twice, where a file was given up: the first counts.
        if (pending?.head === undefined) continue;
        const whole = pending.head + body;
        pending.head = undefined;
        this.push(records, seq, whole);
      } else if (!pending && !this.taken.has(seq)) {
        this.pending.set(seq, { segment, at, since: Number(AT.exec(body)?.[1] ?? 0), head: kind === '+' ? body : undefined });
        if (kind === '!') this.push(records, seq, body);
      }
    }
    return records;
  }

  /** Those calls whose ending never came, now that the boot is over. */
  unresolved(): CallRecord[] {
    const records: CallRecord[] = [];
    for (const [seq, pending] of this.pending) {
      if (pending.head === undefined) continue;
      const whole = pending.head + UNKNOWN_TAIL;
      pending.head = undefined;
      this.push(records, seq, whole);
    }
    return records;
  }

  private push(records: CallRecord[], seq: number, text: string): void {
    try { records.push(parseRecord(text)); } catch {
      this.damaged += 1;
      this.pending.delete(seq);
    }
  }

  acknowledge(records: readonly CallRecord[]): void {
    for (const { seq } of records) { this.pending.delete(seq); this.taken.add(seq); }
  }

  /** How far everything would be taken with these records taken. */
  completeWith(records: readonly CallRecord[]): number {
    const more = new Set(records.map(({ seq }) => seq));
    let complete = this.taken.contiguous;
    while (more.has(complete + 1) || this.taken.has(complete + 1)) complete += 1;
    return complete;
  }

  /** Everything before it is taken. */
  get position(): Position {
    const [first] = this.pending.values();
    const complete = this.taken.contiguous;
    return first ? { segment: first.segment, at: first.at, complete } : { segment: this.segment, at: this.at, complete };
  }
  /** When the oldest call that is read and not taken began, milliseconds since the epoch. */
  get oldest(): number | undefined { const [first] = this.pending.values(); return first?.since; }
}

const AT = /"at":(\d+)/;
