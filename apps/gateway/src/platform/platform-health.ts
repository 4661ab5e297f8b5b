import type { CheckResult, Health } from '../health.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { answer, everyone, isPlatformAdmin, type PlatformTool, platformTarget } from './platform-tool.js';

/** One API's backend as calls have found it. */
interface Backend { readonly api: string; readonly state: 'closed' | 'open' | 'probing'; readonly running: number; readonly waiting: number }

/** Reasons may name hosts of ours: platform administrators alone read them. `backends`: those of the caller's own tenant that were asked so far. */
export const platformHealth = (health: Pick<Health, 'readiness'>, backends: (tenant: TenantSlug) => readonly Backend[] = () => []): PlatformTool => ({
  target: platformTarget({
    name: 'stoa_platform_health', title: 'Platform health', category: 'Platform & Discovery',
    description: 'Whether the platform and what it depends on are healthy, degraded or down, with the time each took to answer.',
    properties: { components: { type: 'array', items: { type: 'string', maxLength: 64 }, maxItems: 32, description: 'Only these components, for example "database". Default: all.' } },
  }),
  visibleTo: everyone,
  run: async ({ components }, call) => {
    const { checks } = await health.readiness();
    const asked = Array.isArray(components) && components.length > 0 ? new Set(components.map(String)) : undefined;
    const shown: Record<string, object> = {};
    for (const [name, check] of Object.entries(checks)) if (asked?.has(name) !== false) shown[name] = componentOf(check, isPlatformAdmin(call.principal));
    const own = call.principal.tenant === undefined ? [] : backends(call.principal.tenant);
    for (const backend of own) if (asked?.has(`api:${backend.api}`) ?? backend.state !== 'closed') shown[`api:${backend.api}`] = { status: backend.state === 'closed' ? 'healthy' : 'down', latency_ms: null, calls_running: backend.running, calls_waiting: backend.waiting };
    for (const name of asked ?? []) shown[name] ??= { status: 'not_configured', latency_ms: null };
    const judged = Object.values(checks);
    const overall = judged.every(({ ok }) => ok) && own.every(({ state }) => state === 'closed') ? 'healthy' : checks['app_ready']?.ok === false ? 'down' : 'degraded';
    return answer({ status: overall, components: shown, checked_at: new Date().toISOString() });
  },
});

const componentOf = ({ ok, reason, latencyMs }: CheckResult, withReason: boolean): object =>
  ({ status: ok ? 'healthy' : 'down', latency_ms: latencyMs, ...(withReason && reason !== undefined ? { reason } : {}) });
