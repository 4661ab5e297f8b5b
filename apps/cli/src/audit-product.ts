import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Checkpoint } from '#libs/audit/checkpoint.js';
import { billingClient, queryOf, sinceOf, table } from './billing-request.js';
import { CommandError } from './client.js';
import type { Io } from './io.js';

/** A tenant's trail, or, without tenant, the platform's. */
export interface Trail { readonly tenant: string | undefined }
export const pathOf = ({ tenant }: Trail): string => (tenant === undefined ? '/audit' : `/tenants/${encodeURIComponent(tenant)}/audit`);
export const nameOf = ({ tenant }: Trail): string => tenant ?? 'the platform';

/** A number of an entry, or a time as `sinceOf` reads it. */
const placeOf = (text: string | undefined): string | undefined => (text === undefined || /^\d{1,15}$/.test(text) ? text : sinceOf(text, Date.now()));

export async function exportLines(io: Io, trail: Trail, options: { readonly from?: string | undefined; readonly to?: string | undefined; readonly format?: string | undefined; readonly raw?: boolean } = {}): Promise<AsyncGenerator<string>> {
  const admin = await billingClient(io, trail.tenant);
  return admin.lines(`${pathOf(trail)}/export?${queryOf({ from: placeOf(options.from), to: placeOf(options.to), format: options.format, verify: options.raw === true ? 'false' : undefined })}`);
}

export async function proofLines(io: Io, { tenant }: Trail, seq: string): Promise<AsyncGenerator<string>> {
  return tenant === undefined ? exportLines(io, { tenant }, { from: seq, to: seq }) : (await billingClient(io, tenant)).lines(`${pathOf({ tenant })}/entries/${encodeURIComponent(seq)}`);
}

const Keys = z.object({ keys: z.array(z.object({ pem: z.string() })) });
/** The keys that the product says are its own. */
export async function productKeys(io: Io): Promise<readonly string[]> {
  return Keys.parse(await (await billingClient(io, undefined)).call('GET', '/audit/keys')).keys.map(({ pem }) => pem);
}

const Tenants = z.object({ tenants: z.array(z.object({ slug: z.string() })) });
export async function allTrails(io: Io): Promise<readonly Trail[]> {
  const { tenants } = Tenants.parse(await (await billingClient(io, undefined)).call('GET', '/tenants'));
  return [...tenants.map(({ slug }) => ({ tenant: slug })), { tenant: undefined }];
}

/** Checkpoints that the product appended to a file beside its database, where that is on this computer. */
export function anchorsHere({ env }: Io): string | undefined {
  const file = join(env['STOA_HOME'] ?? '.stoa', 'audit', 'checkpoints.jsonl');
  return existsSync(file) ? file : undefined;
}
export const anchorsOfFile = (file: string, chain: string | undefined): readonly Checkpoint[] => read(file).split('\n').flatMap((line, i) => {
  if (line.trim() === '') return [];
  try {
    const checkpoint = JSON.parse(line) as Checkpoint;
    return chain === undefined || checkpoint.chain === chain ? [checkpoint] : [];
  } catch { throw new CommandError(`${file}:${i + 1}: is not JSON`, 2); }
});

export function read(file: string): string {
  try { return readFileSync(file, 'utf8'); } catch (error) { throw new CommandError(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`); }
}

const Entries = z.object({
  entries: z.array(z.object({ seq: z.number(), at: z.string(), kind: z.string(), id: z.string(), subject: z.string().nullable(), erased: z.boolean(), facts: z.record(z.string(), z.unknown()) })), total: z.number(),
});
const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');

export async function queryTrail(io: Io, trail: Trail, filter: Readonly<Record<string, string | undefined>>, json: boolean): Promise<void> {
  const answer = await (await billingClient(io, trail.tenant)).call('GET', `${pathOf(trail)}?${queryOf({ ...filter, from: filter['from'] === undefined ? undefined : sinceOf(filter['from'], Date.now()), to: filter['to'] === undefined ? undefined : sinceOf(filter['to'], Date.now()) })}`);
  if (json) { io.out(JSON.stringify(answer, undefined, 2)); return; }
  const { entries, total } = Entries.parse(answer);
  const rows = entries.map(({ seq, at, kind, id, subject, erased, facts }) => {
    const { effect, rule } = (facts['decision'] ?? {}) as Readonly<Record<string, unknown>>;
    return [String(seq), at, kind, subject ?? (erased ? '(erased)' : ''), text(facts['tool'] ?? facts['action']), text(effect), text(rule), text(facts['outcome']), id, text(facts['ms'])];
  });
  for (const line of table([['seq', 'at', 'kind', 'who', 'what', 'effect', 'rule', 'outcome', 'id', 'ms'], ...rows], 1)) io.out(line);
  io.out(`${entries.length} of ${total} entries of ${nameOf(trail)}.`);
}

const Erased = z.object({ erased: z.number(), tombstone: z.number().nullable() });
export async function eraseSubject(io: Io, trail: Trail, subject: string): Promise<void> {
  const { erased, tombstone } = Erased.parse(await (await billingClient(io, trail.tenant)).call('POST', `${pathOf(trail)}/erasures`, { subject }));
  io.out(tombstone === null ? `Nothing in the trail of ${nameOf(trail)} is personal to ${subject}.` : `${erased} entries of ${nameOf(trail)} no longer say who it was; entry ${tombstone} tells of it.`);
}
