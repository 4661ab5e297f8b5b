import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { aRecord, slug } from '#libs/audit/a-record.contract.js';
import { type Checkpoint, CheckpointSigner, newSigningKey, readKeys } from '#libs/audit/checkpoint.js';
import { Checkpointer } from '#libs/audit/checkpointer.js';
import { sendCheckpoints } from '#libs/audit/checkpoint-outbox.js';
import { fileAnchor } from '#libs/audit/key-file.js';
import { auditCalls, storedAdminAudit } from '#libs/audit/record-calls.js';
import { SinkFeed } from '#libs/audit/sink-feed.js';
import type { SinkRecord } from '#libs/audit/sinks.js';
import { retire, storedTrail } from '#libs/audit/trail.js';
import { type AuditReport, AuditVerifier } from '#libs/audit/verify.js';
import type { AuditScope } from '#libs/core/audit-trail.js';
import type { CallRecord } from '#libs/core/call-record.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import type { TenantSlug } from '#libs/core/tenant.js';

export interface TrailFixture {
  readonly database: SqlDatabase;
  /** As the owner of the tables, whom no policy binds: how a trail is tampered with. */
  readonly asOwner: (sql: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

export function trailContract(name: string, open: () => Promise<TrailFixture>): void {
  describe(`audit trail: ${name}`, () => {
    let fixture: TrailFixture;
    let database: SqlDatabase;
    const folder = mkdtempSync(join(tmpdir(), 'stoa-audit-'));
    beforeAll(async () => { fixture = await open(); ({ database } = fixture); });
    afterAll(async () => { await fixture.close(); rmSync(folder, { recursive: true }); });

    const signer = new CheckpointSigner(newSigningKey());
    const keys = readKeys([signer.publicKey]);
    const NOW = new Date('2026-11-20T12:00:00Z');
    const anchors = join(folder, 'anchors.jsonl');
    const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
    const checkpointer = (everyEntries = 10) => new Checkpointer({ database, signer, everyEntries, everySeconds: 86_400, anchor: fileAnchor(anchors), log: silent, now: () => NOW });
    const trail = (signs: Checkpointer | undefined = checkpointer()) => storedTrail({ database, checkpointer: signs, now: () => NOW });
    const write = (...records: readonly CallRecord[]): Promise<void> => database.control((sql) => auditCalls(sql, { taken: records.map((record) => ({ record })), charged: [] }));
    const control = (sql: string): Promise<object[]> => database.control((one) => one.query(sql));
    let tenants = 0;
    /** A tenant of its own with `n` calls, in batches of 7. */
    const chain = async (n: number, over: (seq: number) => Partial<CallRecord> = () => ({})): Promise<TenantSlug> => {
      const tenant = slug(`t${tenants += 1}`);
      for (let from = 1; from <= n; from += 7) await write(...Array.from({ length: Math.min(7, n - from + 1) }, (_, i) => aRecord(from + i, { tenant, ...over(from + i) })));
      return tenant;
    };
    const linesOf = async (scope: AuditScope, range = {}, raw = false): Promise<string[]> => { const lines: string[] = []; for await (const line of trail().export(scope, range, raw)) lines.push(line); return lines; };
    const verified = (lines: readonly string[], kept?: readonly Checkpoint[]): AuditReport => { const verifier = new AuditVerifier({ keys, ...(kept ? { anchors: kept } : {}) }); for (const line of lines) verifier.take(line); return verifier.finish(); };
    const keptOf = (tenant: string): Checkpoint[] => readFileSync(anchors, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Checkpoint).filter((one) => one.chain === tenant);

    it('keeps a call that was allowed, one that was refused and one that failed, each with principal, tool, decision, status, latency and request id', async () => {
      const tenant = await chain(0);
      await write(aRecord(1, { tenant }), aRecord(2, { tenant, decision: { effect: 'deny', ruleId: 'roles.write', revision: 'p1', reason: 'viewers write nothing' }, outcome: 'denied', code: 'FORBIDDEN', invoked: false }), aRecord(3, { tenant, outcome: 'error', code: 'BACKEND_ERROR', door: '/calculator/sse' }));
      const { rows, total } = await trail().query({ scope: tenant }, { limit: 10 });
      expect(total).toBe(3);
      expect(rows.map(({ seq, subject, facts }) => [seq, subject, facts['tool'], facts['outcome'], facts['endpoint'], facts['requestId'], facts['ms']])).toEqual([
        [3, 'ada', 'get_pet', 'error', '/calculator/sse', 'r-3', 7], [2, 'ada', 'get_pet', 'denied', '/mcp', 'r-2', 7], [1, 'ada', 'get_pet', 'success', '/mcp', 'r-1', 7],
      ]);
      expect(rows[1]?.facts).toMatchObject({ decision: { effect: 'deny', rule: 'roles.write', reason: 'viewers write nothing' }, inForce: { catalogue: 7, policy: 'p1' }, credential: 'key-1', roles: ['viewer'] });
    });

    it('finds entries by tool, subject, outcome, endpoint, request and time, a page at a time', async () => {
      const tenant = await chain(30, (seq) => ({ name: `tool_${seq % 3}`, outcome: seq % 5 === 0 ? 'error' : 'success', principal: { ...aRecord(1).principal, subject: `user-${seq % 2}` } }));
      const found = async (query: object, page = {}) => { const { rows, total } = await trail().query({ scope: tenant, ...query }, { limit: 100, ...page }); return [total, rows.map(({ seq }) => seq)]; };
      expect(await found({ tool: 'tool_1', outcomes: ['error'] })).toEqual([2, [25, 10]]);
      expect(await found({ subject: 'user-1', from: new Date(aRecord(25).at) })).toEqual([3, [29, 27, 25]]);
      expect(await found({ requestId: 'r-4' })).toEqual([1, [4]]);
      expect(await found({ endpoint: '/mcp', to: new Date(aRecord(3).at) }, { limit: 2 })).toEqual([3, [3, 2]]);
      expect(await found({}, { limit: 3, offset: 10 })).toEqual([30, [20, 19, 18]]);
      expect(await found({}, { limit: 2, before: 5 })).toEqual([30, [4, 3]]);
    });

    it('counts a call once however often it comes, also twice in one batch', async () => {
      const tenant = await chain(5);
      await write(aRecord(5, { tenant }), aRecord(6, { tenant }), aRecord(6, { tenant }), aRecord(1, { tenant }));
      const { rows } = await trail().query({ scope: tenant }, { limit: 10 });
      expect(rows.map(({ id, seq }) => `${seq}:${id.split('-')[1]}`)).toEqual(['6:6', '5:5', '4:4', '3:3', '2:2', '1:1']);
    });

    it('has one writer at a time: batches of many consumers at once make one chain without a gap', async () => {
      const [one, two] = [await chain(0), await chain(0)];
      await Promise.all(Array.from({ length: 8 }, (_, batch) => write(...Array.from({ length: 20 }, (__, i) => aRecord(batch * 20 + i + 1, { tenant: (i + batch) % 2 === 0 ? one : two })))));
      for (const tenant of [one, two]) expect(verified(await linesOf(tenant))).toMatchObject({ fault: undefined, entries: 80, anchoredTo: 80 });
    });

    it('writes what has no canonical form all the same: lone surrogates, U+0000, and nesting without end', async () => {
      let deep: unknown = 1;
      for (let i = 0; i < 20_000; i += 1) deep = [deep];
      const tenant = await chain(1, () => ({ name: 'a\ud800\0b', arguments: { 'k\udc00': deep, nul: '\0' }, principal: { ...aRecord(1).principal, subject: `\0${'é'.repeat(5000)}` } }));
      expect(verified(await linesOf(tenant))).toMatchObject({ fault: undefined, entries: 1 });
    });

    it('puts administration on record, in the chain of its tenant or the platform\'s', async () => {
      const change = { requestId: 'q-1', tenant: await chain(0), principal: aRecord(1).principal, action: 'POST /admin/v1/tenants/:tenant/apis', object: { tenant: 'acme' }, effect: 'deny', reason: 'The role does not allow it', status: 403, at: NOW.getTime() } as const;
      await storedAdminAudit(database).record(change);
      await storedAdminAudit(database).record({ ...change, tenant: undefined });
      for (const scope of [change.tenant, undefined]) {
        const { rows } = await trail().query({ scope }, { limit: 1 });
        expect(rows[0]).toMatchObject({ kind: 'admin', id: 'q-1', subject: 'ada', facts: { action: change.action, decision: { effect: 'deny', reason: change.reason }, status: 403, outcome: 'denied' } });
      }
    });

    it('is exported whole, verifies with the file and the key alone, and is anchored to its last entry', async () => {
      const tenant = await chain(57);
      const lines = await linesOf(tenant);
      await checkpointer().tend();
      expect(verified(lines, keptOf(tenant))).toMatchObject({ fault: undefined, entries: 57, anchoredTo: 57, notes: [] });
    });

    it('is exported in part, by number or time, and one entry is proved without the rest', async () => {
      const tenant = await chain(57);
      for (let seq = 10; seq < 57; seq += 10) { await write(aRecord(100 + seq, { tenant })); await checkpointer(1).tend(); }
      for (const [from, to] of [[1, 1], [17, 17], [12, 33], [58, 58], [60, 62]] as const) expect(verified(await linesOf(tenant, { from, to }))).toMatchObject({ fault: undefined, from, to, anchoredTo: to, entries: to - from + 1 });
      expect(verified(await linesOf(tenant, { from: new Date(aRecord(20).at), to: new Date(aRecord(29).at) }))).toMatchObject({ fault: undefined, from: 20, to: 29, anchoredTo: 29 });
      const proof = (await linesOf(tenant, { from: 17, to: 17 })).map((line) => line.replace('"r-17"', '"r-18"'));
      expect(verified(proof).fault?.problem).toMatch(/not in the tree/);
    });

    describe('tampered with in SQL', () => {
      const tamperings: readonly (readonly [string, (chain: string) => string, number, RegExp])[] = [
        ['one row changed', (c) => `UPDATE audit.entries SET body = replace(body, '"success"', '"error"') WHERE chain = '${c}' AND seq = 23`, 24, /does not follow/],
        ['one row deleted', (c) => `DELETE FROM audit.entries WHERE chain = '${c}' AND seq = 23`, 23, /taken out|missing/],
        ['two rows swapped', (c) => `UPDATE audit.entries e SET body = o.body FROM audit.entries o WHERE e.chain = '${c}' AND o.chain = e.chain AND (e.seq, o.seq) IN ((23, 24), (24, 23))`, 23, /entry 24 where 23 belongs/],
        ['the last rows deleted', (c) => `DELETE FROM audit.entries WHERE chain = '${c}' AND seq > 35`, 36, /cut off|turned back|missing/],
        ['a row that is no JSON', (c) => `UPDATE audit.entries SET body = 'x' WHERE chain = '${c}' AND seq = 23`, 23, /not JSON/],
        ['a personal part changed', (c) => `UPDATE audit.entries SET personal = replace(personal, 'ada', 'eve') WHERE chain = '${c}' AND seq = 23`, 23, /personal part/],
        ['a personal part taken out without a tombstone', (c) => `UPDATE audit.entries SET personal = NULL WHERE chain = '${c}' AND seq = 23`, 23, /no tombstone/],
      ];
      it.each(tamperings)('%s: the export is refused, and verification of the raw one names the entry', async (_name, sql, seq, problem) => {
        const tenant = await chain(40);
        await checkpointer(1).tend();
        const kept = keptOf(tenant);
        await fixture.asOwner(sql(tenant));
        await expect(trail().check(tenant, {})).rejects.toThrow(problem);
        const { fault } = verified(await linesOf(tenant, {}, true), kept);
        expect(fault?.problem ?? '').toMatch(/./);
        expect(seq - 1).toBeLessThanOrEqual(fault?.seq ?? seq - 1);
        expect(fault?.seq ?? seq).toBeLessThanOrEqual(seq);
      });

      it('gets no checkpoint: what does not follow from the last one is not signed over, and said once', async () => {
        const tenant = await chain(20);
        const signs = checkpointer(1);
        await signs.tend();
        await write(...[21, 22, 23].map((seq) => aRecord(seq, { tenant })));
        await fixture.asOwner(`UPDATE audit.entries SET body = replace(body, '"success"', '"error"') WHERE chain = '${tenant}' AND seq = 22`);
        await signs.tend();
        expect(signs.broken.get(tenant)).toMatchObject({ seq: 23 });
        expect((await trail(undefined).checkpoints(tenant)).length).toBe(1);
      });

      it('and made to fit throughout, checkpoints too, with another key: the kept checkpoints convict it', async () => {
        const tenant = await chain(20);
        await checkpointer(1).tend();
        const kept = keptOf(tenant);
        await fixture.asOwner(`DELETE FROM audit.entries WHERE chain = '${tenant}'; DELETE FROM audit.checkpoints WHERE chain = '${tenant}'; DELETE FROM audit.heads WHERE chain = '${tenant}'`);
        await write(...Array.from({ length: 20 }, (_, i) => aRecord(i + 1, { tenant, outcome: 'error' })));
        expect(verified(await linesOf(tenant), kept).fault?.problem).toMatch(/kept elsewhere|written anew/);
      });
    });

    it('hides an erased subject for good, tells of it by a tombstone, and still verifies', async () => {
      const tenant = await chain(30, (seq) => ({ principal: { ...aRecord(1).principal, subject: seq % 3 === 0 ? 'mallory@example.test' : 'ada' } }));
      await checkpointer().tend();
      expect(await trail().erase(tenant, 'mallory@example.test')).toEqual({ erased: 10, tombstone: 31 });
      expect(await trail().erase(tenant, 'mallory@example.test')).toEqual({ erased: 0, tombstone: undefined });
      const lines = await linesOf(tenant);
      expect(lines.join('\n')).not.toContain('mallory');
      expect(verified(lines)).toMatchObject({ fault: undefined, erased: 10, anchoredTo: 31 });
      const { rows } = await trail().query({ scope: tenant }, { limit: 100 });
      expect(rows.filter(({ erased }) => erased).map(({ seq, subject, arguments: args }) => [seq, subject, args])).toHaveLength(10);
      expect((await trail().query({ scope: tenant, subject: 'mallory@example.test' }, { limit: 1 })).total).toBe(0);
    });

    it('gives up what is past its keeping up to a checkpoint, says so, and verifies from there; nothing else removes its beginning unseen', async () => {
      const tenant = await chain(20);
      await checkpointer(1).tend();
      await write(...Array.from({ length: 10 }, (_, i) => aRecord(21 + i, { tenant, at: NOW.getTime() - 86_400_000 })));
      expect((await retire(database, { before: new Date(NOW.getTime() - 100 * 86_400_000), now: NOW, refused: () => undefined })).get(tenant)).toBe(20);
      const lines = await linesOf(tenant);
      await checkpointer(1).tend();
      expect(verified(lines, keptOf(tenant))).toMatchObject({ fault: undefined, from: 21, entries: 11, anchoredTo: 31 });
      expect(verified(lines.filter((line) => !line.includes('"retention"'))).fault).toBeDefined();
      expect(verified(await linesOf(tenant, { from: 25, to: 25 }))).toMatchObject({ fault: undefined, anchoredTo: 25 });

      const other = await chain(20);
      await checkpointer(1).tend();
      await write(aRecord(21, { tenant: other }));
      await fixture.asOwner(`DELETE FROM audit.entries WHERE chain = '${other}' AND seq <= 20; UPDATE audit.heads SET first = 21 WHERE chain = '${other}'`);
      expect(verified(await linesOf(other, {}, true)).fault?.problem).toMatch(/no entry tells that they were past their keeping/);
    });

    it('lets the product\'s own roles add entries and take out what is personal, and nothing else', async () => {
      const [tenant, other] = [await chain(5, () => ({ at: Date.now() })), await chain(5)];
      await expect(control(`UPDATE audit.entries SET body = '' WHERE chain = '${tenant}'`)).rejects.toThrow(/permission denied/);
      await expect(control(`UPDATE audit.entries SET subject = 'eve' WHERE chain = '${tenant}'`)).rejects.toThrow(/row-level security/);
      await expect(control(`UPDATE audit.entries SET personal = '{}' WHERE chain = '${tenant}'`)).rejects.toThrow(/row-level security/);
      await expect(control(`UPDATE audit.checkpoints SET checkpoint = ''`)).rejects.toThrow(/permission denied/);
      await expect(control(`DELETE FROM audit.checkpoints`)).rejects.toThrow(/permission denied/);
      await expect(control(`DELETE FROM audit.heads`)).rejects.toThrow(/permission denied/);
      expect(await control(`DELETE FROM audit.entries WHERE chain IN ('${tenant}', '${other}') RETURNING seq`)).toEqual([]);
      await checkpointer(1).tend();
      expect(await control(`DELETE FROM audit.entries WHERE chain = '${tenant}' RETURNING seq`)).toEqual([]);
      const own = (sql: string) => database.tenant(tenant, (one) => one.query<{ chain: string }>(sql));
      for (const table of ['entries', 'heads', 'checkpoints']) expect(new Set((await own(`SELECT chain FROM audit.${table}`)).map((row) => row.chain))).toEqual(new Set([tenant]));
      await expect(own(`INSERT INTO audit.entries (chain, seq, at, kind, id, body) VALUES ('${tenant}', 99, now(), 'x', 'x', 'x')`)).rejects.toThrow(/permission denied/);
    });

    it('copies each checkpoint to one more place once, in order, and again where that failed', async () => {
      const tenant = await chain(3);
      await checkpointer(1).tend();
      await expect(sendCheckpoints(database, () => Promise.reject(new Error('broker away')))).rejects.toThrow('broker away');
      const sent: Checkpoint[] = [];
      const send = async (checkpoints: readonly Checkpoint[]) => { sent.push(...checkpoints); };
      while (await sendCheckpoints(database, send) > 0) { /* until all are sent */ }
      await write(aRecord(4, { tenant }));
      await checkpointer(1).tend();
      expect(await sendCheckpoints(database, send)).toBe(1);
      expect(sent.filter((one) => one.chain === tenant)).toEqual(keptOf(tenant));
      expect(verified(await linesOf(tenant), sent.filter((one) => one.chain === tenant))).toMatchObject({ fault: undefined, anchoredTo: 4 });
    });

    it('tells each sink each entry in order, again when it failed, and a new sink only what comes from then on', async () => {
      const old = await chain(3);
      const told: SinkRecord[] = [];
      let fails = false;
      let time = 0;
      const sink = { name: `sink-${old}`, deliver: async (records: readonly SinkRecord[]) => { if (fails) { fails = false; throw new Error('away'); } told.push(...records); } };
      const feed = new SinkFeed({ database, sinks: [sink], log: silent, now: () => time });
      await feed.tend();
      await write(aRecord(4, { tenant: old }), aRecord(5, { tenant: old, outcome: 'denied', decision: { effect: 'deny', ruleId: 'r', revision: 'p', reason: 'no' } }));
      const fresh = await chain(250);
      fails = true;
      await feed.tend();
      expect(feed.failures).toBe(1);
      await feed.tend();
      expect(told).toEqual([]);
      time += 1000;
      await feed.tend();
      // Another process goes on where this one came to.
      await write(aRecord(6, { tenant: old }));
      await new SinkFeed({ database, sinks: [sink], log: silent }).tend();
      expect(told.filter((record) => record.chain === old).map(({ seq }) => seq)).toEqual([4, 5, 6]);
      expect(told.filter((record) => record.chain === fresh).map(({ seq }) => seq)).toEqual(Array.from({ length: 250 }, (_, i) => i + 1));
      expect(told.find((record) => record.chain === old && record.seq === 5)).toMatchObject({ event_type: 'audit', principal_id: 'ada', tool_name: 'get_pet', decision: 'deny', deny_reason: 'no', outcome: 'denied', status: 'error', request_id: 'r-5', latency_ms: 7 });
    });
  });
}
