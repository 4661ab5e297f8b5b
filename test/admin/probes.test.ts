import { describe, expect, it } from 'vitest';
import { ControllerMetrics } from '#apps/controller/src/probes/controller-metrics.js';
import { harness, type Harness } from './harness.js';

const probe = async (on: Harness, path: string): Promise<[number, Record<string, unknown>]> => {
  const answer = await on.server.inject({ method: 'GET', url: path });
  return [answer.statusCode, answer.json()];
};

describe('the controller\'s probes', () => {
  it('name the dependency that is away and why, while liveness stays', async () => {
    const on = await harness({}, { checks: [{ name: 'database', check: () => Promise.reject(new Error('connection refused')) }, { name: 'issuer', check: async () => ({ ok: true }) }] });
    expect(await probe(on, '/ready')).toEqual([503, expect.objectContaining({ status: 'not_ready', checks: { app_ready: true, database: false, issuer: true }, reasons: { database: 'connection refused' } })]);
    expect(await probe(on, '/health/ready')).toEqual([503, expect.objectContaining({ status: 'unhealthy' })]);
    expect(await probe(on, '/live')).toEqual([200, { status: 'alive' }]);
    expect((await probe(on, '/health'))[0]).toBe(200);
    await on.app.close();
  });
  it('are not ready while draining', async () => {
    const on = await harness({}, { draining: AbortSignal.abort() });
    expect(await probe(on, '/ready')).toEqual([503, expect.objectContaining({ reasons: { app_ready: 'shutting down' } })]);
    await on.app.close();
  });
  it('ask a dependency once for many who ask at the same time', async () => {
    let asked = 0;
    const on = await harness({}, { checks: [{ name: 'database', check: async () => { asked += 1; return { ok: true }; } }] });
    await Promise.all(Array.from({ length: 20 }, () => probe(on, '/ready')));
    expect(asked).toBe(1);
    await on.app.close();
  });
  it('tell version, commit and build time', async () => {
    const on = await harness();
    expect(await probe(on, '/info')).toEqual([200, expect.objectContaining({ service: 'stoa-controller', version: '0.0.0', commit: 'abc', build_time: '2026-01-01T00:00:00Z' })]);
    await on.app.close();
  });
  it('show metrics that move, or 404 where they are switched off', async () => {
    const metrics = new ControllerMetrics('stoa_controller', { version: '0.0.0', environment: 'dev' });
    metrics.httpRequests.add(1, 'GET', '/x', '200');
    const on = await harness({}, { metrics });
    expect((await on.server.inject('/metrics')).body).toContain('stoa_controller_http_requests_total{method="GET",endpoint="/x",status_code="200"} 1');
    await on.app.close();
    const off = await harness();
    expect((await off.server.inject('/metrics')).statusCode).toBe(404);
    await off.app.close();
  });
});
