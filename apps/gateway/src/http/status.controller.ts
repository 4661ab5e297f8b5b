import { Controller, Get, Inject, Req, UseFilters } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Gateway } from '../compose.js';
import { isPlatformAdmin } from '../platform/platform-tool.js';
import { ABOUT, GATEWAY, principalOf } from '../tokens.js';
import type { About } from './info.controller.js';
import { Problem, ProblemFilter } from './problem.js';

/** What an operator asks of a running gateway; for platform administrators. */
@Controller('admin/status')
@UseFilters(ProblemFilter)
export class StatusController {
  constructor(@Inject(ABOUT) private readonly about: About, @Inject(GATEWAY) private readonly gateway: Gateway) {}

  @Get()
  async status(@Req() request: FastifyRequest): Promise<object> {
    if (!isPlatformAdmin(principalOf(request))) throw new Problem(403, 'Access denied: needs the role cpi-admin');
    const { build, environment, startedAt, doors } = this.about;
    const { health, lifecycle, tenants, off } = this.gateway;
    const { ready, checks } = await health.readiness();
    const { rss, heapUsed } = process.memoryUsage();
    return {
      version: build.version, commit: build.commit, environment, started_at: startedAt.toISOString(), uptime_seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
      ready, draining: lifecycle.draining,
      checks: Object.fromEntries(Object.entries(checks).map(([name, { ok, reason, latencyMs }]) => [name, { ok, reason: reason ?? null, latency_ms: latencyMs }])),
      doors, off, tenants: await tenants?.().then((known) => known.length, () => null) ?? null,
      memory: { rss_bytes: rss, heap_used_bytes: heapUsed },
    };
  }
}
