import type { Log, ReadinessCheck, Reading, Redactor, UsageMeter } from '#libs/core/ports.js';
import type { RecordSink, RecordSource } from '#libs/core/usage-events.js';
import { CallLines, UNKNOWN_TAIL } from './call-lines.js';
import { Journal } from './journal.js';
import { type JournalFiles, systemFiles } from './journal-files.js';
import { oldBoots } from './old-boots.js';
import { newBoot } from './segment-name.js';
import { JournalUnreadable } from './segment-reader.js';
import { Shipper } from './shipper.js';
import { JournalMeter } from './usage-meter.js';

export interface MeteringOptions {
  readonly directory: string;
  /** Names this gateway among others: `source` is `/gw/{cluster}/{instance}/{bootId}`. */
  readonly cluster: string;
  readonly instance: string;
  /** `journal`: a reply leaves when its record is on this disk. `journal+ack`: when the receiver has it as well. */
  readonly mode: 'journal' | 'journal+ack';
  readonly maxBytes: number;
  readonly segmentBytes?: number;
  readonly argumentBytes?: number;
  /** Undefined: nobody takes the records; the journal keeps the latest. */
  readonly sink: RecordSink | undefined;
  readonly redactArguments?: NonNullable<Redactor['redactArguments']> | undefined;
  /** Takes the folder for this process alone; answers the way to give it back. */
  readonly own: (directory: string) => Promise<() => Promise<void>>;
  readonly log: Log;
  readonly files?: JournalFiles;
}

/** The folder cannot be written. */
export class JournalUnusable extends Error {
  readonly code = 'JOURNAL_UNUSABLE';
  override get name(): string { return 'JournalUnusable'; }
  constructor(directory: string, cause: unknown) {
    super(`The journal folder ${directory} cannot be used (${cause instanceof Error ? cause.message : String(cause)}): make it writable, or set JOURNAL_DIR to a folder that is`, { cause });
  }
}

export interface Metering {
  readonly meter: UsageMeter;
  readonly source: RecordSource;
  readonly ready: ReadinessCheck;
  readonly readings: readonly Reading[];
  /** Begins to hand on. */
  start(): void;
  /** Makes durable what is written, hands on what it can within so many milliseconds, and gives the folder back. */
  close(within: number): Promise<void>;
}

/** Rejects with `JournalUnreadable`, `JournalUnusable`, or what `own` rejects with; each says what to do. */
export async function openMetering(options: MeteringOptions): Promise<Metering> {
  const { directory, sink, log, files = systemFiles } = options;
  const usable = async <T>(work: () => Promise<T>): Promise<T> => {
    try { return await work(); } catch (failure) { throw failure instanceof JournalUnreadable ? failure : new JournalUnusable(directory, failure); }
  };
  await usable(async () => { files.makeFolder(directory); await Promise.resolve(); });
  const release = await options.own(directory);
  try {
    const older = await usable(() => oldBoots(directory));
    const boot = newBoot(Date.now());
    const source = `/gw/${options.cluster}/${options.instance}/${boot.id}`;
    const journal = await usable(() => Journal.open({
      directory, boot, source, unknownTail: UNKNOWN_TAIL, log, files, maxBytes: options.maxBytes, atLimit: sink ? 'refuse' : 'forget',
      older: older.flatMap(({ segments }) => segments), ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
    }));
    const acknowledged = options.mode === 'journal+ack';
    const shipper = sink ? new Shipper({ directory, journal, bootId: boot.id, older, sink, log, linger: acknowledged ? 0 : 50 }) : undefined;
    if (!shipper) log.warn({ journal: directory, bytes: options.maxBytes }, 'nobody takes the records of calls: the journal keeps the latest');
    const meter = new JournalMeter({
      journal, lines: new CallLines(boot.id), redactArguments: options.redactArguments,
      delivered: acknowledged && shipper ? (seq) => shipper.delivered(seq) : undefined,
      ...(options.argumentBytes === undefined ? {} : { argumentBytes: options.argumentBytes }),
    });
    return {
      meter, source: shipper ?? { progress: () => [{ source, minted: journal.minted, complete: 0 }] },
      ready: readiness(journal, acknowledged ? shipper : undefined), readings: readingsOf(journal, shipper),
      start: () => { shipper?.start(); },
      close: async (within) => {
        await journal.close();
        await shipper?.close(within);
        await release();
      },
    };
  } catch (failure) { await release(); throw failure; }
}

/** Not ready while calls are refused. A broker that is away is no reason, unless every reply waits for it: the journal is there for that. */
const readiness = (journal: Journal, shipper: Shipper | undefined): ReadinessCheck => ({
  name: 'journal',
  check: () => {
    const reason = journal.refusal ?? (shipper?.refusing === undefined ? undefined : `records are not taken: ${shipper.refusing}`);
    return Promise.resolve(reason === undefined ? { ok: true } : { ok: false, reason });
  },
});

const gauge = (name: string, help: string, read: () => number): Reading => ({ name, help, type: 'gauge', read });
const counter = (name: string, help: string, read: () => number): Reading => ({ name, help, type: 'counter', read });

function readingsOf(journal: Journal, shipper: Shipper | undefined): readonly Reading[] {
  const { commits } = journal;
  return [
    gauge('journal_bytes', 'Bytes of the journal on disk.', () => journal.bytes),
    gauge('journal_refusing', '1 while calls are refused because they could not be put on record.', () => (journal.refusal === undefined ? 0 : 1)),
    counter('journal_records_total', 'Calls put on record since the start.', () => journal.minted),
    counter('journal_commits_total', 'Commits that reached the disk.', () => commits.count),
    counter('journal_commit_seconds_total', 'Time that commits took to reach the disk.', () => commits.seconds),
    gauge('journal_commit_longest_seconds', 'Longest commit since the last scrape.', () => { const { longest } = commits; commits.longest = 0; return longest; }),
    counter('journal_segments_forgotten_total', 'Segments deleted unread, where nobody takes the records.', () => journal.forgotten),
    ...(shipper ? [
      gauge('journal_unshipped_records', 'Records of this start that the receiver has not taken yet.', () => shipper.unshipped),
      gauge('journal_oldest_seconds', 'Age of the oldest call whose record is not taken yet.', () => shipper.oldest(Date.now()) / 1000),
      gauge('journal_sink_refusing', '1 while the receiver does not take records.', () => (shipper.refusing === undefined ? 0 : 1)),
      counter('journal_shipped_records_total', 'Records that the receiver took.', () => shipper.shipped),
      counter('journal_damaged_total', 'Stretches of the journal that were no records.', () => shipper.found.damaged),
      counter('journal_missing_records_total', 'Records of earlier starts that the journal has lost.', () => shipper.found.missing),
      counter('journal_unknown_outcomes_total', 'Calls of earlier starts whose ending is not known.', () => shipper.found.unknown),
    ] : []),
  ];
}
