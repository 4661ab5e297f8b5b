import { createContext, Script } from 'node:vm';

/** A string took longer to match than the whole validation may. */
export class PatternTooSlow extends Error {
  override get name(): string { return 'PatternTooSlow'; }
  constructor(readonly pattern: string) { super('a pattern could not be checked in time'); }
}

/** What ajv needs of a regular expression; `toString` is its key in ajv's own cache. */
export interface Matcher { test(text: string): boolean; toString(): string }

/** Steps that V8 does in well under a millisecond. */
const CHEAP_STEPS = 200_000;

/**
 * Matches patterns of documents that we do not trust, with V8's own engine and exact semantics. A pattern and text whose backtracking is bounded
 * by their shape run directly; all others run under a clock that interrupts the engine. `begin` starts a validation and its budget;
 * past it, `test` throws `PatternTooSlow`.
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
    return {
      test: (text) => (degree !== undefined && (text.length + 1) ** degree.unbounded * degree.bounded <= CHEAP_STEPS ? expression.test(text) : this.#timed(expression, text)),
      toString: () => expression.toString(),
    };
  }

  #timed(expression: RegExp, text: string): boolean {
    const left = this.budgetMs - this.#spentMs;
    if (left <= 0) throw new PatternTooSlow(expression.source);
    const startedAt = performance.now();
    this.#sandbox.expression = expression;
    this.#sandbox.text = text;
    try {
      return this.#script.runInContext(this.#context, { timeout: Math.max(1, Math.ceil(left)) }) as boolean;
    } catch (cause) {
      throw (cause as { code?: string }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' ? new PatternTooSlow(expression.source) : cause;
    } finally {
      this.#sandbox.text = '';
      this.#spentMs += performance.now() - startedAt;
    }
  }
}

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
