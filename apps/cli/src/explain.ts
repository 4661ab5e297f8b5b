import { parseArgs } from 'node:util';
import { z } from 'zod';
import { AdminClient, CommandError, readConnection } from './client.js';
import type { Io } from './io.js';
import { tellTried } from './policy.js';
import { requestToken } from './token.js';

export const EXPLAIN_HELP = `stoa explain ID --tenant T [--as ROLE] [--json]

Why a call was allowed or denied: the rule, the reason, what the policy saw (arguments redacted), and which rules were tried. ID is
the call id or the request id (X-Request-ID, correlation_id).`;

const Answer = z.object({
  id: z.string(), requestId: z.string(), at: z.string(), name: z.string(), door: z.string(), outcome: z.string(), code: z.string().optional(),
  effect: z.string(), ruleId: z.string().nullable(), reason: z.string().nullable(), policyRevision: z.string().nullable(), obligations: z.array(z.record(z.string(), z.unknown())), input: z.unknown(),
  tried: z.array(z.object({ rule: z.string(), holds: z.boolean(), action: z.string().optional() })), triedNote: z.string(),
});

export async function explainCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: [id, ...rest] } = parseArgs({ args: [...args], allowPositionals: true, strict: true, options: { tenant: { type: 'string' }, as: { type: 'string', default: 'tenant-admin' }, json: { type: 'boolean', default: false } } });
  if (id === undefined || rest.length > 0) throw new CommandError('stoa explain needs one call id or request id', 2);
  if (values.tenant === undefined) throw new CommandError('--tenant is missing: say whose call it was', 2);
  const connection = readConnection(io.env);
  const admin = new AdminClient(connection, await requestToken(connection, { tenant: values.tenant, role: values.as }));
  const answer = await whenRecorded(() => admin.call('GET', `/tenants/${encodeURIComponent(values.tenant ?? '')}/decisions/${encodeURIComponent(id)}`), `${id} of ${values.tenant}`);
  if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
  const told = Answer.parse(answer);
  io.out(`${told.name} at ${told.at} through ${told.door}: ${told.outcome}${told.code === undefined ? '' : ` (${told.code})`}`);
  io.out(`${told.effect}  ${told.ruleId ?? '-'}${told.reason === null ? '' : `: ${told.reason}`}`);
  for (const obligation of told.obligations) io.out(`tied to: ${Object.values(obligation).join(' ')}`);
  io.out(`policy ${told.policyRevision ?? 'was not asked'}`);
  if (told.input !== null) io.out(`input  ${JSON.stringify(told.input)}`);
  tellTried(told.tried, io);
  io.out(`(${told.triedNote})`);
  io.out(`call ${told.id}, request ${told.requestId}`);
  return 0;
}

/** A record comes to where it is kept a moment after its call ended. */
async function whenRecorded(ask: () => Promise<unknown>, what: string): Promise<unknown> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof CommandError) || !error.message.startsWith('Call not found')) throw error;
      if (attempt === 8) throw new CommandError(`No call ${what} is on record: a record appears within a second of the call's end, and is kept for 30 days`);
      await new Promise((resolve) => { setTimeout(resolve, 250); });
    }
  }
}
