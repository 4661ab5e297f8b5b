import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readCompose } from './compose-file.js';
import { freePort, NativeStack } from './native-stack.js';

const run = promisify(execFile);

/** The commands of docs/compose.md under "From nothing to a bill", as they are printed there. */
async function documentedCommands(): Promise<string> {
  const page = await readFile('docs/compose.md', 'utf8');
  const [, commands] = /## From nothing to a bill\n[\s\S]*?```sh\n([\s\S]*?)```/.exec(page) ?? [];
  if (commands === undefined) throw new Error('docs/compose.md has no commands under "From nothing to a bill"');
  return commands;
}

interface Sample { readonly metric: Record<string, string>; readonly value: [number, string] }
async function queried(prometheus: string, expression: string): Promise<readonly Sample[]> {
  const reply = await fetch(`http://${prometheus}/api/v1/query?${new URLSearchParams({ query: expression }).toString()}`);
  const body = await reply.json() as { status: string; error?: string; data: { result: Sample[] } };
  if (body.status !== 'success') throw new Error(`${expression}: ${body.error}`);
  return body.data.result;
}
const metricNames = async (prometheus: string): Promise<ReadonlySet<string>> => new Set(((await (await fetch(`http://${prometheus}/api/v1/label/__name__/values`)).json()) as { data: string[] }).data);
/** Grafana fills these in; a minute is what it takes for a rate at this scrape interval. */
const filled = (expression: string): string => expression.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.*');
/** Names of metrics that an expression reads. */
const read = (expression: string): string[] => [...new Set([...expression.matchAll(/\b(stoa[\w:]+|up)\b/g)].map(([name]) => name))];

describe('the stack of docker-compose.yml', () => {
  let folder: string;
  let env: Record<string, string>;
  let stack: NativeStack;
  let said: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'stoa-up-'));
    const [gateway, admin, keycloak] = [await freePort(), await freePort(), await freePort()];
    const envFile = path.join(folder, '.env');
    // A person may have these in the file before the script is run.
    await writeFile(envFile, `GATEWAY_PORT=${gateway}\nADMIN_PORT=${admin}\nKEYCLOAK_PORT=${keycloak}\nPUBLIC_URL=http://localhost:${gateway}\nKEYCLOAK_PUBLIC_URL=http://localhost:${keycloak}\n`);
    await run('node', ['tools/make-env.mjs', envFile]);
    env = Object.fromEntries([...(await readFile(envFile, 'utf8')).matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
    stack = await NativeStack.open(await readCompose(envFile, { profiles: ['demo'] }), { 'gateway:8080': gateway, 'controller:8081': admin, 'keycloak:8080': keycloak });
    await stack.up();
    said = await sequence();
  }, 600_000);
  afterAll(async () => {
    await stack.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs the documented commands in a shell of its own, with a `docker` that does the one thing that they ask of it. */
  async function sequence(): Promise<string> {
    const bin = path.join(folder, 'bin');
    await mkdir(bin, { recursive: true });
    const kafka = path.join(stack.folder, 'kafka', 'bin');
    await writeFile(path.join(bin, 'docker'), `#!/bin/bash\nset -eu\n[[ "$1 $2 $3 $4" == "compose exec -T kafka" && "$5" == /opt/kafka/bin/* ]] || { echo "not a command of this test: docker $*" >&2; exit 64; }\nprogram=\${5#/opt/kafka/bin/}; shift 5\nargs=(); for arg in "$@"; do args+=("\${arg/#localhost:9092/${stack.address('kafka', 9092)}}"); done\nexec '${kafka}'/"$program" "\${args[@]}"\n`);
    await chmod(path.join(bin, 'docker'), 0o755);
    const script = path.join(folder, 'sequence.sh');
    // A line of its own after each command's output, whatever that ends with.
    await writeFile(script, `set -euo pipefail\ntrap 'echo' DEBUG\n${stack.elsewhere(await documentedCommands())}`);
    try { return (await run('bash', [script], { cwd: folder, env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: folder }, maxBuffer: 16 * 1024 * 1024 })).stdout; } catch (failure) {
      throw new Error(`${(failure as Error).message}\n${(failure as { stdout?: string }).stdout ?? ''}\ngateway: ${stack.logs('gateway').slice(-2000)}\ncontroller: ${stack.logs('controller').slice(-1000)}`, { cause: failure });
    }
  }
  const answers = (): Record<string, unknown>[] => said.split('\n').filter((line) => line.startsWith('{') || line.startsWith('[')).map((line) => JSON.parse(line) as Record<string, unknown>);
  const events = (): Record<string, unknown>[] => answers().filter((answer) => 'event_id' in answer);
  const ask = async (pathname: string, token: string): Promise<{ status: number; body: unknown }> => {
    const reply = await fetch(`http://localhost:${env['ADMIN_PORT']}/admin/v1${pathname}`, { headers: { authorization: `Bearer ${token}` } });
    return { status: reply.status, body: await reply.json() };
  };
  const token = async (form: Record<string, string>, client?: string): Promise<string> => {
    const reply = await fetch(`${env['KEYCLOAK_PUBLIC_URL']}/realms/stoa/protocol/openid-connect/token`, { method: 'POST', body: new URLSearchParams(form), ...(client === undefined ? {} : { headers: { authorization: `Basic ${Buffer.from(client).toString('base64')}` } }) });
    return ((await reply.json()) as { access_token: string }).access_token;
  };
  const person = (username: string): Promise<string> => token({ grant_type: 'password', client_id: 'stoa-demo', username, password: env['STOA_DEMO_PASSWORD'] ?? '' });
  const agent = (): Promise<string> => token({ grant_type: 'client_credentials' }, `stoa-agent:${env['STOA_AGENT_SECRET']}`);
  const invoke = async (tool: string, args: object, bearer: string): Promise<Response> =>
    fetch(`${env['PUBLIC_URL']}/mcp/v1/tools/${tool}/invoke`, { method: 'POST', headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }, body: JSON.stringify({ arguments: args }) });

  const query = (expression: string): Promise<readonly Sample[]> => queried(stack.address('prometheus', 9090), expression);
  const names = (): Promise<ReadonlySet<string>> => metricNames(stack.address('prometheus', 9090));

  it('is ready when every probe of the file says so: the check of the realm has passed as well', async () => {
    const ready = await fetch(`${env['PUBLIC_URL']}/ready`);
    expect([ready.status, await ready.json()]).toEqual([200, expect.objectContaining({ checks: expect.objectContaining({ issuer_keys: true, database: true, journal: true }) as unknown })]);
    expect(await (await fetch(`${env['PUBLIC_URL']}/.well-known/oauth-authorization-server`)).json()).toMatchObject({ issuer: `${env['KEYCLOAK_PUBLIC_URL']}/realms/stoa` });
  });

  it('does what the page says: tenant, import, list, calls over both doors', () => {
    const [tenant, imported, listed, called, invoked] = answers();
    expect(tenant).toMatchObject({ slug: 'acme' });
    expect(imported).toMatchObject({ tools: expect.arrayContaining([expect.objectContaining({ name: 'list_pets', verdict: 'exact' })]) as unknown, ledger: { refused: 0 } });
    expect(listed?.['result']).toMatchObject({ tools: expect.arrayContaining([expect.objectContaining({ name: 'list_pets' }), expect.objectContaining({ name: 'get_pet' })]) as unknown });
    expect(called?.['result']).toMatchObject({ structuredContent: { total: 3 } });
    expect(invoked).toMatchObject({ toolName: 'get_pet', result: { isError: false, backend_status: 200 } });
  });

  it('each call is one event on the topic, with every field that billing consumers read', () => {
    expect(events()).toHaveLength(2);
    for (const event of events()) {
      expect(event).toEqual(expect.objectContaining({
        event_id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) as unknown, timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as unknown,
        tenant: 'acme', project: 'petshop', user_id: expect.stringMatching(/^.+$/) as unknown, latency_ms: expect.any(Number) as unknown, status: 'success', cost_units: expect.any(Number) as unknown, metadata: expect.any(Object) as unknown,
      }));
    }
    expect(events().map(({ tool, consumer }) => `${String(tool)} by ${String(consumer)}`).toSorted()).toEqual(['get_pet by curl', 'list_pets by unknown']);
    expect(events().find(({ tool }) => tool === 'get_pet')).toMatchObject({ request_id: 'my-first-call', cost_units: expect.closeTo(0.001, 2) as unknown });
  });

  it('the ledger has both calls, counts them once and prices them', async () => {
    const alice = await person('alice');
    await expect.poll(async () => JSON.stringify((await ask('/usage', alice)).body), { timeout: 30_000 }).toMatch(/get_pet[\s\S]*list_pets|list_pets[\s\S]*get_pet/);
    const bill = await ask(`/bills?month=${new Date().toISOString().slice(0, 7)}`, alice);
    expect([bill.status, JSON.stringify(bill.body)]).toEqual([200, expect.stringMatching(/"(total|amount)":"0\.\d+/)]);
  });

  it('nobody signs in without right, and another tenant sees nothing', async () => {
    expect((await invoke('get_pet', { petId: 1 }, 'x')).status).toBe(401);
    expect((await invoke('get_pet', { petId: 1 }, await person('gus'))).status).toBe(404);
    expect((await ask('/tenants/acme/apis', await person('bob'))).status).toBe(404);
  });

  describe('in Prometheus', () => {
    it('every query of every dashboard has data after a few calls, and reads metrics that exist', async () => {
      const bearer = await agent();
      const boards = await Promise.all((await readdir('deploy/grafana/dashboards')).map(async (file) => JSON.parse(await readFile(path.join('deploy/grafana/dashboards', file), 'utf8')) as { title: string; panels: { title: string; targets: { expr: string }[] }[]; templating: { list: { query: { query: string } }[] } }));
      const queries = boards.flatMap(({ title, panels }) => panels.flatMap((panel) => panel.targets.map(({ expr }) => ({ where: `${title} / ${panel.title}`, expr: filled(expr) }))));
      expect(queries.length).toBeGreaterThan(40);
      const empty = async (): Promise<string[]> => {
        // Somebody works while somebody looks.
        await invoke('list_pets', {}, bearer);
        return (await Promise.all(queries.map(async ({ where, expr }) => ((await query(expr)).some(({ value: [, value] }) => value !== 'NaN') ? [] : [`${where}: ${expr}`])))).flat();
      };
      await expect.poll(empty, { timeout: 45_000, interval: 1500 }).toEqual([]);
      const known = await names();
      expect(queries.flatMap(({ expr }) => read(expr)).filter((name) => !known.has(name))).toEqual([]);
      for (const { templating } of boards) for (const { query: { query: text } } of templating.list) expect(known).toContain(/label_values\((\w+), instance\)/.exec(text)?.[1]);
    });

    it('every alert and recording rule is evaluated without error, on metrics that exist, and no alert fires on a healthy stack', async () => {
      const known = await names();
      const { groups } = (await (await fetch(`http://${stack.address('prometheus', 9090)}/api/v1/rules`)).json() as { data: { groups: { name: string; rules: { name: string; health: string; state?: string; lastError?: string; query: string }[] }[] } }).data;
      const rules = groups.flatMap(({ rules: inGroup }) => inGroup);
      expect(rules.length).toBeGreaterThanOrEqual(20);
      expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
      expect(rules.flatMap(({ query: text }) => read(text)).filter((name) => !known.has(name))).toEqual([]);
      expect(rules.filter(({ state }) => state === 'firing')).toEqual([]);
      const files = (await readdir('deploy/prometheus/rules')).map((file) => readFile(path.join('deploy/prometheus/rules', file), 'utf8'));
      const alerts = (await Promise.all(files)).flatMap((text) => (parse(text) as { groups: { rules: { alert?: string; expr: string }[] }[] }).groups.flatMap(({ rules: inGroup }) => inGroup.filter(({ alert }) => alert !== undefined)));
      // The values that alerts compare: all but those of faults, which a healthy stack has no series of.
      const values = alerts.flatMap(({ alert, expr }) => expr.split(' and ').map((part) => ({ alert, value: part.replace(/ *[<>] *[\d.]+$/, '') })));
      const missing = (await Promise.all(values.map(async ({ alert, value }) => ((await query(value)).length > 0 ? [] : [alert])))).flat();
      expect(missing.filter((name) => !['MCPToolInvocationErrors', 'StoaPolicyCannotDecide', 'StoaManyRefusedCredentials'].includes(name ?? ''))).toEqual([]);
      // Of these the labels' values exist in the product's own words.
      expect((await query('stoa_mcp_gateway_auth_requests_total{status="failure"}')).length).toBeGreaterThan(0);
    });

    it('a backend that is gone is seen by the alert on errors', async () => {
      const bearer = await agent();
      await stack.stop('demo');
      const failing = async (): Promise<readonly Sample[]> => {
        await invoke('list_pets', {}, bearer);
        return await query('sum by (tool_name) (rate(stoa_mcp_gateway_mcp_tool_invocations_total{status=~"error|timeout|unavailable"}[1m])) > 0');
      };
      try { await expect.poll(failing, { timeout: 30_000, interval: 1000 }).toMatchObject([{ metric: { tool_name: 'list_pets' } }]); } finally { await stack.start('demo'); }
    });
  });

  it('decides by the OPA server where the profile says so, and denies while that is away', async () => {
    await run('sed', ['-i', 's/^OPA_EMBEDDED=.*/OPA_EMBEDDED=false/', path.join(folder, '.env')]);
    stack.reread(await readCompose(path.join(folder, '.env'), { profiles: ['demo', 'opa'] }));
    expect(await stack.stop('gateway')).toBe(0);
    await stack.start('opa');
    await stack.start('gateway');
    const bearer = await agent();
    expect((await invoke('get_pet', { petId: 1 }, bearer)).status).toBe(200);
    await stack.stop('opa', 'SIGKILL');
    await expect.poll(async () => (await invoke('get_pet', { petId: 2 }, bearer)).status, { timeout: 20_000, interval: 500 }).toBe(503);
    await stack.start('opa');
    await expect.poll(async () => (await invoke('get_pet', { petId: 1 }, bearer)).status, { timeout: 20_000, interval: 500 }).toBe(200);
  });

  it('ends in order, each process with 0, and wrote no secret', async () => {
    expect(stack.logs('controller')).not.toContain('AUDIT_SIGNING_KEY is not set');
    const secrets = Object.entries(env).filter(([name]) => /PASSWORD|SECRET|_KEY/.test(name)).map(([, value]) => value);
    for (const name of ['billing', 'gateway', 'controller', 'demo']) {
      const logged = stack.logs(name);
      expect([name, secrets.filter((secret) => logged.includes(secret))]).toEqual([name, []]);
      expect([name, await stack.stop(name)]).toEqual([name, 0]);
    }
  });
});
