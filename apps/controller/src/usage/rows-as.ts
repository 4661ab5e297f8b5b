/** One JSON object a line. */
export const jsonLines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** RFC 4180, with a header; what is not a text is written as JSON. A text that a spreadsheet would run is quoted as text. */
export function csv(columns: readonly string[], rows: readonly object[]): string {
  return line(columns) + rows.map((row) => line(columns.map((column) => shown((row as Readonly<Record<string, unknown>>)[column])))).join('');
}
const line = (fields: readonly string[]): string => `${fields.map(cell).join(',')}\r\n`;
const shown = (value: unknown): string => (value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value));
function cell(text: string): string {
  const safe = /^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
