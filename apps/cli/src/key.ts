import { parseArgs } from 'node:util';
import { z } from 'zod';
import { AdminClient, CommandError, readConnection } from './client.js';
import type { Io } from './io.js';
import { requestToken } from './token.js';

export const KEY_HELP = `stoa key create --tenant T [--tool NAME]… [--role R]… [--scope S]… [--ttl 90d] [--name TEXT] [--step-up] [--json]
stoa key list --tenant T [--json]
stoa key rotate ID --tenant T [--grace 24h] [--json]
stoa key revoke ID --tenant T

API keys of a tenant, as its administrator. A secret is printed once, alone on standard output; it is stored nowhere.
  --tool     a tool that the key may call, and no other; may be repeated
  --role     what it may do (default stoa.agent); may be repeated
  --scope    a scope beside those of its roles; may be repeated
  --ttl      until it ends: 45m, 12h, 30d (default 90d, at most 366d)
  --grace    how long the secret before a rotation works as well (default 24h, at most 7d, 0s: not at all)
  --step-up  its rotation needs a sign-in with a second factor`;

const Key = z.object({ id: z.string(), name: z.string(), prefix: z.string(), roles: z.array(z.string()), scopes: z.array(z.string()), tools: z.array(z.string()).nullable(), status: z.string(), expiresAt: z.string(), graceUntil: z.string().nullable() });
const Revealed = z.object({ key: Key, secret: z.string() });
const Keys = z.object({ keys: z.array(Key) });

const several = { type: 'string', multiple: true } as const;
const OPTIONS = {
  tenant: { type: 'string' }, tool: several, role: several, scope: several, ttl: { type: 'string' }, grace: { type: 'string' }, name: { type: 'string' }, 'step-up': { type: 'boolean' }, json: { type: 'boolean' },
} as const;
/** Which options each action takes, beside `tenant` and `json`, and whether it names a key. */
const ACTIONS: Readonly<Record<string, { readonly takes: readonly string[]; readonly id: boolean }>> = {
  create: { takes: ['tool', 'role', 'scope', 'ttl', 'name', 'step-up'], id: false }, list: { takes: [], id: false }, rotate: { takes: ['grace'], id: true }, revoke: { takes: [], id: true },
};

export async function keyCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: [action = '', id, ...rest] } = parseArgs({ args: [...args], allowPositionals: true, strict: true, options: OPTIONS });
  const known = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (!known || (id !== undefined) !== known.id || rest.length > 0) throw new CommandError('use stoa key create, stoa key list, stoa key rotate ID or stoa key revoke ID', 2);
  const alien = Object.keys(values).find((option) => !['tenant', 'json', ...known.takes].includes(option));
  if (alien !== undefined) throw new CommandError(`stoa key ${action} takes no --${alien}`, 2);
  const { tenant, json = false } = values;
  if (tenant === undefined) throw new CommandError('--tenant is missing: whose keys?', 2);

  const body = action === 'create' ? creation(values) : action === 'rotate' ? (values.grace === undefined ? {} : { graceSeconds: seconds('--grace', values.grace) }) : undefined;
  const connection = readConnection(io.env);
  const admin = new AdminClient(connection, await requestToken(connection, { tenant, role: 'tenant-admin' }));
  const path = `/tenants/${encodeURIComponent(tenant)}/keys`;
  switch (action) {
    case 'create': reveal(await admin.call('POST', path, body), json, io); break;
    case 'rotate': reveal(await admin.call('POST', `${path}/${encodeURIComponent(id ?? '')}/rotate`, body), json, io); break;
    case 'revoke': await admin.call('DELETE', `${path}/${encodeURIComponent(id ?? '')}`); io.out(`${id ?? ''} revoked`); break;
    default: list(await admin.call('GET', path), json, io);
  }
  return 0;
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values'];
const creation = (values: Values): object => ({
  ...(values.name === undefined ? {} : { name: values.name }), ...(values.role === undefined ? {} : { roles: values.role }), ...(values.scope === undefined ? {} : { scopes: values.scope }),
  ...(values.tool === undefined ? {} : { tools: values.tool }), ...(values.ttl === undefined ? {} : { ttlSeconds: seconds('--ttl', values.ttl) }), ...(values['step-up'] === true ? { stepUp: true } : {}),
});

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
function seconds(option: string, text: string): number {
  const [, count, unit] = /^(\d{1,7})([smhd])$/.exec(text) ?? [];
  if (unit === undefined) throw new CommandError(`${option} ${text} is not of the form 45m, 12h or 30d`, 2);
  return Number(count) * (UNITS[unit] ?? Number.NaN);
}

/** The secret alone on standard output, so that it can be put into a variable; what a person wants to know beside it on the other. */
function reveal(answer: unknown, json: boolean, io: Io): void {
  if (json) { io.out(JSON.stringify(answer, undefined, 2)); return; }
  const { key, secret } = Revealed.parse(answer);
  io.out(secret);
  io.err(`${described(key)}${key.graceUntil === null ? '' : `; the secret before works until ${key.graceUntil}`}. The secret is shown this once.`);
}

function list(answer: unknown, json: boolean, io: Io): void {
  if (json) { io.out(JSON.stringify(answer, undefined, 2)); return; }
  for (const key of Keys.parse(answer).keys) io.out(`${described(key)}  ${key.prefix}…  ${key.status}`);
}

const described = ({ id, name, roles, scopes, tools, expiresAt }: z.infer<typeof Key>): string =>
  `${id}${name === '' ? '' : `  ${name}`}  ${[...roles, ...scopes].join(' ')}${tools === null ? '' : `  only ${tools.join(', ')}`}  until ${expiresAt}`;
