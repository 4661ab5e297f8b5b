import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type DynamicModule, Module } from '@nestjs/common';
import { createGateway } from '#apps/gateway/src/create-gateway.js';
import { RestBackend } from '#libs/backends/rest/rest-backend.js';
import type { BackendAnswer } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { Target } from '#libs/core/target.js';
import { REPLAYS } from '#libs/core/tokens.js';
import { createEgress } from '#libs/egress/egress.js';
import { memoryAnswers } from '#libs/idempotency/memory-answers.js';
import { idempotency } from '#libs/idempotency/replays.js';
import { NO_ACCOUNTS } from '#libs/ledger/apply-charges.js';
import { BookShelf } from '#libs/ledger/books.js';
import { keepCallRecords } from '#libs/ledger/call-records.js';
import { LedgerConsumer } from '#libs/ledger/consumer.js';
import { ledgerSink } from '#libs/ledger/ledger-sink.js';
import { readPriceBook } from '#libs/ledger/read-price-book.js';
import { openMetering } from '#libs/metering/metering.js';
import { policyDecisionPoint } from '#libs/policy/decision-point.js';
import { PolicyInForce } from '#libs/policy/policy-in-force.js';
import { openDatabase } from '#libs/state/database.js';
import { migrate } from '#libs/state/migrate.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { as, fakeGateway, fakeTarget } from '../fake-gateway.js';
import { legacy, modern } from '../conformance/raw-client.js';

/** A thousandth for each billed call, so that an amount says how often a call was paid for. */
const BOOK = {
  name: 'default', currency: 'EUR', decimals: 2, validFrom: '2026-01-01T00:00:00Z', lines: [{ name: 'calls', unit: 'calls', price: '0.001' }],
  tools: { fails_billed: { billOnError: true }, hangs_billed: { billOnError: true }, waits_billed: { onCancel: 'bill' } },
};
const SCHEMA = { type: 'object', properties: { id: { type: 'string' } }, additionalProperties: false };

export type Door = 'mcp' | 'mcp-legacy' | 'rest';
export const DOORS: readonly Door[] = ['mcp', 'mcp-legacy', 'rest'];
export interface Said { readonly status: number; readonly headers: Headers; /** Without what differs from one answer to the next. */ readonly text: string; readonly json: Record<string, unknown> }
export interface Counted { readonly id: string; readonly outcome: string; readonly invoked: boolean; readonly why: string; readonly milli: number }
export interface Asking { readonly as?: string; readonly args?: object; readonly key?: string; readonly params?: Record<string, unknown>; readonly body?: object; readonly signal?: AbortSignal }

/** A gateway with its real line, journal, ledger and a backend over HTTP that counts receipts by call id. */
export async function billingWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'stoa-billing-'));
  const receipts: { readonly callId: string | undefined; readonly path: string }[] = [];
  const waiting: ServerResponse[] = [];
  const site = createServer((request: IncomingMessage, response: ServerResponse) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    receipts.push({ callId: request.headers['x-stoa-call-id'] as string | undefined, path });
    if (path.startsWith('/waits') || path.startsWith('/hangs')) { waiting.push(response); return; }
    response.writeHead(path.startsWith('/fails') ? 500 : 200, { 'content-type': 'application/json' }).end(JSON.stringify({ n: receipts.length }));
  });
  await new Promise<void>((resolve) => { site.listen(0, '127.0.0.1', resolve); });
  const baseUrl = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const tool = (name: string, more: Partial<Target> = {}): Target => fakeTarget('acme', 'tool', name, {
    inputSchema: SCHEMA, timeoutMs: name.startsWith('hangs') ? 150 : 20_000,
    backend: { kind: 'rest', method: 'GET', baseUrl, path: `/${name}`, parameters: [], accept: 'application/json', security: [] }, ...more,
  });

  const database = await openDatabase({ directory: join(folder, 'data') });
  await migrate(database);
  const sql = sqlDatabase(database);
  const pricing = { books: new BookShelf([{ version: 1, tenant: undefined, book: readPriceBook(BOOK) }]), accounts: NO_ACCOUNTS };
  const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const metering = await openMetering({
    directory: join(folder, 'journal'), cluster: 'test', instance: 'one', mode: 'journal', maxBytes: 1e8, own: async () => async () => undefined, log: silent,
    sink: ledgerSink(new LedgerConsumer({ database: sql, pricing: async () => pricing, steps: [keepCallRecords] })), redactArguments: (value) => ({ value, replaced: 0 }),
  });
  metering.start();
  const policies = new PolicyInForce({ base: { destructive: 'confirm' } });
  await policies.start();
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const validator = createArgumentValidator();
  const rounds = {
    invoke: async ({ exchange }: { exchange: { inputResponses?: unknown } }): Promise<BackendAnswer> => (exchange.inputResponses === undefined
      ? { result: { type: 'input_required', requestState: 'half', inputRequests: { name: { method: 'elicitation/create', params: { mode: 'form', message: 'Who?', requestedSchema: { type: 'object', properties: {} } } } } }, outcome: 'success', latencyMs: 1, bytes: 5 }
      : { result: { type: 'tool', content: [{ type: 'text', text: 'done' }], isError: false }, outcome: 'success', latencyMs: 1, bytes: 5 }),
  };
  const fake = fakeGateway({
    meter: metering.meter, validator, policy: policyDecisionPoint({ engine: () => policies.engine(), environment: 'dev', enforces: new Set(['confirm']), cacheMs: 0 }),
    limiter: { take: ({ target }) => (target.name === 'limited' ? new Denial({ code: 'RATE_LIMITED', message: 'Too many', retryAfterSeconds: 1 }) : undefined) },
    mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1) },
    backends: { rest: new RestBackend({ version: '1', outbound: egress, credentials: { resolve: () => 'x' } }), graphql: rounds, inline: { invoke: async () => ({ result: { type: 'resource', contents: [{ uri: 'note://a', text: 'a' }] }, outcome: 'success', latencyMs: 0, bytes: 0 }) }, prompt: { invoke: async () => ({ result: { type: 'prompt', messages: [] }, outcome: 'success', latencyMs: 0, bytes: 0 }) } },
  });
  const app = await createGateway(fake.parts, Replayed.with());
  fake.catalogue.put('acme', [
    ...['works', 'limited', 'fails', 'fails_billed', 'hangs', 'hangs_billed', 'waits', 'waits_billed'].map((name) => tool(name)),
    tool('write', { operationClass: 'write' }), tool('drop', { operationClass: 'destructive' }),
    tool('away', { backend: { kind: 'rest', method: 'GET', baseUrl: 'http://127.0.0.1:1', path: '/', parameters: [], accept: 'application/json', security: [] } }),
    tool('asks', { backend: { kind: 'graphql' } as never }), tool('unserved', { backend: { kind: 'grpc' } as never }),
    fakeTarget('acme', 'resource', 'note://a', { backend: { kind: 'inline', text: 'a', mimeType: 'text/plain' } as never, inputSchema: {} }), fakeTarget('acme', 'prompt', 'hello', { backend: { kind: 'prompt', messages: [] } as never, inputSchema: {} }),
  ]);
  fake.catalogue.put('globex', [{ ...tool('works'), tenant: 'globex' as never }]);
  let left = 0;
  app.getHttpServer().on('request', (_request, response: ServerResponse) => { response.on('close', () => { if (!response.writableFinished) left += 1; }); });
  await app.listen(0, '127.0.0.1');
  const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;

  /** Everything that was minted is in the ledger. */
  const settled = async (): Promise<void> => {
    for (;;) {
      const [now] = metering.source.progress();
      if (now && now.complete === now.minted) return;
      await wait(10);
    }
  };
  const sessions = new Map<string, Awaited<ReturnType<typeof legacy>>>();
  const sessionOf = async (who: string) => {
    let session = sessions.get(who);
    if (!session) sessions.set(who, session = await legacy(`${url}/mcp`, '2025-11-25', {}, { ...as(who) }));
    return session;
  };
  const call = async (door: Door, name: string, requestId: string, { as: who = 'acme-admin', args = {}, key, params, body, signal }: Asking = {}): Promise<Said> => {
    const headers: Record<string, string> = { ...as(who), 'x-request-id': requestId, 'x-consumer-id': door, ...(key === undefined ? {} : { 'idempotency-key': key }) };
    const said = (status: number, at: Headers, text: string, json: unknown): Said => ({ status, headers: at, json: json as Record<string, unknown>, text: text.replaceAll(/"(latency_ms|invoked_at|request_id|correlation_id|id)":("[^"]*"|\d+)/g, '"$1":0').replaceAll(requestId, '') });
    if (door === 'rest') {
      const reply = await fetch(`${url}/mcp/v1/tools/${name}/invoke`, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body: JSON.stringify({ arguments: args, ...body }), ...(signal ? { signal } : {}) });
      const text = await reply.text();
      return said(reply.status, reply.headers, text, JSON.parse(text));
    }
    if (signal) {
      const session = door === 'mcp' ? undefined : await sessionOf(who);
      const asked = { name, arguments: args, ...(door === 'mcp' ? { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 't', version: '0' }, 'io.modelcontextprotocol/clientCapabilities': {} } } : {}) };
      await fetch(`${url}/mcp`, { method: 'POST', signal, headers: { ...headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(session ? session.headers : { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name }), ...headers }, body: JSON.stringify({ jsonrpc: '2.0', id: 9, method: 'tools/call', params: asked }) });
      throw new Error('answered');
    }
    const given = { name, arguments: args, ...params };
    if (door === 'mcp') { const reply = await modern(`${url}/mcp`, 'tools/call', given, headers); return said(reply.status, reply.headers, reply.text, reply.json); }
    const session = await sessionOf(who);
    Object.assign(session.headers, headers);
    if (key === undefined) delete session.headers['idempotency-key'];
    const reply = await session.request('tools/call', given);
    return said(reply.status, reply.headers, reply.text, reply.json);
  };
  return {
    url, receipts, waiting, call, settled, egress, fake,
    newId: (): string => randomUUID(),
    /** Clients that left before they had their answer, as the gateway's server has noticed so far. */
    left: (): number => left,
    /** The ledger's entries of a request, in the order of their calls. */
    counted: async (requestId: string): Promise<readonly Counted[]> => {
      await settled();
      const rows = await sql.control((on) => on.query<{ id: string; outcome: string; invoked: boolean; why: string; amount: string }>(
        `SELECT id, outcome, (usage->>'invoked')::boolean AS invoked, why, amount::text AS amount FROM ledger.entries WHERE request_id = $1 ORDER BY seq`, requestId));
      return rows.map(({ amount, ...row }) => ({ ...row, milli: Number(amount) / 1_000_000 }));
    },
    close: async (): Promise<void> => {
      for (const response of waiting) response.destroy();
      await app.close();
      await metering.close(5000);
      await egress.close();
      site.closeAllConnections();
      site.close();
      await database.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
export type World = Awaited<ReturnType<typeof billingWorld>>;

@Module({})
class Replayed {
  static with(): DynamicModule {
    return { module: Replayed, global: true, providers: [{ provide: REPLAYS, useValue: idempotency({ answers: memoryAnswers() }) }], exports: [REPLAYS] };
  }
}
