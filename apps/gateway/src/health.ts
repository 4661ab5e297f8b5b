import type { ReadinessCheck } from '#libs/core/ports.js';
import type { Lifecycle } from './lifecycle.js';

export interface CheckResult { readonly ok: boolean; readonly reason?: string; readonly latencyMs: number }
export interface Readiness { readonly ready: boolean; readonly checks: Readonly<Record<string, CheckResult>> }

/** How long one dependency may take to answer, and how long an answer is good for, in milliseconds: probes are open to everyone. */
const CHECK_MS = 2000;
const KEPT_MS = 500;

/** Whether this process should be sent calls, and which dependency says no. */
export class Health {
  private latest: { readonly at: number; readonly result: Promise<Readonly<Record<string, CheckResult>>> } | undefined;
  constructor(private readonly lifecycle: Lifecycle, private readonly dependencies: readonly ReadinessCheck[], private readonly now: () => number = () => performance.now()) {}

  async readiness(): Promise<Readiness> {
    const at = this.now();
    if (!this.latest || at - this.latest.at > KEPT_MS) this.latest = { at, result: this.ask() };
    const own: CheckResult = this.lifecycle.draining ? { ok: false, reason: 'shutting down', latencyMs: 0 }
      : this.lifecycle.started ? { ok: true, latencyMs: 0 } : { ok: false, reason: 'still starting', latencyMs: 0 };
    const checks = { app_ready: own, ...(await this.latest.result) };
    return { ready: Object.values(checks).every(({ ok }) => ok), checks };
  }

  private async ask(): Promise<Readonly<Record<string, CheckResult>>> {
    return Object.fromEntries(await Promise.all(this.dependencies.map(async (dependency) => [dependency.name, await askOne(dependency)] as const)));
  }
}

async function askOne(dependency: ReadinessCheck): Promise<CheckResult> {
  const start = performance.now();
  const done = (verdict: { ok: boolean; reason?: string }): CheckResult => ({ ok: verdict.ok, ...(verdict.reason === undefined ? {} : { reason: verdict.reason }), latencyMs: Math.round(performance.now() - start) });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<{ ok: false; reason: string }>((resolve) => { timer = setTimeout(() => { resolve({ ok: false, reason: `no answer within ${CHECK_MS} ms` }); }, CHECK_MS); });
  try { return done(await Promise.race([dependency.check(), late])); } catch (failure) {
    return done({ ok: false, reason: failure instanceof Error ? failure.message : String(failure) });
  } finally { clearTimeout(timer); }
}
