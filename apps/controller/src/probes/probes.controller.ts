import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { ReadinessCheck } from '#libs/core/ports.js';
import { PROCESS, type ProcessParts } from './process-parts.js';

const SERVICE = 'stoa-controller';
/** Longest wait for one dependency, in milliseconds. */
const CHECK_MS = 2000;
/** An answer is good for so long, in milliseconds: probes are open to everyone. */
const KEPT_MS = 500;
type Check = Awaited<ReturnType<ReadinessCheck['check']>>;

/** Probes in STOA's shapes. Alive is not ready: a lost database stops readiness alone. */
@Controller()
export class ProbesController {
  #latest: { readonly at: number; readonly asked: Promise<readonly (readonly [string, Check])[]> } | undefined;

  constructor(@Inject(PROCESS) private readonly process: ProcessParts) {}

  @Get('health')
  health(): object { return { status: 'healthy', service: SERVICE, version: this.process.build.version, timestamp: new Date().toISOString() }; }

  @Get(['health/live', 'health/startup'])
  healthLive(): object { return { status: 'healthy', version: this.process.build.version, timestamp: new Date().toISOString() }; }

  @Get('live')
  live(): object { return { status: 'alive' }; }

  @Get('ready')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const { ready, ...checks } = await this.#readiness();
    if (!ready) void reply.status(503);
    return { service: SERVICE, version: this.process.build.version, timestamp: new Date().toISOString(), ...checks, status: ready ? 'ready' : 'not_ready' };
  }

  @Get('health/ready')
  async healthReady(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const { ready, ...checks } = await this.#readiness();
    if (!ready) void reply.status(503);
    return { status: ready ? 'healthy' : 'unhealthy', version: this.process.build.version, timestamp: new Date().toISOString(), ...checks };
  }

  @Get('info')
  info(): object {
    const { build, environment, startedAt } = this.process;
    return { service: SERVICE, version: build.version, commit: build.commit, build_time: build.builtAt, node: process.version, environment, started_at: startedAt.toISOString() };
  }

  @Get('metrics')
  async metrics(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const { metrics } = this.process;
    if (metrics === undefined) { void reply.status(404); return 'metrics are switched off\n'; }
    void reply.type(metrics.contentType);
    return metrics.render();
  }

  /** A flag for each dependency, and beside them why one says no. */
  async #readiness(): Promise<{ readonly ready: boolean; readonly checks: Record<string, boolean>; readonly reasons?: Record<string, string> }> {
    const draining: Check = this.process.draining.aborted ? { ok: false, reason: 'shutting down' } : { ok: true };
    const now = performance.now();
    if (this.#latest === undefined || now - this.#latest.at > KEPT_MS) {
      this.#latest = { at: now, asked: Promise.all(this.process.checks.map(async (dependency) => [dependency.name, await ask(dependency)] as const)) };
    }
    const all: readonly (readonly [string, Check])[] = [['app_ready', draining], ...await this.#latest.asked];
    const bad = all.filter(([, { ok }]) => !ok);
    return {
      ready: bad.length === 0, checks: Object.fromEntries(all.map(([name, { ok }]) => [name, ok])),
      ...(bad.length === 0 ? {} : { reasons: Object.fromEntries(bad.map(([name, { reason }]) => [name, reason ?? 'not ready'])) }),
    };
  }
}

async function ask(dependency: ReadinessCheck): Promise<Check> {
  const late = Promise.withResolvers<Check>();
  const timer = setTimeout(() => { late.resolve({ ok: false, reason: `no answer within ${CHECK_MS} ms` }); }, CHECK_MS);
  try {
    return await Promise.race([dependency.check(), late.promise]);
  } catch (failure) {
    return { ok: false, reason: failure instanceof Error ? failure.message : String(failure) };
  } finally {
    clearTimeout(timer);
  }
}
