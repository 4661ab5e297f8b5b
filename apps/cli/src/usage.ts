import { parseArgs } from 'node:util';
import { z } from 'zod';
import { billingClient, queryOf, sinceOf, table } from './billing-request.js';
import { CommandError } from './client.js';
import type { Io } from './io.js';

export const USAGE_HELP = `stoa usage --tenant TENANT [--since 1h] [--until TIME] [--by tool,consumer,outcome] [--tool T] [--json]

Calls, units and cost of a tenant, to the last unit, summed from whole hours.
  --since   30m, 1h, 7d, 2w, or a time such as 2026-11-01T00:00:00Z (default 24h)
  --by      of hour, day, tool, consumer, outcome, account`;

const Usage = z.object({ rows: z.array(z.record(z.string(), z.string())) });
const UNITS = ['calls', 'billed', 'requestBytes', 'responseBytes', 'backendMs', 'cost'];

export async function usageCommand(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: { tenant: { type: 'string' }, since: { type: 'string', default: '24h' }, until: { type: 'string' }, by: { type: 'string', default: 'tool,consumer,outcome' }, tool: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const { tenant, since, until, by, tool } = values;
  if (tenant === undefined) throw new CommandError('--tenant is missing', 2);
  const admin = await billingClient(io, tenant);
  const answer = await admin.call('GET', `/usage?${queryOf({ tenant, since: sinceOf(since, Date.now()), until, by, tool })}`);
  if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
  const { rows } = Usage.parse(answer);
  if (rows.length === 0) { io.out(`No calls of ${tenant} since ${since}.`); return 0; }
  const names = by.split(',').filter((name) => name !== '');
  for (const line of table([[...names, ...UNITS], ...rows.map((row) => [...names, ...UNITS].map((name) => row[name] ?? ''))], UNITS.length)) io.out(line);
  return 0;
}
