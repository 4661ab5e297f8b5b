import { AdminClient, CommandError, readConnection } from './client.js';
import type { Io } from './io.js';
import { requestToken } from './token.js';

/** As the tenant's administrator, or as the platform's where no tenant is named. */
export async function billingClient(io: Io, tenant: string | undefined): Promise<AdminClient> {
  const connection = readConnection(io.env);
  return new AdminClient(connection, await requestToken(connection, tenant === undefined ? { tenant: undefined, role: 'cpi-admin' } : { tenant, role: 'tenant-admin' }));
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** `1h`, `30m`, `7d`, `2w` before `now`, or a time such as 2026-11-01T00:00:00Z, as ISO 8601. */
export function sinceOf(text: string, now: number): string {
  const [, count, unit] = /^(\d{1,4})([mhdw])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) return new Date(now - Number(count) * (UNITS[unit] ?? 0)).toISOString();
  const at = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new CommandError(`--since ${text} is neither an interval such as 30m, 1h, 7d nor a time such as 2026-11-01T00:00:00Z`, 2);
  return new Date(at).toISOString();
}

export const queryOf = (fields: Readonly<Record<string, string | undefined>>): string =>
  new URLSearchParams(Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined)).toString();

/** Columns of equal width; the last ones, as many as `numbers` says, to the right. */
export function table(rows: readonly (readonly string[])[], numbers: number): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => (column >= row.length - numbers ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd());
}
