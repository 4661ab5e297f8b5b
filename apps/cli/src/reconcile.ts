import { parseArgs } from 'node:util';
import { z } from 'zod';
import { billingClient, queryOf, sinceOf } from './billing-request.js';
import type { Io } from './io.js';
import { compareReceipts, readReceipts } from './receipts.js';

export const RECONCILE_HELP = `stoa reconcile [--since 1d] [--tenant TENANT] [--receipts FILE] [--json]

Whether calls, records, ledger and roll-ups agree, and each amount is what its price book says. Names every difference by call id.
Ends with 0 when all agree, with 1 when something does not.
  --receipts   what a backend has counted, one call id a line (header x-stoa-call-id), or {"call_id": …}; - reads standard input`;

const ids = z.array(z.string());
const Reconciliation = z.object({
  sources: z.array(z.object({ source: z.string(), ended: z.boolean(), last: z.string(), missing: z.array(z.object({ from: z.string(), to: z.string() })) })),
  entries: z.string(), callRecords: z.string(), invoked: z.string(), unknown: ids, onlyInLedger: ids, onlyInRecords: ids, rollUpsAgree: z.boolean(), wronglyPriced: ids,
  quarantined: z.array(z.object({ key: z.string(), tenant: z.string().nullable(), reason: z.string(), detail: z.string() })),
});

export async function reconcileCommand(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { since: { type: 'string', default: '1d' }, tenant: { type: 'string' }, receipts: { type: 'string' }, json: { type: 'boolean', default: false } } });
  const { tenant, since } = values;
  const receipts = values.receipts === undefined ? undefined : readReceipts(values.receipts);
  const start = sinceOf(since, Date.now());
  const admin = await billingClient(io, tenant);
  const answer = await admin.call('GET', `/ledger/reconciliation?${queryOf({ since: start, tenant })}`);
  const found = Reconciliation.parse(answer);
  const backend = receipts && await compareReceipts(admin, receipts, { tenant, since: start });
  const { sources, entries, callRecords, invoked, unknown, onlyInLedger, onlyInRecords, rollUpsAgree, wronglyPriced, quarantined } = found;
  const differences = [
    ...sources.flatMap(({ source, missing }) => missing.map(({ from, to }) => `missing  ${source.slice(source.lastIndexOf('/') + 1)}-${from}${from === to ? '' : ` to -${to}`}  never came from ${source}`)),
    ...onlyInLedger.map((id) => `ledger   ${id}  has no call record`),
    ...onlyInRecords.map((id) => `record   ${id}  is not in the ledger`),
    ...wronglyPriced.map((id) => `price    ${id}  is not what its price book says`),
    ...quarantined.map(({ key, tenant: of, reason, detail }) => `aside    ${key}  ${reason}${of === null ? '' : ` of ${of}`}: ${detail}`),
    ...backend?.differences ?? [],
    ...(rollUpsAgree ? [] : ['sums     the roll-ups are not the sum of the entries']),
  ];
  if (values.json) { io.out(JSON.stringify(backend ? { ...answer as object, receipts: backend } : answer, undefined, 2)); return differences.length === 0 ? 0 : 1; }
  io.out(`${entries} ledger entries, ${callRecords} call records, ${invoked} asked a backend${tenant === undefined ? `, of ${sources.length} gateway ${sources.length === 1 ? 'life' : 'lives'}` : ''} since ${since}`);
  for (const id of unknown) io.out(`unknown  ${id}  the gateway died while the backend was asked; not billed unless the price book says so`);
  if (receipts && backend) io.out(`${receipts.size} calls that the backend has counted, ${backend.compared} ledger entries of its tools`);
  for (const line of [...backend?.resolved ?? [], ...differences]) io.out(line);
  io.out(differences.length === 0 ? 'All agree.' : `${differences.length} ${differences.length === 1 ? 'difference' : 'differences'}.`);
  return differences.length === 0 ? 0 : 1;
}
