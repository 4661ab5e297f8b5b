import { Controller, Get, Header, Inject, Req, Res, UseFilters } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Metrics } from '#libs/observability/metrics.js';
import type { Health, Readiness } from '../health.js';
import { Lifecycle } from '../lifecycle.js';
import { isPlatformAdmin } from '../platform/platform-tool.js';
import { ABOUT, HEALTH, HTTP_SETTINGS, principalOf } from '../tokens.js';
import { type About, SERVICE } from './info.controller.js';
import { Problem, ProblemFilter } from './problem.js';
import type { HttpSettings } from './rest-http.js';

const now = (): string => new Date().toISOString();

/** Probes: open, without a body, never through a parser. Alive is not ready: a lost database stops readiness alone. */
@Controller()
export class HealthController {
  constructor(@Inject(ABOUT) private readonly about: About, @Inject(HEALTH) private readonly health: Health, @Inject(Lifecycle) private readonly lifecycle: Lifecycle) {}

  @Get('health')
  legacy(): object { return { status: 'healthy', service: SERVICE, version: this.about.build.version, timestamp: now() }; }
  @Get(['healthz', 'api/health'])
  healthz(): object { return { status: 'healthy', service: SERVICE, version: this.about.build.version }; }
  @Get('live')
  live(): object { return { status: 'alive' }; }
  @Get('health/live')
  healthLive(): object { return { status: 'healthy', version: this.about.build.version, timestamp: now() }; }
  @Get('health/startup')
  startup(@Res({ passthrough: true }) reply: FastifyReply): object {
    if (!this.lifecycle.started) void reply.status(503);
    return { status: this.lifecycle.started ? 'healthy' : 'unhealthy', version: this.about.build.version, timestamp: now() };
  }
  @Get(['status', 'api/status'])
  status(): object {
    return { status: this.lifecycle.started ? 'healthy' : 'starting', service: SERVICE, version: this.about.build.version, environment: this.about.environment, started_at: this.about.startedAt.toISOString() };
  }

  @Get('ready')
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const readiness = await this.health.readiness();
    if (!readiness.ready) void reply.status(503);
    return { service: SERVICE, version: this.about.build.version, timestamp: now(), ...checksOf(readiness), status: readiness.ready ? 'ready' : 'not_ready' };
  }
  @Get('health/ready')
  async healthReady(@Res({ passthrough: true }) reply: FastifyReply): Promise<object> {
    const readiness = await this.health.readiness();
    if (!readiness.ready) void reply.status(503);
    return { status: readiness.ready ? 'healthy' : 'unhealthy', version: this.about.build.version, timestamp: now(), ...checksOf(readiness) };
  }
}

/** A flag for each dependency, as STOA has it, and beside them why one says no. */
function checksOf({ checks }: Readiness): object {
  const entries = Object.entries(checks);
  const reasons = entries.flatMap(([name, { ok, reason }]) => (ok ? [] : [[name, reason ?? 'not ready'] as const]));
  return { checks: Object.fromEntries(entries.map(([name, { ok }]) => [name, ok])), ...(reasons.length > 0 ? { reasons: Object.fromEntries(reasons) } : {}) };
}

@Controller('metrics')
@UseFilters(ProblemFilter)
export class MetricsController {
  constructor(@Inject(Metrics) private readonly metrics: Metrics, @Inject(HTTP_SETTINGS) private readonly settings: HttpSettings) {}
  @Get()
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  render(@Req() request: FastifyRequest): Promise<string> {
    if (!this.settings.metricsPublic && !isPlatformAdmin(principalOf(request))) throw new Problem(403, 'Access denied: needs the role cpi-admin');
    return this.metrics.render();
  }
}
