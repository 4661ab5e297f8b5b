import { DEFAULT_BILLING, type ToolBilling } from './billable.js';
import { nanoOf } from './money.js';
import { contentHash, type Match, PLATFORM_TOOLS, type PriceBook, type PriceLine, type Tier } from './price-book.js';

/** One thing wrong with a book. `path` leads to it (`lines`, 2, `tiers`, 0, `price`); the message names the line. */
export interface BookIssue { readonly path: readonly (string | number)[]; readonly message: string }

/** A price book is refused; every issue says where and what would be right. */
export class PriceBookRefused extends Error {
  readonly code = 'PRICE_BOOK_REFUSED';
  override get name(): string { return 'PriceBookRefused'; }
  constructor(readonly issues: readonly BookIssue[]) { super(`The price book is refused: ${issues.map(({ message }) => message).join('; ')}`); }
}

export interface ReadOptions {
  /** Tools that a line may name beside the platform's own; undefined: any, as in a book that is already stored. */
  readonly knownTools?: ReadonlySet<string> | undefined;
}

const MAX_LINES = 200;
const MAX_TIERS = 100;
const MAX_QUANTITY = 10n ** 30n;
const UNIT = /^[a-z][a-z0-9_.:-]{0,63}$/i;
const CLASSES = ['read', 'write', 'destructive'];
type Path = readonly (string | number)[];
type Fields = Readonly<Record<string, unknown>>;

/** Reads a book as it was written; throws `PriceBookRefused` with every issue found. Never coerces: a price is decimal text, a quantity a whole number. */
export function readPriceBook(content: unknown, options: ReadOptions = {}): PriceBook {
  return new Reader(options).book(content);
}

class Reader {
  private readonly issues: BookIssue[] = [];
  constructor(private readonly options: ReadOptions) {}

  book(content: unknown): PriceBook {
    const fields = this.fields(content, [], 'The book', ['name', 'currency', 'decimals', 'validFrom', 'lines', 'minimum', 'billing', 'tools']);
    const decimals = Number(this.whole(fields['decimals'] ?? 6, ['decimals'], 'decimals', { least: 0n, most: 9n }));
    const lines = this.lines(fields['lines']);
    const book: Omit<PriceBook, 'hash' | 'content'> = {
      name: this.text(fields['name'], ['name'], /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, '1 to 63 lower-case letters, digits and inner hyphens'),
      currency: this.text(fields['currency'], ['currency'], /^[A-Za-z]{1,16}$/, 'a currency such as EUR'),
      decimals, validFrom: this.time(fields['validFrom']), lines,
      minimum: fields['minimum'] === undefined ? 0n : this.price(fields['minimum'], ['minimum'], 'The minimum'),
      billing: this.billing(fields['billing'], ['billing'], DEFAULT_BILLING), toolBilling: this.toolBilling(fields['tools'], fields['billing']),
    };
    this.wholeMonths(book);
    if (this.issues.length > 0) throw new PriceBookRefused(this.issues);
    return { ...book, hash: contentHash(content), content };
  }

  private say(path: Path, message: string): void { if (this.issues.length < 50) this.issues.push({ path, message }); }

  private fields(value: unknown, path: Path, what: string, known: readonly string[]): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) { this.say(path, `${what} must be an object`); return {}; }
    for (const name of Object.keys(value)) if (!known.includes(name)) this.say([...path, name], `${what} has no field ${name}: it knows ${known.join(', ')}`);
    return value as Fields;
  }
  private text(value: unknown, path: Path, pattern: RegExp, right: string): string {
    if (typeof value === 'string' && pattern.test(value)) return value;
    this.say(path, `${path.join('.')} must be ${right}`);
    return '';
  }
  private time(value: unknown): number {
    const at = typeof value === 'string' && /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z$/.test(value) ? Date.parse(value) : Number.NaN;
    if (!Number.isNaN(at)) return at;
    this.say(['validFrom'], 'validFrom must be a time in UTC such as 2026-11-01T00:00:00Z');
    return 0;
  }
  /** A whole number, or text of one. */
  private whole(value: unknown, path: Path, what: string, { least, most = MAX_QUANTITY }: { readonly least: bigint; readonly most?: bigint }): bigint {
    const found = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : typeof value === 'string' && /^-?\d{1,31}$/.test(value) ? BigInt(value) : undefined;
    if (found !== undefined && found >= least && found <= most) return found;
    this.say(path, `${what} must be a whole number of ${least} or more${most === MAX_QUANTITY ? '' : `, ${most} at most`}, not ${shown(value)}`);
    return least;
  }
  private price(value: unknown, path: Path, what: string): bigint {
    const nano = typeof value === 'string' ? nanoOf(value) : undefined;
    if (nano !== undefined) return nano;
    const why = typeof value === 'number' ? 'a number cannot hold it exactly: write it as text' : typeof value === 'string' && value.trim().startsWith('-') ? 'it is negative'
      : typeof value === 'string' && /^\d+\.\d{10,}$/.test(value) ? 'it is finer than a nano-unit' : 'it is not decimal text';
    this.say(path, `${what} must be a price such as "0.001" with 9 decimals at most, not ${shown(value)}: ${why}`);
    return 0n;
  }
  private list(value: unknown, path: Path, what: string, known?: readonly string[]): readonly string[] | undefined {
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.length === 0 || !value.every((item): item is string => typeof item === 'string' && item !== '')) { this.say(path, `${what} must be a list of texts, one at least`); return undefined; }
    for (const [at, item] of value.entries()) if (known && !known.includes(item)) this.say([...path, at], `${what} must be of ${known.join(', ')}, not ${shown(item)}`);
    return value;
  }

  private lines(value: unknown): readonly PriceLine[] {
    if (!Array.isArray(value) || value.length > MAX_LINES) { this.say(['lines'], `lines must be a list of ${MAX_LINES} lines at most`); return []; }
    const seen = new Set<string>();
    return value.map((line: unknown, at) => {
      const read = this.line(line, ['lines', at], at);
      if (seen.has(read.name)) this.say(['lines', at, 'name'], `lines[${at}] (${read.name}): another line has this name`);
      seen.add(read.name);
      return read;
    });
  }
  private line(value: unknown, path: Path, at: number): PriceLine {
    const named = typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string' ? `lines[${at}] (${value.name})` : `lines[${at}]`;
    const fields = this.fields(value, path, named, ['name', 'match', 'unit', 'per', 'step', 'free', 'price', 'tiers']);
    const name = this.text(fields['name'], [...path, 'name'], /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/, '1 to 63 lower-case letters, digits, inner hyphens or underscores');
    if (typeof fields['unit'] !== 'string' || !UNIT.test(fields['unit'])) this.say([...path, 'unit'], `${named}: unit must be a name such as calls, response_bytes or backend_ms`);
    const tiers = fields['tiers'] === undefined ? [{ from: 0n, upTo: undefined, price: this.price(fields['price'], [...path, 'price'], `${named}: price`) }] : this.tiers(fields, path, named);
    const quantity = (field: string, least: bigint): bigint => (fields[field] === undefined ? least : this.whole(fields[field], [...path, field], `${named}: ${field}`, { least }));
    return { name, match: this.match(fields['match'], [...path, 'match'], named), unit: String(fields['unit']), per: quantity('per', 1n), step: quantity('step', 1n), free: quantity('free', 0n), tiers };
  }
  /** Without a hole, an overlap or an end: every quantity has one price. */
  private tiers(fields: Fields, path: Path, named: string): readonly Tier[] {
    if (fields['price'] !== undefined) this.say([...path, 'price'], `${named}: price and tiers exclude each other`);
    const { tiers } = fields;
    if (!Array.isArray(tiers) || tiers.length === 0 || tiers.length > MAX_TIERS) { this.say([...path, 'tiers'], `${named}: tiers must be a list of 1 to ${MAX_TIERS}`); return []; }
    let expected = 0n;
    return tiers.map((value: unknown, at) => {
      const place = [...path, 'tiers', at];
      const what = `${named}: tier ${at + 1}`;
      const tier = this.fields(value, place, what, ['from', 'upTo', 'price']);
      const from = this.whole(tier['from'], [...place, 'from'], `${what}: from`, { least: 0n });
      if (from > expected) this.say([...place, 'from'], `${what} leaves a gap: it begins at ${from}, the one before ends at ${expected}`);
      if (from < expected) this.say([...place, 'from'], `${what} overlaps: it begins at ${from}, the one before ends at ${expected}`);
      const last = at === tiers.length - 1;
      if (last && tier['upTo'] !== undefined) this.say([...place, 'upTo'], `${what} is the last and must have no upTo: quantities beyond ${shown(tier['upTo'])} would have no price`);
      const upTo = last ? undefined : this.whole(tier['upTo'], [...place, 'upTo'], `${what}: upTo`, { least: from + 1n });
      expected = upTo ?? expected;
      return { from, upTo, price: this.price(tier['price'], [...place, 'price'], `${what}: price`) };
    });
  }
  private match(value: unknown, path: Path, named: string): Match {
    if (value === undefined) return { kinds: ['tool'] };
    const fields = this.fields(value, path, `${named}: match`, ['kinds', 'tools', 'classes', 'tags', 'tenants', 'plans']);
    const of = (field: string, known?: readonly string[]): readonly string[] | undefined => this.list(fields[field], [...path, field], `${named}: match.${field}`, known);
    const tools = of('tools');
    const { knownTools } = this.options;
    if (knownTools) for (const [at, tool] of (tools ?? []).entries()) if (!knownTools.has(tool) && !PLATFORM_TOOLS.has(tool)) this.say([...path, 'tools', at], `${named}: there is no tool ${tool}`);
    const [classes, tags, tenants, plans] = [of('classes', CLASSES), of('tags'), of('tenants'), of('plans')];
    return {
      kinds: of('kinds', ['tool', 'resource', 'prompt']) ?? ['tool'],
      ...(tools ? { tools } : {}), ...(classes ? { classes } : {}), ...(tags ? { tags } : {}), ...(tenants ? { tenants } : {}), ...(plans ? { plans } : {}),
    };
  }
  private billing(value: unknown, path: Path, fallback: ToolBilling): ToolBilling {
    if (value === undefined) return fallback;
    const fields = this.fields(value, path, path.join('.'), ['billOnError', 'onCancel', 'onUnknown']);
    const one = <T extends string>(field: string, of: readonly T[], otherwise: T): T => {
      const given = fields[field];
      if (given === undefined) return otherwise;
      const found = of.find((word) => word === given);
      if (found === undefined) this.say([...path, field], `${path.join('.')}.${field} must be of ${of.join(', ')}, not ${shown(given)}`);
      return found ?? otherwise;
    };
    const { billOnError } = fields;
    const flag = billOnError === true || billOnError === 'true' ? true : billOnError === false || billOnError === 'false' ? false : undefined;
    if (billOnError !== undefined && flag === undefined) this.say([...path, 'billOnError'], `${path.join('.')}.billOnError must be true or false`);
    return { billOnError: flag ?? fallback.billOnError, onCancel: one('onCancel', ['answered', 'bill', 'waive'], fallback.onCancel), onUnknown: one('onUnknown', ['bill', 'waive', 'query'], fallback.onUnknown) };
  }
  private toolBilling(value: unknown, general: unknown): Readonly<Record<string, ToolBilling>> {
    if (value === undefined) return {};
    if (typeof value !== 'object' || value === null || Array.isArray(value)) { this.say(['tools'], 'tools must be an object of billing rules by tool'); return {}; }
    const fallback = new Reader({}).billing(general, ['billing'], DEFAULT_BILLING);
    const { knownTools } = this.options;
    return Object.fromEntries(Object.entries(value).map(([tool, rules]) => {
      if (knownTools && !knownTools.has(tool) && !PLATFORM_TOOLS.has(tool)) this.say(['tools', tool], `tools: there is no tool ${tool}`);
      return [tool, this.billing(rules, ['tools', tool], fallback)];
    }));
  }
  /** What counts by the month may only change with it: else a month would have two allowances. */
  private wholeMonths({ lines, minimum, validFrom }: Pick<PriceBook, 'lines' | 'minimum' | 'validFrom'>): void {
    const monthly = lines.find(({ free, tiers }) => free > 0n || tiers.length > 1);
    if (new Date(validFrom).toISOString().slice(8) === '01T00:00:00.000Z' || (monthly === undefined && minimum === 0n)) return;
    this.say(['validFrom'], `validFrom must be the beginning of a month in UTC, since ${monthly ? `line ${monthly.name}` : 'the minimum'} counts by the month`);
  }
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}
