import type { FieldIssue } from './problem.js';
import { invalid } from './problem.js';

export type RawQuery = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The last one given wins, as in STOA. */
export const text = (query: RawQuery, name: string): string | undefined => {
  const value = query[name];
  return typeof value === 'string' ? value : value?.at(-1);
};

/** A whole number within bounds; anything else is a 422 that names the parameter. */
function integer(query: RawQuery, name: string, bounds: { readonly min: number; readonly max: number; readonly default: number }): number {
  const given = text(query, name);
  if (given === undefined) return bounds.default;
  const issue = (msg: string, type: string): FieldIssue => ({ loc: ['query', name], msg, type });
  if (!/^[+-]?\d{1,15}$/.test(given.trim())) throw invalid(issue('Input should be a valid integer, unable to parse string as an integer', 'int_parsing'));
  const value = Number(given);
  if (value < bounds.min) throw invalid(issue(`Input should be greater than or equal to ${bounds.min}`, 'greater_than_equal'));
  if (value > bounds.max) throw invalid(issue(`Input should be less than or equal to ${bounds.max}`, 'less_than_equal'));
  return value;
}

export interface Page<T> { readonly items: readonly T[]; readonly nextCursor: string | null; readonly total: number }

/** Cursor: an offset written as a number; what is not one counts as 0. Limit: 1 to 1,000, default 100. */
export function page<T>(all: readonly T[], query: RawQuery): Page<T> {
  const limit = integer(query, 'limit', { min: 1, max: 1000, default: 100 });
  const cursor = text(query, 'cursor') ?? '';
  const offset = /^\d{1,15}$/.test(cursor) ? Number(cursor) : 0;
  const end = offset + limit;
  return { items: all.slice(offset, end), nextCursor: end < all.length ? String(end) : null, total: all.length };
}
