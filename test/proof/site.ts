import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Agent, type Dispatcher, request } from 'undici';
import type { Sql } from '#libs/core/sql.js';
import { openDatabase } from '#libs/state/database.js';
import { sqlDatabase } from '#libs/state/sql-database.js';
import { startKafka } from '../real/services/kafka.js';
import { startPostgres } from '../real/services/postgres.js';

const ISSUER = 'https://issuer.test';
const DOCUMENT = (url: string): object => ({
  openapi: '3.1.0', info: { title: 'Witness', version: '1' }, servers: [{ url }],
  paths: { '/things/{id}': { get: { operationId: 'get_thing', parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'integer' } }], responses: { 200: { description: 'ok', content: { 'application/json': { schema: { type: 'object', properties: { ok: { type: 'boolean' } } } } } } } } } },
});

/** A process of the product, as an operator starts it. */
export class Process {
  #child: ChildProcess | undefined;
  #said = '';
  constructor(private readonly app: string, private readonly env: Readonly<Record<string, string>>, private readonly ready: string) {}
  get pid(): number { return this.#child?.pid ?? 0; }
  get said(): string { return this.#said; }
  async start(): Promise<void> {
    const child = spawn(process.execPath, [`dist/apps/${this.app}/src/main.js`], { env: { PATH: process.env['PATH'], LOG_LEVEL: 'info', ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#said = '';
    await new Promise<void>((resolve, reject) => {
      const hear = (chunk: Buffer): void => {
        // The last of it, so that a million log lines need no room.
        this.#said = (this.#said + chunk.toString('utf8')).slice(-20_000);
        if (this.#said.includes(this.ready)) resolve();
      };
      for (const stream of [child.stdout, child.stderr]) stream.on('data', hear);
      child.once('exit', (code) => { reject(new Error(`${this.app} ended with ${code}: ${this.#said.slice(-3000)}`)); });
    });
  }
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  }
  /** MiB of memory. */
  async rss(): Promise<number> { return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${this.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024; }
}

const freePort = (): Promise<number> => new Promise((resolve) => {
  const probe = createSocket().listen(0, '127.0.0.1', () => { const { port } = probe.address() as AddressInfo; probe.close(() => { resolve(port); }); });
});
const listening = async (server: Server): Promise<string> => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

/** How the ledger stands, counted by statements of its own. */
export interface Counts { readonly entries: number; readonly records: number; readonly success: number; readonly unknown: number; readonly amount: bigint; readonly holes: number; readonly quarantined: number }

/**
 * Gateway, controller and billing as processes on a real Postgres and a real Kafka, and a backend that is the witness: it counts receipts by
 * call id and asks nobody. `dist` must be built.
 */
export async function openSite(gatewayEnv: Readonly<Record<string, string>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'stoa-proof-'));
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const jwk = { ...await exportJWK(publicKey), kid: 'k', alg: 'RS256', use: 'sig' };
  const keys = createServer((_request, response) => { response.end(JSON.stringify({ keys: [jwk] })); });
  const receipts = new Map<string, number>();
  const backend = createServer((asked, response) => {
    const id = String(asked.headers['x-stoa-call-id']);
    receipts.set(id, (receipts.get(id) ?? 0) + 1);
    response.setHeader('content-type', 'application/json');
    response.end('{"ok":true}');
  });
  const [keysUrl, backendUrl, port] = await Promise.all([listening(keys), listening(backend), freePort()]);
  const bearer = async (roles: string[], tenant?: string): Promise<string> => `Bearer ${await new SignJWT({ realm_access: { roles }, azp: 'proof', ...(tenant === undefined ? {} : { tenant_id: tenant }) })
    .setProtectedHeader({ alg: 'RS256', kid: 'k' }).setIssuer(ISSUER).setAudience('stoa').setSubject('ada').setIssuedAt().setExpirationTime('4h').sign(privateKey)}`;
  const [postgres, kafka] = await Promise.all([startPostgres(), startKafka()]);
  const databaseUrl = await postgres.database();
  const common = { HOST: '127.0.0.1', DATABASE_URL: databaseUrl, KAFKA_BOOTSTRAP_SERVERS: kafka.address, METERING_PARTITIONS: '4', EGRESS_ALLOW: '127.0.0.1' };
  const signIn = { OIDC_ISSUER: ISSUER, ALLOWED_AUDIENCES: 'stoa', JWKS_URL: `${keysUrl}/jwks` };
  const controller = new Process('controller', { ...common, ...signIn, PORT: '0' }, 'controller listens');
  await controller.start();
  const admin = `http://127.0.0.1:${/"port":(\d+)/.exec(controller.said)?.[1] ?? ''}/admin/v1`;
  const root = await bearer(['cpi-admin']);
  const ask = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
    const reply = await fetch(`${admin}${path}`, { method, headers: { authorization: root, ...(body ? { 'content-type': 'application/json' } : {}) }, ...(body ? { body: JSON.stringify(body) } : {}) });
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
    return await reply.json() as Record<string, unknown>;
  };
  await ask('POST', '/tenants', { slug: 'acme', displayName: 'Acme' });
  await ask('POST', '/tenants/acme/apis', { name: 'witness', source: { inline: JSON.stringify(DOCUMENT(backendUrl)) } });
  const gateway = new Process('gateway', { ...common, ...signIn, PORT: String(port), DATA_DIR: folder, INSTANCE_NAME: 'proof', POLICY_MODE: 'open', RATE_LIMIT_ENABLED: 'false', LOG_LEVEL: 'warning', ...gatewayEnv, ...(gatewayEnv['LOG_LEVEL'] === undefined ? { LOG_LEVEL: 'info' } : {}) }, 'gateway listening');
  const billing = new Process('billing', { ...common, PORT: '0' }, 'billing reads');
  await Promise.all([gateway.start(), billing.start()]);
  const database = await openDatabase({ url: databaseUrl });
  const sql = <T>(work: (on: Sql) => Promise<T>): Promise<T> => sqlDatabase(database).control(work);
  const caller = await bearer(['tenant-admin'], 'acme');
  const url = `http://127.0.0.1:${port}`;
  const pool = new Agent({ connections: 64, pipelining: 1 });

  /** One call through MCP 2026-07-28 or REST; answers its call id, or what went wrong. */
  const call = async (at: number): Promise<{ readonly id: string } | { readonly failed: string }> => {
    const rest = at % 4 === 0;
    let reply: Dispatcher.ResponseData;
    let text: string;
    try {
      reply = await request(rest ? `${url}/mcp/v1/tools/get_thing/invoke` : `${url}/mcp`, {
        method: 'POST', dispatcher: pool, headersTimeout: 30_000, bodyTimeout: 30_000,
        headers: { authorization: caller, 'content-type': 'application/json', ...(rest ? {} : { accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'get_thing' }) },
        body: JSON.stringify(rest ? { arguments: { id: at } } : { jsonrpc: '2.0', id: at, method: 'tools/call', params: { name: 'get_thing', arguments: { id: at }, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 'proof', version: '0' }, 'io.modelcontextprotocol/clientCapabilities': {} } } }),
      });
      text = await reply.body.text();
    } catch (failure) { return { failed: failure instanceof Error ? (failure as NodeJS.ErrnoException).code ?? failure.message : String(failure) }; }
    const id = reply.headers['x-stoa-call-id'];
    return reply.statusCode === 200 && typeof id === 'string' && text.includes('"ok') ? { id } : { failed: `${reply.statusCode} ${text.slice(0, 200)}` };
  };

  const counts = (): Promise<Counts> => sql(async (on) => {
    const [row] = await on.query<{ entries: number; records: number; success: number; unknown: number; amount: string; holes: number; quarantined: number }>(`SELECT count(*)::int AS entries, (SELECT count(*) FROM ledger.call_records)::int AS records, count(*) FILTER (WHERE outcome = 'success')::int AS success, count(*) FILTER (WHERE outcome = 'unknown')::int AS unknown,
      coalesce(sum(amount), 0)::text AS amount, (SELECT coalesce(sum(upper(seen) - 1 - (SELECT sum(upper(part) - lower(part)) FROM unnest(seen) AS part)), 0) FROM ledger.sources)::int AS holes, (SELECT count(*) FROM ledger.quarantine)::int AS quarantined FROM ledger.entries`);
    if (!row) throw new Error('no counts');
    return { ...row, amount: BigInt(row.amount) };
  });
  const ids = (outcome?: string): Promise<Set<string>> => sql(async (on) => new Set((await on.query<{ id: string }>(`SELECT id FROM ledger.entries WHERE $1::text IS NULL OR outcome = $1`, outcome ?? null)).map(({ id }) => id)));

  let running: { readonly stop: () => Promise<void> } | undefined;
  return {
    /** Ends a load that its test did not come to end. */
    quiet: async (): Promise<void> => { await running?.stop(); },
    folder, url, gateway, billing, controller, postgres, kafka, receipts, counts, ids, sql, ask, call,
    ready: async (): Promise<{ readonly status: number; readonly text: string }> => { const reply = await fetch(`${url}/ready`); return { status: reply.status, text: await reply.text() }; },
    /** Calls without a pause until told; answers at the stop what was answered and what failed. */
    load: (workers: number) => {
      const answered: string[] = [];
      const failed = new Map<string, number>();
      let at = 0;
      const stopping = new AbortController();
      const work = async (): Promise<void> => {
        while (!stopping.signal.aborted) {
          const said = await call(++at);
          if ('id' in said) { answered.push(said.id); continue; }
          failed.set(said.failed, (failed.get(said.failed) ?? 0) + 1);
          await wait(20);
        }
      };
      const all = Promise.all(Array.from({ length: workers }, work));
      running = { stop: async () => { stopping.abort(); await all; } };
      return { answered, failed, ...running };
    },
    /** Waits until all of these, and every receipt, are in the ledger, and every entry's record beside it; answers how long that took in ms. Rejects after `within` ms. */
    drained: async (answered: readonly string[], within: number): Promise<number> => {
      const began = performance.now();
      const expected = new Set([...answered, ...receipts.keys()]);
      for (;;) {
        const { entries, records } = await counts().catch(() => ({ entries: 0, records: -1 }));
        if (entries >= expected.size && records >= entries) {
          const there = await ids();
          if ([...expected].every((id) => there.has(id))) return performance.now() - began;
        }
        if (performance.now() - began > within) throw new Error(`${expected.size} calls are expected and ${entries} are in the ledger, ${records} on record, after ${within} ms; the gateway said: ${gateway.said.slice(-1500)}; billing: ${billing.said.slice(-1500)}`);
        await wait(250);
      }
    },
    close: async (): Promise<void> => {
      await pool.destroy();
      await Promise.all([gateway.end('SIGKILL'), billing.end('SIGKILL'), controller.end('SIGKILL')]);
      await database.close().catch(() => undefined);
      for (const server of [keys, backend]) { server.closeAllConnections(); server.close(); }
      await Promise.all([kafka.dispose(), postgres.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
export type Site = Awaited<ReturnType<typeof openSite>>;

/** The long form is `npm run proof`. */
// oxlint-disable-next-line node/no-process-env
export const LONG = process.env['STOA_PROOF'] === 'long';
/** A figure of a proof, for whoever reads the run. */
export const figure = (name: string, facts: Readonly<Record<string, unknown>>): void => { process.stdout.write(`${name}  ${Object.entries(facts).map(([key, value]) => `${key} ${String(value)}`).join(', ')}\n`); };
