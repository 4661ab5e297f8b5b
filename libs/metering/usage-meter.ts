import { hash } from 'node:crypto';
import type { AuthorizedCall, AuthenticatedCall, Ending, ResolvedCall, ValidatedCall } from '#libs/core/call.js';
import type { CallUnits } from '#libs/core/call-record.js';
import { Denial } from '#libs/core/errors.js';
import type { Redactor, UsageMeter } from '#libs/core/ports.js';
import { type CallLines, tail } from './call-lines.js';
import { canonicalJson } from '#libs/core/canonical-json.js';
import type { Journal } from './journal.js';
import { outcomeOf, wasInvoked } from './outcome.js';

export interface JournalMeterOptions {
  readonly journal: Pick<Journal, 'refusal' | 'mint' | 'intend' | 'settle' | 'record'>;
  readonly lines: CallLines;
  /** What may be kept of arguments; undefined: nothing is. */
  readonly redactArguments?: NonNullable<Redactor['redactArguments']> | undefined;
  /** Largest arguments kept in a record, in bytes of JSON; of larger ones only the digest is. Default 4096. */
  readonly argumentBytes?: number;
  /** Waits until the receiver has the record as well; undefined: durable here is enough. Rejects with `Unavailable`. */
  readonly delivered?: ((seq: number) => Promise<void>) | undefined;
  /** Milliseconds since the epoch, and monotonic ones. */
  readonly now?: () => number;
  readonly monotonic?: () => number;
}

interface Begun { readonly seq: number; readonly requestBytes: number }

/** Of a call under a verbose audit obligation. */
const VERBOSE_ARGUMENT_BYTES = 256 * 1024;

/** Every call on record in the journal: its intent before the backend is asked, its ending before the reply leaves. */
export class JournalMeter implements UsageMeter {
  private readonly begun = new Map<string, Begun>();
  private readonly now: () => number;
  private readonly monotonic: () => number;
  private readonly argumentBytes: number;
  constructor(private readonly options: JournalMeterOptions) {
    this.now = options.now ?? Date.now;
    this.monotonic = options.monotonic ?? (() => performance.now());
    this.argumentBytes = options.argumentBytes ?? 4096;
  }

  intent(call: ValidatedCall): Promise<string | Denial> | Denial {
    const { journal, lines } = this.options;
    const { refusal } = journal;
    if (refusal !== undefined) return unavailable(refusal);
    const { kept, requestBytes } = this.arguments(call, call.target);
    const seq = journal.mint();
    const callId = lines.callId(seq);
    return journal.intend(seq, lines.head(seq, this.startOf(call), call, kept)).then(
      () => { this.begun.set(callId, { seq, requestBytes }); return callId; },
      () => unavailable(journal.refusal ?? 'the intent could not be written'),
    );
  }

  settle(ending: Ending): Promise<void> {
    const { journal, lines, delivered } = this.options;
    const { reached, denial } = ending;
    const begun = reached.callId === undefined ? undefined : this.begun.get(reached.callId);
    let seq: number;
    let durable: Promise<void>;
    if (begun) {
      this.begun.delete(lines.callId(begun.seq));
      ({ seq } = begun);
      durable = journal.settle(seq, this.tail(ending, begun.requestBytes));
    } else {
      const { kept, requestBytes } = this.arguments(reached, reached.target);
      seq = journal.mint();
      durable = journal.record(seq, lines.head(seq, this.startOf(reached), reached, kept) + this.tail(ending, requestBytes, denial));
      (reached as { callId?: string }).callId = lines.callId(seq);
    }
    return delivered ? durable.then(() => delivered(seq)) : durable;
  }

  private tail(ending: Ending, requestBytes: number, denial = ending.denial): string {
    const { reached, durationMs } = ending;
    const { answer } = reached;
    const invoked = wasInvoked(ending);
    const units: CallUnits = {
      requestBytes, responseBytes: whole(answer?.bytes ?? 0), backendMs: whole(answer?.latencyMs ?? (invoked ? durationMs : 0)), totalMs: whole(durationMs),
      attempts: answer?.attempts ?? (invoked ? 1 : 0), ...(answer?.units ? { reported: answer.units } : {}),
    };
    return tail(outcomeOf(ending), invoked, units, { denial, decided: reached.decision !== undefined });
  }

  /** Wall time of a monotonic start: a step of the clock while the call runs does not change when it began. */
  private startOf(call: AuthenticatedCall): number { return Math.round(this.now() - Math.max(0, this.monotonic() - call.startedAt)); }

  private arguments(call: AuthenticatedCall & Partial<AuthorizedCall>, target: ResolvedCall['target'] | undefined): { kept: string; requestBytes: number } {
    const { redactArguments } = this.options;
    const given = call.arguments === undefined ? '' : JSON.stringify(call.arguments) ?? '';
    const requestBytes = Buffer.byteLength(given);
    // What no schema has seen is not kept: nobody knows where in it a secret would be.
    if (!redactArguments || !target || given === '') return { kept: '', requestBytes };
    let redacted: ReturnType<typeof redactArguments>;
    try { redacted = redactArguments(call.arguments, target); } catch { return { kept: '', requestBytes }; }
    const { value, replaced } = redacted;
    const text = replaced === 0 ? given : JSON.stringify(value) ?? 'null';
    const bytes = replaced === 0 ? requestBytes : Buffer.byteLength(text);
    // Whoever broke the glass is on record with what they said, whole.
    const bound = call.decision?.obligations?.some(({ flag }) => flag === 'break_glass') === true ? VERBOSE_ARGUMENT_BYTES : this.argumentBytes;
    const what = bytes <= bound ? `,"arguments":${text}` : `,"argumentsDigest":"${hash('sha256', canonicalJson(value))}"`;
    return { kept: replaced === 0 ? what : `${what},"redactions":${replaced}`, requestBytes };
  }
}

const whole = (value: number): number => (value > 0 ? Math.round(value) : 0);
const unavailable = (reason: string): Denial => new Denial({ code: 'UNAVAILABLE', message: 'The service cannot account for calls at the moment.', reason, retryAfterSeconds: 1 });
