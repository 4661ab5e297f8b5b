import { parseArgs } from 'node:util';
import { z } from 'zod';
import { AdminClient, CommandError, readConnection } from './client.js';
import type { Io } from './io.js';
import { requestToken } from './token.js';

export const TENANTS_HELP = `stoa tenants [create T | delete T] [--json]

Lists tenants, makes one, or deletes one with all that it has; as a platform administrator (cpi-admin).`;

const Tenant = z.object({ slug: z.string(), enabled: z.boolean(), revision: z.number() });
const Tenants = z.object({ tenants: z.array(Tenant) });

export async function tenantsCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: [action = 'list', tenant, ...rest] } = parseArgs({ args: [...args], allowPositionals: true, strict: true, options: { json: { type: 'boolean', default: false } } });
  const wanted = action === 'list' ? 0 : 1;
  if (!['list', 'create', 'delete'].includes(action) || rest.length > 0 || (tenant === undefined ? 0 : 1) !== wanted) throw new CommandError('use stoa tenants, stoa tenants create T, or stoa tenants delete T', 2);
  const connection = readConnection(io.env);
  const admin = new AdminClient(connection, await requestToken(connection, { tenant: undefined, role: 'cpi-admin' }));
  if (tenant !== undefined) {
    const answer = action === 'create' ? await admin.call('POST', '/tenants', { slug: tenant }) : await admin.call('DELETE', `/tenants/${encodeURIComponent(tenant)}`);
    io.out(values.json ? JSON.stringify(answer ?? null) : `${tenant} ${action}d`);
    return 0;
  }
  const answer = await admin.call('GET', '/tenants');
  if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
  for (const { slug, enabled, revision } of Tenants.parse(answer).tenants) io.out(`${slug}  revision ${revision}${enabled ? '' : '  (disabled)'}`);
  return 0;
}
