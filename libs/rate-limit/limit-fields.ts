import { z } from 'zod';
import { type LimitSettings, LimitsRefused, readLimits, STOA_OTHER, STOA_ROLES } from '#libs/rate-limit/limits.js';
import type { RateLimitOptions } from '#libs/rate-limit/rate-limits.js';

const FORM = /^([1-9]\d{0,9})(?:\/(0|[1-9]\d{0,9}))?$/;
const MOST = 1_000_000_000;
const form = (text: string): { perMinute: number; burst: number } | undefined => {
  const [, perMinute, burst = '0'] = FORM.exec(text.trim()) ?? [];
  return perMinute === undefined || Number(perMinute) + Number(burst) > MOST ? undefined : { perMinute: Number(perMinute), burst: Number(burst) };
};
const refuse = (context: z.core.$RefinementCtx<string>, message: string, input: string): never => {
  context.issues.push({ code: 'custom', message, input });
  return z.NEVER;
};
const RATE = 'expected calls a minute, with a burst after a slash, as in 60/10: whole numbers of at most 1000000000 together, the first at least 1; or off';
const rate = () => z.string().transform((text, context) => (text === 'off' ? undefined : form(text) ?? refuse(context, RATE, text)));
const toolRate = () => z.string().transform((text, context) => {
  if (text === 'off') return undefined;
  const given = form(text);
  if (given === undefined || given.burst > given.perMinute) return refuse(context, `${RATE}; the burst not above the calls a minute`, text);
  return { perMinute: given.perMinute, burst: given.burst === 0 ? given.perMinute : given.burst };
});
const count = () => z.string().transform((text, context) => {
  if (text === 'off') return undefined;
  return /^[1-9]\d{0,9}$/.test(text) && Number(text) <= MOST ? Number(text) : refuse(context, 'expected a whole number from 1 to 1000000000, or off', text);
});
const roles = () => z.string().transform((text, context) => {
  const table: Record<string, { perMinute: number; burst: number }> = {};
  for (const entry of text.split(',')) {
    const [, name, given] = /^\s*([^=\s]+)\s*=\s*(\S+)\s*$/.exec(entry) ?? [];
    const one = form(given ?? '');
    if (name === undefined || one === undefined || name in table) return refuse(context, `"${entry.trim()}" is not role=calls/burst, once for each role, as in viewer=60/10`, text);
    table[name] = one;
  }
  return table;
});
const written = Object.entries({ ...STOA_ROLES, '*': STOA_OTHER }).map(([name, { perMinute, burst }]) => `${name}=${perMinute}/${burst}`).join(',');

/** Fields for a process's configuration schema; `rateLimitOptions` makes the module's options of them. */
export const limitFields = {
  rateLimitRoles: roles().prefault(written).meta({ env: 'RATE_LIMIT_ROLES', description: 'Calls a minute and burst of a principal by role, the most generous of its roles; `*` for any other.' }),
  rateLimitPerMinute: count().prefault('1000').meta({ env: 'RATE_LIMIT_REQUESTS_PER_MINUTE', description: 'Calls a minute of a principal, whatever its roles; `off` leaves it to the roles.' }),
  rateLimitBurst: z.coerce.number().int().min(0).max(MOST).default(100).meta({ env: 'RATE_LIMIT_BURST', description: 'What RATE_LIMIT_REQUESTS_PER_MINUTE may be exceeded by within a minute. Below 100 it cuts into the burst of cpi-admin.' }),
  rateLimitUserTool: rate().prefault('100').meta({ env: 'RATE_LIMIT_USER_TOOL', description: 'Calls a minute of one principal to one tool, with burst after a slash; `off` for none.' }),
  rateLimitToken: rate().prefault('off').meta({ env: 'RATE_LIMIT_TOKEN', description: 'Calls a minute with one token or API key that has an id (`jti`), with burst after a slash.' }),
  rateLimitTool: toolRate().prefault('off').meta({ env: 'RATE_LIMIT_TOOL', description: 'Of each tool of a tenant, whoever calls: 60/10 lets ten calls pass in ten seconds. A tool\'s own limit wins.' }),
  rateLimitTenant: count().prefault('off').meta({ env: 'RATE_LIMIT_TENANT_PER_MINUTE', description: 'Calls a minute of a tenant without limits of its own.' }),
  rateLimitTenantDay: count().prefault('off').meta({ env: 'RATE_LIMIT_TENANT_PER_DAY', description: 'Calls of such a tenant in a day of UTC; more are answered QUOTA_EXCEEDED.' }),
  rateLimitIp: rate().prefault('6000').meta({ env: 'RATE_LIMIT_IP', description: 'Requests a minute of one client address, before authentication; an IPv6 client counts by its /64.' }),
  rateLimitFailedAuth: count().prefault('5').meta({ env: 'RATE_LIMIT_FAILED_AUTH', description: 'Refused credentials of one client address in a minute; then it is refused whatever it sends until the minute is over.' }),
  concurrentCalls: count().prefault('off').meta({ env: 'MAX_CONCURRENT_CALLS', description: 'Calls in backends at the same time on one replica.' }),
  concurrentPrincipal: count().prefault('100').meta({ env: 'MAX_CONCURRENT_PER_PRINCIPAL', description: 'Of these, of one principal.' }),
  concurrentTenant: count().prefault('off').meta({ env: 'MAX_CONCURRENT_PER_TENANT', description: 'Of these, of one tenant.' }),
  concurrentBackend: count().prefault('off').meta({ env: 'MAX_CONCURRENT_PER_BACKEND', description: 'Of these, to one API of one tenant, so that a hung backend cannot fill the replica.' }),
  streamsPerIp: count().prefault('10').meta({ env: 'SSE_MAX_PER_IP', description: 'Event streams of one client address at the same time on one replica.' }),
  streamsPerTenant: count().prefault('100').meta({ env: 'SSE_MAX_PER_TENANT', description: 'Event streams of one tenant at the same time on one replica.' }),
  streamsTotal: count().prefault('5000').meta({ env: 'SSE_MAX_TOTAL', description: 'Event streams at the same time on one replica.' }),
  streamsNew: count().prefault('off').meta({ env: 'SSE_NEW_PER_MINUTE', description: 'Event streams that one client address may open in a minute.' }),
  trustedProxies: z.string().transform((text, context) => {
    const proxies = text.split(',').map((one) => one.trim()).filter((one) => one !== '');
    try { return readLimits({ trustedProxies: proxies }).trustedProxies; } catch (failure) {
      return refuse(context, failure instanceof LimitsRefused ? failure.issues.map(({ message }) => message).join('; ') : String(failure), text);
    }
  }).prefault('').meta({ env: 'TRUSTED_PROXIES', description: 'CIDRs of proxies whose X-Forwarded-For is believed, comma-separated. Unset: none, and the peer is the client.' }),
  redisUrl: z.string().regex(/^rediss?:\/\//, 'expected redis://[user:password@]host:port/0').optional().meta({ env: 'REDIS_URL', description: 'Redis (6.2 or later) or Valkey that replicas share: their limits, and which capability tokens are spent or revoked. Unset: each process keeps its own, which is enough for one.', secret: true }),
  replicas: z.coerce.number().int().min(1).max(10_000).default(1).meta({ env: 'REPLICAS', description: 'How many gateways share REDIS_URL: while it is away, each admits its part of a limit.' }),
};

const Fields = z.object(limitFields);

export function rateLimitOptions(config: z.infer<typeof Fields>): RateLimitOptions {
  const { '*': other, ...named } = config.rateLimitRoles;
  const { rateLimitTenant, rateLimitTenantDay, concurrentTenant, rateLimitPerMinute } = config;
  const limits: LimitSettings = {
    roles: named, other, tool: config.rateLimitTool, userTool: config.rateLimitUserTool, token: config.rateLimitToken,
    user: rateLimitPerMinute === undefined ? undefined : { perMinute: rateLimitPerMinute, burst: config.rateLimitBurst },
    tenant: { perMinute: rateLimitTenant, perDay: rateLimitTenantDay, concurrent: concurrentTenant },
    address: config.rateLimitIp, failedAuthentications: config.rateLimitFailedAuth,
    concurrent: { process: config.concurrentCalls, principal: config.concurrentPrincipal, backend: config.concurrentBackend },
    streams: { address: config.streamsPerIp, tenant: config.streamsPerTenant, total: config.streamsTotal, newPerMinute: config.streamsNew },
    trustedProxies: config.trustedProxies,
  };
  return config.redisUrl === undefined ? { limits } : { limits, shared: { url: config.redisUrl, replicas: config.replicas } };
}

/** The same variables for one person's computer: on, and out of the way unless a limit is set. Its one client is loopback. */
export const generousLimitFields = {
  ...limitFields,
  rateLimitRoles: defaultOf(limitFields.rateLimitRoles, roles().prefault('*=60000/6000')),
  rateLimitPerMinute: defaultOf(limitFields.rateLimitPerMinute, count().prefault('off')),
  rateLimitUserTool: defaultOf(limitFields.rateLimitUserTool, rate().prefault('60000')),
  rateLimitIp: defaultOf(limitFields.rateLimitIp, rate().prefault('600000')),
  rateLimitFailedAuth: defaultOf(limitFields.rateLimitFailedAuth, count().prefault('1000')),
  streamsPerIp: defaultOf(limitFields.streamsPerIp, count().prefault('1000')),
  streamsPerTenant: defaultOf(limitFields.streamsPerTenant, count().prefault('1000')),
};

function defaultOf<S extends z.ZodType>(documented: z.ZodType, field: S): S {
  return field.meta({ ...documented.meta() });
}
