import { type ShippedPattern, spansIn } from './shipped.js';
import { apart, type Span } from './spans.js';
import { TRIGGER, triggersOf } from './trigger-scan.js';
import { unfold } from './unfold.js';

/** A pattern of an operator's or a tenant's, on an engine whose time grows with the text alone. */
export interface OwnPattern {
  readonly name: string;
  readonly replacement: string;
  /** Asked of values under these keys or pointers alone; undefined: of every text. */
  readonly fields?: readonly string[] | undefined;
  /** Throws when the budget is used up. */
  readonly find: (text: string, found: (start: number, end: number) => void, budget: Budget) => void;
}

/** The time that one redaction may take; past it, `RedactionFailed`. */
export class Budget {
  private readonly until: number;
  constructor(private readonly ms: number, private readonly now: () => number) { this.until = now() + ms; }
  check(): void { if (this.now() > this.until) throw new RedactionFailed(`redaction took longer than ${this.ms} ms`); }
}
/** What could not be redacted is not answered. */
export class RedactionFailed extends Error { override get name(): string { return 'RedactionFailed'; } }

const ALL = TRIGGER.at | TRIGGER.longRun | TRIGGER.digits | TRIGGER.dashes;
const BASE64 = /[A-Za-z0-9+/_-]{15,}={0,2}/g;
const DEEPEST = 3;

/** Finds in one text, whatever dress it comes in. */
export class TextScanner {
  private readonly wanted: number;
  constructor(private readonly shipped: readonly ShippedPattern[]) {
    this.wanted = shipped.reduce((all, { triggers }) => all | triggers, 0) | TRIGGER.escapes | TRIGGER.nonAscii;
    if ((this.wanted & ALL) !== 0) this.wanted |= TRIGGER.longRun;
  }

  /** False: no shipped pattern can match. */
  suspects(text: string, from?: number, to?: number): boolean { return (triggersOf(text, from, to) & this.wanted) !== 0; }

  /** Apart, in order. `own` are the other patterns that apply here. */
  spans(text: string, own: readonly OwnPattern[], budget: Budget, depth = 0): readonly Span[] {
    budget.check();
    const spans = !this.suspects(text) ? [] : this.inShipped(text, own, budget, depth);
    for (const { name, replacement, find } of own) find(text, (start, end) => { if (end > start) spans.push({ start, end, name, replacement }); }, budget);
    return apart(spans);
  }

  private inShipped(text: string, own: readonly OwnPattern[], budget: Budget, depth: number): Span[] {
    const triggers = triggersOf(text);
    const spans = spansIn(this.shipped, text, triggers);
    if ((triggers & TRIGGER.longRun) !== 0 && depth < DEEPEST) spans.push(...this.inBase64(text, own, budget, depth));
    if ((triggers & (TRIGGER.escapes | TRIGGER.nonAscii)) === 0 || depth >= DEEPEST) return spans;
    const plain = unfold(text);
    if (!plain) return spans;
    for (const span of this.spans(plain.text, own, budget, depth + 1)) spans.push({ ...span, start: plain.from[span.start]!, end: plain.from[span.end]! });
    return spans;
  }

  /** A run that reads as base64 of text, with something in it, goes whole. */
  private inBase64(text: string, own: readonly OwnPattern[], budget: Budget, depth: number): Span[] {
    const spans: Span[] = [];
    for (const { index, 0: run } of text.matchAll(BASE64)) {
      const decoded = decodedText(run);
      const [first] = decoded === undefined ? [] : this.spans(decoded, own, budget, depth + 1);
      if (first) spans.push({ ...first, start: index, end: index + run.length });
    }
    return spans;
  }
}

function decodedText(run: string): string | undefined {
  const bytes = Buffer.from(run, 'base64');
  for (const byte of bytes) if (byte < 9 || (byte > 13 && byte < 32) || byte === 127) return undefined;
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? undefined : text;
}
