import { z } from 'zod';
import { clientIp } from '#libs/rate-limit/client-ip.js';

/** Far above any real limit and far below where counters would lose precision. */
const MOST = 1_000_000_000;
const count = () => z.int().min(1).max(MOST);

/** `perMinute` calls in a minute, and once in it `burst` more. */
const Rate = z.strictObject({ perMinute: count(), burst: z.int().min(0).max(MOST).default(0) })
  .refine((rate) => rate.perMinute > MOST || rate.perMinute + rate.burst <= MOST, { path: ['burst'], message: 'perMinute and burst together are too many' });
/** At most `burst` calls in the time in which `perMinute` lets as many pass: 60 with 10 is ten calls in ten seconds. */
const ToolRate = z.strictObject({ perMinute: count(), burst: count() })
  .refine((rate) => rate.burst <= rate.perMinute, { path: ['burst'], message: 'must not be above perMinute' });
const Tenant = z.strictObject({
  perSecond: count().optional(), perMinute: count().optional(), perDay: count().optional(),
  /** Calls at the same time, on one replica. */
  concurrent: count().optional(),
  /** Event streams at the same time, on one replica. */
  streams: count().optional(),
  tools: z.record(z.string().min(1), ToolRate).default({}),
});
const Proxy = z.string().superRefine((text, context) => {
  try { clientIp([text]); } catch (failure) { context.addIssue({ code: 'custom', message: failure instanceof Error ? failure.message : String(failure) }); }
});

/** Every limit; one that is left out does not apply, except where a default is written. */
const Limits = z.strictObject({
  /** By role; of several roles the one that allows most counts, `other` for none of them. */
  roles: z.record(z.string().min(1), Rate).optional(),
  other: Rate.optional(),
  user: Rate.optional(),
  userTool: Rate.optional(),
  token: Rate.optional(),
  /** Each tool of a tenant, whoever calls; a tenant's own entry wins. */
  tool: ToolRate.optional(),
  /** Each tenant that has no entry of its own. */
  tenant: Tenant.optional(),
  tenants: z.record(z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'expected a tenant'), Tenant).default({}),
  /** Requests of one client address, before authentication. */
  address: Rate.optional(),
  /** Failed authentications of one client address in a minute; after as many it is refused until the minute is over. */
  failedAuthentications: count().optional(),
  /** At the same time, on one replica. */
  concurrent: z.strictObject({ process: count().optional(), principal: count().optional(), backend: count().optional() }).default({}),
  streams: z.strictObject({ address: count().optional(), tenant: count().optional(), total: count().optional(), newPerMinute: count().optional() }).default({}),
  trustedProxies: z.array(Proxy).default([]),
});
export type Limits = z.infer<typeof Limits>;
export type LimitSettings = z.input<typeof Limits>;
export type Rate = z.infer<typeof Rate>;
export type TenantLimits = z.infer<typeof Tenant>;

/** Every wrong limit at once, each by its key. */
export class LimitsRefused extends Error {
  override get name(): string { return 'LimitsRefused'; }
  constructor(readonly issues: readonly { readonly key: string; readonly message: string }[]) {
    super(`The limits are wrong:\n${issues.map(({ key, message }) => `  ${key}: ${message}`).join('\n')}`);
  }
}

/** Throws `LimitsRefused` for anything but whole numbers from 1 to 1,000,000,000 (bursts of rates from 0), and for unknown keys. */
export function readLimits(settings: unknown): Limits {
  return read(Limits, settings);
}

/** One tenant's entry, for whoever lets it be edited. Throws `LimitsRefused`. */
export function readTenantLimits(settings: unknown): TenantLimits {
  return read(Tenant, settings);
}

function read<S extends z.ZodType>(schema: S, settings: unknown): z.infer<S> {
  const parsed = schema.safeParse(settings);
  if (parsed.success) return parsed.data;
  const issues = new Map<string, string>();
  for (const issue of parsed.error.issues) {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : undefined;
    const key = [...issue.path.map(String), ...(unknown ? [unknown.join(', ')] : [])].join('.') || 'limits';
    if (!issues.has(key)) issues.set(key, unknown ? 'there is no such limit' : issue.code === 'custom' ? issue.message : `${issue.message}; expected ${HINT}`);
  }
  throw new LimitsRefused([...issues].map(([key, message]) => ({ key, message })));
}
const HINT = 'a whole number from 1 to 1000000000 (a burst may be 0)';

/** What each role may do in a minute, unless an operator says otherwise. */
export const STOA_ROLES: Readonly<Record<string, Rate>> = {
  'cpi-admin': { perMinute: 1000, burst: 100 },
  'tenant-admin': { perMinute: 500, burst: 50 },
  devops: { perMinute: 200, burst: 20 },
  viewer: { perMinute: 60, burst: 10 },
};
export const STOA_OTHER: Rate = { perMinute: 30, burst: 5 };
