const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
/** Seconds: a source is asked no more often than every 10 s and at least every 30 days. */
const MIN_REFRESH_SECONDS = 10;
const MAX_REFRESH_SECONDS = 30 * 86_400;

/** Seconds of `30s`, `5m`, `1h`, `7d`; undefined for anything else and for what is out of bounds. */
export function intervalSeconds(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit ?? ''] ?? Number.NaN);
  return seconds >= MIN_REFRESH_SECONDS && seconds <= MAX_REFRESH_SECONDS ? seconds : undefined;
}
