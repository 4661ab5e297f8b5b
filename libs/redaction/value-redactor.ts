import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';
import { editJson, type JsonToken, type Path } from './json-text.js';
import { isCard } from './numbers.js';
import { fittingNumber, fittingString, schemaAt } from './schema-fit.js';
import { apart, replaced, type Span } from './spans.js';
import type { Budget, OwnPattern, TextScanner } from './text-scanner.js';
import { fieldMatcher } from './field-paths.js';

/** What applies to one call beside the shipped patterns. */
export interface Rules {
  readonly own: readonly OwnPattern[];
  /** Fields that are masked whatever they hold. */
  readonly masked?: ((path: Path) => boolean) | undefined;
}
export interface Shape { readonly schema: JsonSchema; readonly definitions: Definitions }

/** One redaction: its rules, its time, and what it found, by pattern. */
export class ValueRedactor {
  readonly counts: Record<string, number> = {};
  private readonly everywhere: readonly OwnPattern[];
  private readonly confined: readonly { readonly pattern: OwnPattern; readonly applies: (path: Path) => boolean }[];
  private keys = 0;

  constructor(private readonly scanner: TextScanner, private readonly rules: Rules, private readonly budget: Budget, private readonly cards: boolean) {
    this.everywhere = rules.own.filter(({ fields }) => fields === undefined);
    this.confined = rules.own.flatMap((pattern) => (pattern.fields === undefined ? [] : [{ pattern, applies: fieldMatcher(pattern.fields) }]));
  }

  get total(): number { return Object.values(this.counts).reduce((sum, count) => sum + count, 0); }

  /** A text that may be JSON: then its values, else itself. */
  textual(text: string): string {
    return /^\s*[[{"]/.test(text) && isJson(text) ? this.json(text) : this.text(text);
  }

  text(text: string): string {
    const spans = this.scanner.spans(text, this.everywhere, this.budget);
    this.count(spans);
    return spans.length === 0 ? text : replaced(text, spans);
  }

  /** Neighbours that a reader puts together: what begins in one and ends in another goes from both. */
  neighbours(texts: readonly string[]): readonly string[] {
    if (texts.length < 2) return texts;
    const spans = this.scanner.spans(texts.join(''), this.everywhere, this.budget);
    let start = 0;
    let crossed = false;
    const parts = texts.map((text) => {
      const end = start + text.length;
      const own: Span[] = [];
      for (const span of spans) {
        if (span.end <= start || span.start >= end || (span.start >= start && span.end <= end)) continue;
        crossed = true;
        const isFirst = span.start >= start;
        if (isFirst) this.count([span]);
        own.push({ name: span.name, replacement: isFirst ? span.replacement : '', start: Math.max(span.start, start) - start, end: Math.min(span.end, end) - start });
      }
      start = end;
      return replaced(text, apart(own));
    });
    return crossed ? parts : texts;
  }

  /** Valid JSON; types stay, and where `shape` is known the values are ones that it lets pass. */
  json(json: string, shape?: Shape): string {
    return editJson(json, { wants: this.wants, edit: (token) => this.token(token, shape) }, this.budget);
  }

  /** Most values of most answers end here. */
  private readonly wants = (kind: JsonToken['kind'], json: string, start: number, end: number): boolean => {
    if (this.rules.own.length > 0 || this.rules.masked !== undefined) return true;
    if (kind === 'number') return this.cards && end - start >= 13;
    return kind !== 'literal' && this.scanner.suspects(json, start + 1, end - 1);
  };

  private token(token: JsonToken, shape: Shape | undefined): string | undefined {
    const { kind, path, value } = token;
    if (kind !== 'key' && this.rules.masked?.(path) === true) return this.mask(token, shape);
    if (kind === 'literal') return undefined;
    const own = this.confined.length === 0 ? this.everywhere : [...this.everywhere, ...this.confined.filter(({ applies }) => applies(path)).map(({ pattern }) => pattern)];
    if (kind === 'number') {
      const spans: readonly Span[] = this.cards && isCard(value) ? [{ start: 0, end: value.length, name: 'credit-card', replacement: '' }] : own.length === 0 ? [] : this.scanner.spans(value, own, this.budget);
      this.count(spans);
      return spans.length === 0 ? undefined : fittingNumber(shape && schemaAt(shape.schema, shape.definitions, path));
    }
    const spans = this.scanner.spans(value, own, this.budget);
    if (spans.length === 0) return undefined;
    this.count(spans);
    const clean = replaced(value, spans);
    if (kind === 'key') return JSON.stringify((this.keys += 1) === 1 ? clean : `${clean}-${this.keys}`);
    return JSON.stringify(shape ? fittingString(clean, schemaAt(shape.schema, shape.definitions, path)) : clean);
  }

  private mask({ kind, path, value }: JsonToken, shape: Shape | undefined): string | undefined {
    if (value === 'null' && kind === 'literal') return undefined;
    this.counts['field'] = (this.counts['field'] ?? 0) + 1;
    const schema = shape && schemaAt(shape.schema, shape.definitions, path);
    if (kind === 'string') return JSON.stringify(fittingString('[redacted]', schema));
    return kind === 'number' ? fittingNumber(schema) : 'false';
  }

  private count(spans: readonly Span[]): void { for (const { name } of spans) this.counts[name] = (this.counts[name] ?? 0) + 1; }
}

function isJson(text: string): boolean {
  try { JSON.parse(text); return true; } catch { return false; }
}
