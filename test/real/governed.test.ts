import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CLIENT_SECRET, DEMO_PASSWORD, type KeycloakServer, startKeycloak } from './services/keycloak.js';
import { type KafkaBroker, startKafka } from './services/kafka.js';
import { type OpaServer, startOpa } from './services/opa.js';
import { type PostgresServer, startPostgres } from './services/postgres.js';
import { freePort, lineOf, type Running, runProcess, type Said, stoaCommand } from './services/processes.js';
import { type RedisServer, startRedis } from './services/redis.js';

const ready = (url: string): Promise<void> => vi.waitFor(async () => { const reply = await fetch(`${url}/ready`); expect([reply.status, await reply.text()]).toEqual([200, expect.any(String)]); }, { timeout: 60_000, interval: 200 });
const invoke = (url: string, authorization: string, tool: string, args: object = {}): Promise<Response> =>
  fetch(`${url}/mcp/v1/tools/${tool}/invoke`, { method: 'POST', headers: { authorization, 'content-type': 'application/json' }, body: JSON.stringify({ arguments: args }) });
const told = async (url: string, authorization: string, tool: string, args: object = {}): Promise<string> => { const reply = await invoke(url, authorization, tool, args); return `${reply.status} ${await reply.text()}`; };
const basic = (id: string, secret: string): string => `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`;
const RULE = 'policies: [{ name: first, tool: list_pets, rules: [{ action: deny, message: first }] }]\n';

/** Two gateways share Postgres, Redis, Kafka and Keycloak: one asks an OPA server beside it, the other decides within itself. */
describe('the product on Keycloak, an OPA server, Redis, Kafka and Postgres', () => {
  let folder: string;
  const closing: (() => unknown)[] = [];
  const processes: Running[] = [];
  let keycloak: KeycloakServer, postgres: PostgresServer, redis: RedisServer, kafka: KafkaBroker, opa: OpaServer, backend: Server;
  let beside: string, within: string, admin: string;
  let embedded: Running;
  let policies: string;
  let inFolder: string;
  let root: string;

  const start = (app: string, env: Readonly<Record<string, string>>): Running => { const running = runProcess(app, env); processes.push(running); return running; };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stoa-governed-'));
    policies = join(folder, 'policies');
    inFolder = join(folder, 'embedded-policies');
    await Promise.all([policies, inFolder, join(folder, 'a'), join(folder, 'b')].map((path) => mkdir(path)));
    const port = await freePort();
    const opaPort = await freePort();
    const bundle = join(folder, 'bundle.tar.gz');
    const resource = `http://127.0.0.1:${port}/mcp`;
    const regoCompiler = execFileSync('bash', [fileURLToPath(new URL('../../tools/rego-compiler.sh', import.meta.url))], { encoding: 'utf8' }).trim();
    backend = createServer((request, response) => { request.resume(); response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 7, path: request.url })); }).listen(0, '127.0.0.1');
    await once(backend, 'listening');
    closing.push(() => backend.close());
    [keycloak, postgres, redis, kafka] = await Promise.all([startKeycloak({ STOA_RESOURCE_URL: resource }), startPostgres(), startRedis(), startKafka()]);
    closing.push(() => keycloak.dispose(), () => postgres.stop(), () => redis.stop(), () => kafka.dispose());
    const shared = { HOST: '127.0.0.1', LOG_LEVEL: 'TRACE', DATABASE_URL: await postgres.database(), KEYCLOAK_URL: keycloak.url, KEYCLOAK_CLIENT_SECRET: CLIENT_SECRET, RESOURCE_URL: resource, EGRESS_ALLOW: '127.0.0.1', KAFKA_BOOTSTRAP_SERVERS: kafka.address };

    const controller = start('controller', { ...shared, PORT: '0', REGO_COMPILER_DIR: regoCompiler });
    admin = `http://127.0.0.1:${String((await lineOf(controller, 'controller listens'))['port'])}`;
    const gateway = { ...shared, REDIS_URL: redis.url, REPLICAS: '2', CAPABILITY_SECRETS: 'a-secret-of-both-replicas-0123456789', RATE_LIMIT_FAILED_AUTH: '1000', RATE_LIMIT_USER_TOOL: 'off' };
    const sidecar = start('gateway', { ...gateway, PORT: String(port), DATA_DIR: join(folder, 'a'), INSTANCE_NAME: 'a', OPA_EMBEDDED: 'false', OPA_URL: `http://127.0.0.1:${opaPort}`, OPA_BUNDLE_FILE: bundle });
    opa = await startOpa({ bundle, port: opaPort });
    closing.push(() => opa.dispose());
    embedded = start('gateway', { ...gateway, PORT: '0', DATA_DIR: join(folder, 'b'), INSTANCE_NAME: 'b', POLICY_DIR: inFolder, REGO_COMPILER_DIR: regoCompiler });
    beside = String((await lineOf(sidecar, 'gateway listening'))['url']);
    within = String((await lineOf(embedded, 'gateway listening'))['url']);
    start('billing', { ...shared, PORT: '0' });
    await Promise.all([beside, within, admin].map(ready));

    root = await person('root');
    for (const slug of ['acme', 'globex']) await asAdmin('POST', '/tenants', { slug, displayName: slug });
    const path = { parameters: [{ name: 'petId', in: 'path', required: true, schema: { type: 'integer' } }], responses: { 200: { description: 'ok' } } };
    await asAdmin('POST', '/tenants/acme/apis', { name: 'pets', source: { inline: JSON.stringify({
      openapi: '3.1.0', info: { title: 'Pets', version: '1' }, servers: [{ url: `http://127.0.0.1:${(backend.address() as AddressInfo).port}` }],
      paths: { '/pets': { get: { operationId: 'list_pets', responses: { 200: { description: 'ok' } } } }, '/pets/{petId}': { get: { ...path, operationId: 'get_pet' }, delete: { ...path, operationId: 'delete_pet' } } },
    }) } });
  }, 300_000);
  afterAll(async () => {
    for (const { child } of processes) child.kill('SIGKILL');
    await Promise.all(closing.map((close) => close()));
    await rm(folder, { recursive: true, force: true });
  });

  const env = (username: string): Record<string, string> => ({ STOA_URL: beside, STOA_ADMIN_URL: admin, STOA_ISSUER: keycloak.issuer, STOA_CLIENT_ID: 'stoa-demo', STOA_USERNAME: username, STOA_PASSWORD: DEMO_PASSWORD });
  const stoa = (username: string, ...args: readonly string[]): Promise<Said> => stoaCommand(env(username), args);
  const person = async (username: string): Promise<string> => (await stoa(username, 'token')).stdout.trim();
  async function asAdmin(method: string, path: string, body: unknown): Promise<void> {
    const reply = await fetch(`${admin}/admin/v1${path}`, { method, headers: { authorization: `Bearer ${root}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
  }
  const listed = async (authorization: string, url = beside): Promise<readonly string[]> =>
    (await (await fetch(`${url}/mcp/v1/tools`, { headers: { authorization } })).json() as { tools: { name: string; tenant_id: string | null }[] }).tools.flatMap(({ name, tenant_id }) => (tenant_id === null ? [] : [name]));
  const write = (files: Readonly<Record<string, string>>, to = policies): Promise<unknown> => rm(to, { recursive: true, force: true }).then(() => mkdir(to)).then(() => Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(to, name), text))));

  it('stoa token, tools and call: of a viewer by password, and it may do what a viewer may, at both gateways', async () => {
    const vic = `Bearer ${await person('vic')}`;
    for (const url of [beside, within]) {
      await expect.poll(() => listed(vic, url), { timeout: 5000 }).toEqual(['get_pet', 'list_pets']);
      expect((await invoke(url, vic, 'get_pet', { petId: 7 })).status).toBe(200);
      expect(await told(url, vic, 'delete_pet', { petId: 7 })).toMatch(/^403 .*Tool delete_pet requires write scope/);
      expect((await invoke(url, `Bearer ${await person('gus')}`, 'get_pet', { petId: 7 })).status).toBe(404);
    }
    expect((await stoa('vic', 'tools', '--tenant', 'acme')).stdout).toMatch(/get_pet/);
    expect((await stoa('vic', 'call', 'get_pet', '--tenant', 'acme', '--arg', 'petId=7')).stdout).toContain('"path":"/pets/7"');
  }, 60_000);

  it('curl -u id:secret: a machine signs in by Basic; a wrong secret is refused right after', async () => {
    for (const url of [beside, within]) {
      expect((await invoke(url, basic('stoa-agent', CLIENT_SECRET), 'list_pets')).status).toBe(200);
      const refused = await invoke(url, basic('stoa-agent', `${CLIENT_SECRET}x`), 'list_pets');
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining('resource_metadata=')]);
      expect((await invoke(url, basic('stoa-agent', CLIENT_SECRET), 'list_pets')).status).toBe(200);
    }
  });

  it('stoa policy check: what would be decided, with rule and reason; nothing is called', async () => {
    const checked = await stoa('alice', 'policy', 'check', '--tool', 'delete_pet', '--tenant', 'acme', '--role', 'tenant-admin', '--arg', 'petId=7');
    expect([checked.code, checked.stdout]).toEqual([1, expect.stringMatching(/^deny {2}destructive-off: .*\n[^]*holds {2}destructive-off[^]*policy [0-9a-f]{64}/)]);
  });

  it('stoa policy apply: rules and own Rego, tested, are in force within 2 s at both gateways, for that tenant, and stoa explain tells of the call that they refused', async () => {
    await write({
      'rules.yaml': 'policies:\n  - name: no-nine\n    tool: get_pet\n    rules: [{ condition: { field: petId, operator: eq, value: 9 }, action: deny, message: not nine }]\n',
      'own.rego': 'package stoa.tenant.acme\n\ndeny contains {"rule_id": "no-eight", "reason": "eight", "message": "Eight is not read."} if input.arguments.petId == 8\n\ntest_eight if count(deny) == 1 with input as {"arguments": {"petId": 8}}\n',
    });
    const vic = `Bearer ${await person('vic')}`;
    const applied = await stoa('alice', 'policy', 'apply', policies, '--tenant', 'acme');
    const since = performance.now();
    expect([applied.stderr, applied.stdout]).toEqual(['', expect.stringMatching(/^policy [0-9a-f]{12} of acme is in force/)]);
    await Promise.all([beside, within].map((url) => expect.poll(() => told(url, vic, 'get_pet', { petId: 9 }), { timeout: 10_000, interval: 20 }).toMatch(/^403 .*Policy violation: not nine/)));
    console.info(`governed: a policy was in force at both gateways ${Math.round(performance.now() - since)} ms after the command ended`);
    for (const url of [beside, within]) {
      expect(await told(url, vic, 'get_pet', { petId: 8 })).toMatch(/^403 .*Eight is not read\./);
      expect((await invoke(url, vic, 'get_pet', { petId: 7 })).status).toBe(200);
    }
    const rules = await (await fetch(`${beside}/mcp/v1/policies/rules`, { headers: { authorization: vic } })).json();
    expect(rules).toMatchObject({ rules: [{ name: 'no-nine', tool: 'get_pet', rules_count: 1 }], total_count: 1, engine_enabled: true });

    const refused = await stoa('vic', 'call', 'get_pet', '--tenant', 'acme', '--arg', 'petId=9');
    const id = /explain (\S+)/.exec(refused.stderr)?.[1] ?? '';
    expect(refused.code).toBe(1);
    await expect.poll(async () => (await stoa('alice', 'explain', id, '--tenant', 'acme')).stdout, { timeout: 30_000, interval: 500 }).toMatch(/deny {2}no-nine: Policy violation: not nine[^]*"petId":9[^]*holds {2}no-nine \(deny\)/);
  }, 90_000);

  it.each<[string, string, string | (() => string), RegExp]>([
    ['a syntax error', 'own.rego', 'package stoa.tenant.acme\n\ndeny contains x if {\n', /own\.rego:\d+: /],
    ['a loop that never ends', 'own.rego', 'package stoa.tenant.acme\n\ndeny contains "x" if a\na if b\nb if a\n', /own\.rego:4: .*recursive/],
    ['a rule that takes for ever', 'own.rego', 'package stoa.tenant.acme\n\ndeny contains "x" if count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a * b == -1]) > 0\n', /own\.rego: (does not decide a call within|takes \d+ ms for one decision|fails on a probe).*: make its rules/],
    ['a test that takes for ever', 'own.rego', 'package stoa.tenant.acme\n\ndeny contains "x" if input.y\n\ntest_heavy if count([1 | some a in numbers.range(1, 3000); some b in numbers.range(1, 3000); a * b == -1]) == 0\n', /own\.rego(:\d+)?: /],
    ['http.send', 'own.rego', 'package stoa.tenant.acme\n\ndeny contains "x" if http.send({"method": "get", "url": "http://169.254.169.254/"}).status_code == 200\n', /own\.rego:3: undefined function http\.send/],
    ['a rule of another tenant', 'own.rego', 'package stoa.tenant.globex\n\ndeny contains "x" if true\n', /own\.rego:1: the package must be stoa\.tenant\.acme/],
    ['an empty file', 'own.rego', '', /own\.rego:1: the file is empty: take it away/],
    ['100 MB', 'rules.yaml', () => `policies: []\n# ${'x'.repeat(100 * 1024 * 1024)}`, /rules\.yaml|too large|larger|over/i],
    ['an unknown role', 'roles.yaml', 'roles:\n  king: { allowed_tools: [] }\n', /roles\.yaml:2: no role is called king: correct/],
    ['an unknown tool', 'rules.yaml', 'policies:\n  - name: a\n    tool: get_pett\n    rules: [{ action: deny, message: m }]\n', /rules\.yaml:3: no tool is called get_pett: correct/],
  ])('a policy with %s is refused, by file and line and with what to do, and the one before stays in force', async (_, file, text, says) => {
    await write({ [file]: typeof text === 'string' ? text : text() });
    const { code, stdout, stderr } = await stoa('alice', 'policy', 'apply', policies, '--tenant', 'acme');
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringMatching(says)]);
    const vic = `Bearer ${await person('vic')}`;
    for (const url of [beside, within]) expect(await told(url, vic, 'get_pet', { petId: 8 })).toMatch(/^403 .*Eight is not read\./);
  }, 60_000);

  it('stoa key create: for one tool, and revoked within 2 s at both', async () => {
    const made = await stoa('alice', 'key', 'create', '--tenant', 'acme', '--tool', 'get_pet', '--ttl', '30d');
    expect(made.stdout).toMatch(/^stoa_sk_\S+\n$/);
    const key = `Bearer ${made.stdout.trim()}`;
    for (const url of [beside, within]) {
      expect(await listed(key, url)).toEqual(['get_pet']);
      expect((await invoke(url, key, 'get_pet', { petId: 7 })).status).toBe(200);
      expect((await invoke(url, key, 'list_pets')).status).toBe(403);
    }
    const { keys } = JSON.parse((await stoa('alice', 'key', 'list', '--tenant', 'acme', '--json')).stdout) as { keys: { id: string }[] };
    await stoa('alice', 'key', 'revoke', keys[0]?.id ?? '', '--tenant', 'acme');
    await Promise.all([beside, within].map((url) => expect.poll(async () => (await invoke(url, key, 'get_pet', { petId: 7 })).status, { timeout: 2000, interval: 50 }).toBe(401)));
  }, 60_000);

  it('stoa token exchange: for one tool, once, whichever gateway it is brought to', async () => {
    const { stdout, stderr } = await stoa('vic', 'token', 'exchange', '--tool', 'get_pet', '--one-time', '--ttl', '60s');
    expect(stderr).toBe('');
    const token = `Bearer ${stdout.trim()}`;
    expect((await invoke(beside, token, 'list_pets')).status).toBe(403);
    expect((await invoke(within, token, 'get_pet', { petId: 7 })).status).toBe(200);
    expect((await invoke(beside, token, 'get_pet', { petId: 7 })).status).toBe(401);
  });

  it('SIGHUP: an edit is in force without one refused request; a broken one leaves the last good in force and is an error in the log', async () => {
    const agent = basic('stoa-agent', CLIENT_SECRET);
    const seen = new Set<string>();
    const until = async (wanted: string): Promise<void> => expect.poll(async () => { const answer = await told(within, agent, 'list_pets'); seen.add(answer.slice(0, 3)); return answer; }, { timeout: 5000, interval: 10 }).toContain(wanted);
    await writeFile(join(inFolder, 'rules.yaml'), RULE);
    embedded.child.kill('SIGHUP');
    await until('first');
    await writeFile(join(inFolder, 'rules.yaml'), 'policies: [');
    embedded.child.kill('SIGHUP');
    await expect.poll(() => embedded.lines.some((line) => line.includes('the policy was refused; the last good one stays in force')), { timeout: 5000 }).toBe(true);
    await until('first');
    expect((await fetch(`${within}/ready`)).status).toBe(200);
    await rm(join(inFolder, 'rules.yaml'));
    embedded.child.kill('SIGHUP');
    await until('"id":7');
    expect([...seen].toSorted()).toEqual(['200', '403']);
  }, 30_000);

  it('with the OPA server killed its gateway allows nothing and says 503; with it back it decides again', async () => {
    const agent = basic('stoa-agent', CLIENT_SECRET);
    await opa.stop();
    const answers = new Set<number>();
    for (let i = 0; i < 20; i++) answers.add((await invoke(beside, agent, 'get_pet', { petId: i })).status);
    expect([...answers]).toEqual([503]);
    expect((await invoke(within, agent, 'get_pet', { petId: 7 })).status).toBe(200);
    expect(await (await fetch(`${beside}/metrics`)).text()).toMatch(/policy_decisions_total\{outcome="error",reason="unreachable"\} [1-9]/);
    expect((await fetch(`${beside}/ready`)).status).toBe(503);
    await opa.start();
    expect((await invoke(beside, agent, 'get_pet', { petId: 7 })).status).toBe(200);
    expect(await told(beside, agent, 'get_pet', { petId: 8 })).toMatch(/^403 .*Eight is not read\./);
  }, 60_000);

  it('a limit is one over both gateways: of two hundred calls of a viewer seventy pass', async () => {
    const gus = `Bearer ${await person('gus')}`;
    const answers: number[] = [];
    // Ten at a time: the OPA server has 200 ms for a decision, on whatever machine this is.
    for (let batch = 0; batch < 20; batch++) answers.push(...await Promise.all(Array.from({ length: 10 }, async (_, i) => (await invoke(i % 2 === 0 ? beside : within, gus, 'stoa_platform_info')).status)));
    const passed = answers.filter((status) => status === 200).length;
    console.info(`governed: ${passed} of 200 calls passed a limit of 60 + 10 over two gateways`);
    // A minute may have begun between them; both halves of it are the limit's.
    expect([70, 140]).toContain(passed);
    expect(new Set(answers)).toEqual(new Set([200, 429]));
  }, 30_000);

  it('with Keycloak away tokens are taken until their end, and nobody new signs in', async () => {
    const vic = `Bearer ${await person('vic')}`;
    await keycloak.stop();
    for (const url of [beside, within]) expect((await invoke(url, vic, 'list_pets')).status).toBe(200);
    expect((await invoke(beside, basic('stoa-agent', 'other'), 'list_pets')).status).toBe(503);
  }, 30_000);

  it('nothing that any of them wrote, at trace level, holds a token, a key, a password or a secret', async () => {
    const vic = await person('vic').catch(() => '');
    for (const url of [beside, within, admin]) for (const path of ['/mcp/v1/tools', '/admin/v1/tenants', '/no/such/path']) {
      for (const headers of [{ authorization: `Bearer ${vic === '' ? 'x' : vic}` }, { authorization: basic('stoa-agent', CLIENT_SECRET) }, { 'x-api-key': 'stoa_sk_CANARY0123456789CANARY0123456789CANARY' }]) await fetch(`${url}${path}?token=CANARY-in-a-query`, { headers });
    }
    const metrics = await Promise.all([beside, within, admin].map(async (url) => (await fetch(`${url}/metrics`)).text()));
    const secrets = [CLIENT_SECRET, DEMO_PASSWORD, Buffer.from(`stoa-agent:${CLIENT_SECRET}`).toString('base64'), 'a-secret-of-both-replicas', 'CANARY', new URL(redis.url).password, new URL(postgres.url).password];
    const said = [...processes.flatMap(({ lines }) => lines), ...metrics].join('\n');
    expect(said.split('\n').length).toBeGreaterThan(100);
    expect(secrets.filter((secret) => said.includes(secret))).toEqual([]);
    expect(/eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}|stoa_sk_[\w-]{16,}/.exec(said)?.[0].slice(0, 12)).toBeUndefined();
  }, 60_000);
});
