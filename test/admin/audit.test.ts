import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { AuditBroken, type AuditPage, type AuditQuery, type AuditRange, type AuditRow, type AuditScope, type AuditTrail } from '#libs/core/audit-trail.js';
import { Unavailable } from '#libs/core/errors.js';
import type { AdminChange } from '#libs/core/ports.js';
import { type Harness, harness } from './harness.js';

/** What is put on record, and whether that is possible. */
class Recorded {
  readonly changes: AdminChange[] = [];
  away = false;
  async record(change: AdminChange): Promise<void> {
    if (this.away) throw new Unavailable('database');
    this.changes.push(change);
  }
}
class FakeTrail implements AuditTrail {
  readonly asked: (AuditQuery & AuditPage)[] = [];
  readonly exported: [AuditScope, AuditRange, boolean | undefined][] = [];
  rows: AuditRow[] = [];
  broken = false;
  query(query: AuditQuery, page: AuditPage) { this.asked.push({ ...query, ...page }); return Promise.resolve({ rows: this.rows, total: 7 }); }
  async *export(scope: AuditScope, range: AuditRange, raw?: boolean) { this.exported.push([scope, range, raw]); yield '{"stoa":"audit-export"}'; yield '{"body":{"seq":1,"at":"t","kind":"call","id":"a-1","prev":"p","facts":{"tool":"=cmd()","decision":{"effect":"allow"}}},"personal":{"subject":"ada"}}'; }
  check() { return this.broken ? Promise.reject(new AuditBroken('acme', 23, 'does not follow entry 22')) : Promise.resolve(); }
  erase(_scope: AuditScope, subject: string) { return Promise.resolve(subject === 'ada' ? { erased: 2, tombstone: 9 } : { erased: 0, tombstone: undefined }); }
  checkpoints() { return Promise.resolve([{ number: 1 }]); }
  keys() { return Promise.resolve([{ id: 'k', pem: 'PEM', since: 't' }]); }
}

let on: Harness;
afterEach(() => on.app.close());
async function started(): Promise<{ readonly audit: Recorded; readonly trail: FakeTrail }> {
  const [audit, trail] = [new Recorded(), new FakeTrail()];
  on = await harness({ audit, trail });
  await on.ask('cpi-admin', 'POST /tenants', { slug: 'acme' });
  await on.ask('cpi-admin', 'POST /tenants', { slug: 'globex' });
  audit.changes.length = 0;
  return { audit, trail };
}
const told = ({ tenant, action, effect, status, object }: AdminChange): unknown[] => [tenant, action, effect, status, object];

describe('administration on record', () => {
  it('is one record of each change, in the chain of the tenant, written before it is made', async () => {
    const { audit } = await started();
    const answer = await on.ask('tenant-admin@acme', 'PATCH /tenants/acme', { displayName: 'Acme' }, { 'x-request-id': 'q-1' });
    expect(answer.statusCode).toBe(200);
    expect(audit.changes.map(told)).toEqual([['acme', 'PATCH /admin/v1/tenants/:tenant', 'allow', undefined, { tenant: 'acme' }]]);
    expect(audit.changes[0]).toMatchObject({ requestId: 'q-1', principal: { subject: 'ada', issuer: 'https://issuer.test', clientId: 'cli', roles: ['tenant-admin'] }, contentDigest: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown });
  });
  it('is one record of each refusal, with its reason, in the chain of whoever tried', async () => {
    const { audit } = await started();
    expect((await on.ask('viewer@acme', 'PATCH /tenants/acme', {})).statusCode).toBe(403);
    expect((await on.ask('tenant-admin@acme', 'PATCH /tenants/globex', {})).statusCode).toBe(404);
    expect((await on.ask('tenant-admin@acme', 'POST /tenants', {})).statusCode).toBe(403);
    expect(audit.changes.map(told)).toEqual([
      ['acme', 'PATCH /admin/v1/tenants/:tenant', 'deny', 403, { tenant: 'acme' }], ['acme', 'PATCH /admin/v1/tenants/:tenant', 'deny', 404, { tenant: 'globex' }], ['acme', 'POST /admin/v1/tenants', 'deny', 403, {}],
    ]);
    expect(audit.changes.every(({ reason }) => (reason ?? '') !== '')).toBe(true);
  });
  it('says by a second record that a change which was allowed failed', async () => {
    const { audit } = await started();
    expect((await on.ask('cpi-admin', 'POST /tenants', { slug: 'acme' })).statusCode).toBe(409);
    expect(audit.changes.map(({ effect, status }) => [effect, status])).toEqual([['allow', undefined], ['allow', 409]]);
  });
  it('makes no change, and refuses nothing either, while nothing can be put on record: 503', async () => {
    const { audit } = await started();
    audit.away = true;
    const answer = await on.ask('tenant-admin@acme', 'PATCH /tenants/acme', { displayName: 'Changed' });
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '1']);
    expect((await on.ask('viewer@acme', 'PATCH /tenants/acme', {})).statusCode).toBe(503);
    expect((await on.ask('viewer@acme', 'GET /tenants/acme')).json()).toMatchObject({ displayName: 'acme' });
  });
  it('has nothing of what only asks, nor of nobody', async () => {
    const { audit } = await started();
    await on.ask('cpi-admin', 'GET /tenants');
    await on.ask('tenant-admin@acme', 'POST /tenants/acme/policies/lint', { files: {} });
    expect((await on.ask('', 'PATCH /tenants/acme', {})).statusCode).toBe(401);
    expect(audit.changes).toEqual([]);
  });
  it('keeps no digest of whom an erasure was about', async () => {
    const { audit } = await started();
    expect((await on.ask('tenant-admin@acme', 'POST /tenants/acme/audit/erasures', { subject: 'ada' })).json()).toEqual({ erased: 2, tombstone: 9 });
    expect(audit.changes.map(({ contentDigest }) => contentDigest)).toEqual([undefined]);
  });
});

describe('what is read of the trail', () => {
  const row: AuditRow = { chain: 'acme', seq: 5, at: '2026-11-20T12:00:00.000Z', kind: 'call', id: 'b-1', subject: 'ada', arguments: { q: 1 }, erased: false, facts: { requestId: 'r-1', tool: 'get_pet', endpoint: '/calculator/sse', outcome: 'denied', code: 'FORBIDDEN', ms: 7 } };

  it('is asked for by tool, user, status, kind and time, a page at a time', async () => {
    const { trail } = await started();
    trail.rows = [row];
    const answer = await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit?tool_name=get_pet&user=ada&status=error&kind=call&from=2026-11-01T00:00:00Z&limit=1&cursor=6');
    expect(answer.json()).toEqual({ entries: [{ seq: 5, at: row.at, kind: 'call', id: 'b-1', subject: 'ada', erased: false, facts: row.facts, arguments: { q: 1 } }], total: 7, nextCursor: 5 });
    expect(trail.asked).toEqual([{ scope: 'acme', tool: 'get_pet', subject: 'ada', kind: 'call', endpoint: undefined, requestId: undefined, outcomes: ['error', 'denied', 'rejected', 'cancelled', 'unavailable', 'unknown'], from: new Date('2026-11-01T00:00:00Z'), to: undefined, limit: 1, offset: 0, before: 6 }]);
    expect((await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit?limit=0')).statusCode).toBe(422);
    expect((await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit?limit=1001')).statusCode).toBe(422);
    expect((await on.ask('viewer@acme', 'GET /tenants/acme/audit')).statusCode).toBe(403);
    expect((await on.ask('tenant-admin@acme', 'GET /tenants/globex/audit')).statusCode).toBe(404);
  });

  it('is answered at /admin/audit-logs as MCP Gateway does, to administrators alone, each of its own tenant', async () => {
    const { trail } = await started();
    trail.rows = [row];
    const answer = await on.ask('tenant-admin@acme', 'GET /admin/audit-logs?tool_name=get_pet&status=error&start_time=2026-11-20T00:00:00&limit=50');
    expect(answer.json()).toEqual({ items: [{ id: 'acme:5', timestamp: row.at, request_id: 'r-1', user_id: 'ada', tool_name: 'get_pet', endpoint_path: '/calculator/sse', status: 'error', duration_ms: 7, error_code: 'FORBIDDEN' }], total: 7, limit: 50, offset: 0 });
    await on.ask('cpi-admin', 'GET /admin/audit-logs');
    await on.ask('cpi-admin', 'GET /admin/audit-logs?tenant=globex');
    expect(trail.asked.map(({ scope, kind, from }) => [scope, kind, from?.toISOString()])).toEqual([['acme', 'call', '2026-11-20T00:00:00.000Z'], ['every', 'call', undefined], ['globex', 'call', undefined]]);
    expect((await on.ask('viewer@acme', 'GET /admin/audit-logs')).statusCode).toBe(403);
    expect((await on.ask('tenant-admin', 'GET /admin/audit-logs')).statusCode).toBe(403);
    expect((await on.ask('tenant-admin@acme', 'GET /admin/audit-logs?tenant=globex')).statusCode).toBe(404);
    expect(trail.asked).toHaveLength(3);
  });

  it('is exported as JSON Lines or CSV, of a range, and not at all where it does not verify', async () => {
    const { trail } = await started();
    const jsonl = await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit/export?from=3&to=2026-11-20T12:00:00Z');
    expect([jsonl.headers['content-type'], jsonl.body.split('\n').length]).toEqual(['application/jsonl; charset=utf-8', 3]);
    expect(trail.exported).toEqual([['acme', { from: 3, to: new Date('2026-11-20T12:00:00Z') }, false]]);
    const csv = await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit/export?format=csv');
    expect(csv.body.split('\r\n')).toEqual(['seq,at,kind,id,requestId,subject,tool,action,endpoint,effect,rule,reason,outcome,code,ms,client,credential,prev', '1,t,call,a-1,,ada,\'=cmd(),,,allow,,,,,,,,p', '']);
    trail.broken = true;
    const refused = await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit/export');
    expect([refused.statusCode, refused.json<{ detail: string }>().detail]).toEqual([409, expect.stringContaining('entry 23: does not follow entry 22') as unknown]);
    expect((await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit/export?verify=false')).statusCode).toBe(200);
    expect(trail.exported.at(-1)).toEqual(['acme', {}, true]);
  });

  it('has failed calls with what they said, masked, and a command that makes them again', async () => {
    const { trail } = await started();
    const id = '0123456789abcde-5';
    trail.rows = [{ ...row, id, arguments: { q: 'it\'s $(rm -rf /) [redacted-email]' }, facts: { ...row.facts, what: 'tool', outcome: 'timeout', code: 'BACKEND_TIMEOUT', backendMs: 5, attempts: 2, redactions: 1, inForce: { catalogue: 7 } } }];
    const answer = (await on.ask('devops@acme', `GET /tenants/acme/errors/${id}`)).json<{ replay: { curl: string; complete: boolean }; masked: number; arguments: object; code: string }>();
    expect([answer.code, answer.masked, answer.arguments, answer.replay.complete]).toEqual(['BACKEND_TIMEOUT', 1, trail.rows[0]?.arguments, false]);
    // A shell makes of it exactly the words that were meant.
    const words = execFileSync('sh', ['-c', answer.replay.curl.replace(/^curl/, 'printf "%s\\n"')], { env: { STOA_URL: 'http://x', STOA_TOKEN: 't' }, encoding: 'utf8' }).trimEnd().split('\n');
    expect(words).toEqual(['-sS', '-X', 'POST', 'http://x/mcp/v1/tools/get_pet/invoke', '-H', 'Authorization: Bearer t', '-H', 'Content-Type: application/json', '--data-raw', JSON.stringify({ name: 'get_pet', arguments: trail.rows[0]?.arguments })]);
    expect((await on.ask('devops@acme', 'GET /tenants/acme/errors?outcome=timeout&limit=5')).json()).toMatchObject({ total: 7, snapshots: [{ id }] });
    expect(trail.asked).toMatchObject([{ scope: 'acme', kind: 'call', id, limit: 1 }, { scope: 'acme', kind: 'call', outcomes: ['timeout'], limit: 5 }]);
    trail.rows = [];
    expect((await on.ask('devops@acme', `GET /tenants/acme/errors/${id}`)).statusCode).toBe(404);
    expect((await on.ask('viewer@acme', `GET /tenants/acme/errors/${id}`)).statusCode).toBe(403);
  });

  it('is proved entry by entry, and its checkpoints and keys are told', async () => {
    const { trail } = await started();
    expect((await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit/entries/5')).statusCode).toBe(200);
    expect(trail.exported).toEqual([['acme', { from: 5, to: 5 }, false]]);
    expect((await on.ask('tenant-admin@acme', 'GET /tenants/acme/audit/checkpoints')).json()).toEqual({ checkpoints: [{ number: 1 }] });
    expect((await on.ask('viewer@acme', 'GET /audit/keys')).json()).toEqual({ keys: [{ id: 'k', pem: 'PEM', since: 't' }] });
  });
});
