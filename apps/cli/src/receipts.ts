import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { queryOf } from './billing-request.js';
import { type AdminClient, CommandError } from './client.js';

const CALL_ID = /^[0-9a-f]{15}-[1-9]\d{0,15}$/;
const Page = z.object({ entries: z.array(z.object({ id: z.string(), entry: z.string(), tool: z.string(), outcome: z.string(), why: z.string() })), nextCursor: z.string().nullable() });
type Entry = z.infer<typeof Page>['entries'][number];
const Tenants = z.object({ tenants: z.array(z.object({ slug: z.string() })) });

/**
 * How often a backend has seen each call: a line is a call id (its header `x-stoa-call-id`), or a JSON object with `call_id`. Throws a
 * `CommandError` that names the first line that is neither.
 */
export function readReceipts(file: string): ReadonlyMap<string, number> {
  let text: string;
  try { text = readFileSync(file === '-' ? 0 : file, 'utf8'); } catch (error) { throw new CommandError(`Cannot read ${file}: ${(error as Error).message}`, 2); }
  const seen = new Map<string, number>();
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const id = idOf(line.trim());
    if (id === undefined) throw new CommandError(`${file}:${at + 1}: neither a call id nor a JSON object with "call_id": ${line.slice(0, 80)}`, 2);
    seen.set(id, (seen.get(id) ?? 0) + 1);
  }
  return seen;
}

function idOf(line: string): string | undefined {
  let value: unknown = line;
  if (/^["{]/.test(line)) try { value = JSON.parse(line); } catch { return undefined; }
  if (typeof value === 'object' && value !== null) value = (value as Readonly<Record<string, unknown>>)['call_id'];
  return typeof value === 'string' && CALL_ID.test(value) ? value : undefined;
}

export interface Compared { readonly compared: number; /** A line each. */ readonly differences: readonly string[]; /** Of calls whose gateway died: what the backend says of them. */ readonly resolved: readonly string[] }

/** The backend's count beside the ledger's. A tool is compared when the backend has a receipt of it: other tools have other backends. */
export async function compareReceipts(admin: AdminClient, receipts: ReadonlyMap<string, number>, { tenant, since }: { readonly tenant: string | undefined; readonly since: string }): Promise<Compared> {
  const tenants = tenant === undefined ? Tenants.parse(await admin.call('GET', '/tenants')).tenants.map(({ slug }) => slug) : [tenant];
  const entries = new Map<string, Entry>();
  for (const one of tenants) for await (const entry of entriesOf(admin, one, since)) if (entry.entry === 'charge') entries.set(entry.id, entry);
  const tools = new Set([...receipts.keys()].flatMap((id) => entries.get(id)?.tool ?? []));
  const differences: string[] = [];
  const resolved: string[] = [];
  for (const [id, count] of receipts) {
    const entry = entries.get(id);
    if (!entry) differences.push(`receipt  ${id}  the backend did it, and the ledger has no entry since then`);
    else if (count > 1) differences.push(`receipt  ${id}  the backend did it ${count} times`);
    else if (entry.why === 'not-invoked') differences.push(`receipt  ${id}  the backend did it, and the ledger says that it was not asked`);
    if (entry?.outcome === 'unknown') resolved.push(`unknown  ${id}  the backend did it`);
  }
  let compared = 0;
  for (const { id, tool, outcome, why } of entries.values()) {
    if (!tools.has(tool)) continue;
    compared += 1;
    if (receipts.has(id)) continue;
    if (outcome === 'success' && why === 'success') differences.push(`charged  ${id}  the backend has no receipt`);
    if (outcome === 'unknown') resolved.push(`unknown  ${id}  the backend never had it`);
  }
  return { compared, differences, resolved };
}

async function* entriesOf(admin: AdminClient, tenant: string, since: string): AsyncGenerator<Entry> {
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const page = Page.parse(await admin.call('GET', `/ledger?${queryOf({ tenant, since, limit: '10000', cursor })}`));
    yield* page.entries;
    cursor = page.nextCursor ?? undefined;
  }
}
