import { createContext, Script } from 'node:vm';
import { RE2JS } from 're2js';

/** A string took longer to match than the whole validation may. */
export class PatternTooSlow extends Error {
  override get name(): string { return 'PatternTooSlow'; }
  constructor(readonly pattern: string) { super('a pattern could not be checked in time'); }
}

/** What ajv needs of a regular expression; `toString` is its key in ajv's own cache. */
export interface Matcher { test(text: string): boolean; toString(): string }

/** Steps that V8 does in well under a millisecond. */
const CHEAP_STEPS = 200_000;
/** Pattern length × its largest count × text length that the linear engine does in some tens of milliseconds at worst. */
const LINEAR_STEPS = 300_000;
const LONGEST_LINEAR_PATTERN = 1_024;
const CLOCK_ATTEMPTS = 4;

/**
 * Matches patterns of documents that we do not trust. A pattern and text whose backtracking is bounded by their shape run on V8's own engine; other
 * patterns on a linear one (RE2, which reads `\s`, `\d` and `\w` as ASCII); what RE2 cannot express, look-around and back-references, on V8
 * under a clock that interrupts it. `begin` starts a validation and its budget of processor time; past it, `test` throws `PatternTooSlow`.
 */
export class PatternGuard {
  readonly #sandbox: { expression: RegExp | undefined; text: string } = { expression: undefined, text: '' };
  readonly #context = createContext(this.#sandbox);
  readonly #script = new Script('expression.test(text)');
  #spentMs = 0;
  constructor(private readonly budgetMs: number) {}

  begin(): void { this.#spentMs = 0; }

  /** Undefined for a pattern that no ECMAScript dialect reads: JSON Schema 2020-12 §6.4 only recommends the dialect, so it says nothing about values. */
  matcher(pattern: string): Matcher | undefined {
    const expression = regExp(pattern);
    if (!expression) return undefined;
    const degree = backtrackingDegree(pattern);
    const linear = pattern.length <= LONGEST_LINEAR_PATTERN ? re2(pattern) : undefined;
    const size = pattern.length * largestCount(pattern);
    const isCheap = (text: string): boolean => degree !== undefined && (text.length + 1) ** degree.unbounded * degree.bounded <= CHEAP_STEPS;
    return {
      test: (text) => {
        if (isCheap(text)) return expression.test(text);
        return this.#metered(expression, () => {
          if (linear && size * text.length <= LINEAR_STEPS) return linear.test(text);
          return this.#clocked(expression, text);
        });
      },
      toString: () => expression.toString(),
    };
  }

  #metered(expression: RegExp, test: () => boolean): boolean {
    if (this.#spentMs >= this.budgetMs) throw new PatternTooSlow(expression.source);
    const startedAt = processorMs();
    try {
      return test();
    } finally {
      this.#spentMs += processorMs() - startedAt;
    }
  }

  /** The interrupt goes by wall time, so a busy machine may cut off a match that used little of the processor: that one is tried again. */
  #clocked(expression: RegExp, text: string): boolean {
    this.#sandbox.expression = expression;
    this.#sandbox.text = text;
    const startedAt = processorMs();
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#script.runInContext(this.#context, { timeout: this.budgetMs }) as boolean;
      } catch (cause) {
        if ((cause as { code?: string }).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw cause;
        if (attempt === CLOCK_ATTEMPTS || processorMs() - startedAt >= this.budgetMs / 2) throw new PatternTooSlow(expression.source);
      }
    }
  }
}

function processorMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

function re2(pattern: string): { test(text: string): boolean } | undefined {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern));
  } catch {
    return undefined;
  }
}

/** Counts multiply when they nest; a thousand is RE2's own limit. */
const largestCount = (pattern: string): number => Math.min(1_000, [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].reduce((all, [, low, high]) => all * Math.max(1, Number(low), Number(high ?? 0)), 1));

/** With the flag `u` as the specification says, else without it, as many documents are written. */
function regExp(pattern: string): RegExp | undefined {
  for (const flags of ['u', '']) {
    try {
      return new RegExp(pattern, flags);
    } catch {
      // The other dialect may read it.
    }
  }
  return undefined;
}

/**
 * An upper bound on the work of a backtracking engine for patterns without quantified groups, look-around and back-references:
 * `bounded · length ^ unbounded` steps. Undefined for all other patterns.
 */
export function backtrackingDegree(pattern: string): { readonly unbounded: number; readonly bounded: number } | undefined {
  const plain = pattern.replaceAll(/\\[\s\S]/g, 'e').replaceAll(/\[[^\]]*\]/g, 'c').replaceAll('(?:', '(');
  if (/\\[1-9k]/.test(pattern) || plain.includes('(?') || /\)[*+?{]/.test(plain)) return undefined;
  let unbounded = plain.startsWith('^') && !plain.includes('|') ? 0 : 1;
  let bounded = Math.max(1, plain.split('|').length);
  for (const [quantifier, digits, high] of plain.matchAll(/\*|\+|\?|\{(\d+)(?:,(\d*))?\}/g)) {
    if (quantifier === '*' || quantifier === '+' || high === '') unbounded += 1;
    else bounded *= quantifier === '?' ? 2 : Math.max(1, Number(high ?? digits) - (high === undefined ? Number(digits) - 1 : Number(digits) - 1));
  }
  // Matching itself walks the text once.
  return { unbounded: Math.max(1, unbounded), bounded };
}
