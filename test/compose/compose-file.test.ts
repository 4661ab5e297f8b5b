import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { BillingConfig } from '#apps/billing/src/config.js';
import { ControllerConfig } from '#apps/controller/src/config.js';
import { GatewayConfig } from '#apps/gateway/src/config.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { readDockerfile, started } from '../image/dockerfile.js';
import { type ComposeFile, readCompose, type Service, startOrder } from './compose-file.js';
import { prometheusPrograms } from './downloads.js';

const run = promisify(execFile);
const OURS = { gateway: GatewayConfig, controller: ControllerConfig, billing: BillingConfig } as const;

const secrets = (text: string): string[] => [...text.matchAll(/^(?:\w*(?:PASSWORD|SECRETS?|KEY|CLUSTER_ID))=(.+)$/gm)].map(([, value = '']) => value);

describe('docker-compose.yml', () => {
  let folder: string;
  let envFile: string;
  let file: ComposeFile;
  const all = (): readonly (readonly [string, Service])[] => Object.entries(file.services);
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'stoa-compose-'));
    envFile = path.join(folder, '.env');
    await run('node', ['tools/make-env.mjs', envFile]);
    file = await readCompose(envFile, { profiles: ['demo', 'opa'] });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is what Docker Compose takes, alone and with the file for Grafana, with and without the demo', async () => {
    expect(Object.keys(file.services).toSorted()).toEqual(['billing', 'controller', 'demo', 'gateway', 'grafana', 'kafka', 'keycloak', 'opa', 'postgres', 'prometheus', 'redis']);
    const bare = path.join(folder, 'bare.env');
    await run('node', ['tools/make-env.mjs', bare, '--no-demo']);
    const production = await readCompose(bare);
    expect(Object.keys(production.services)).not.toContain('demo');
    expect([production.services['keycloak']?.environment?.['STOA_DEMO'], production.services['gateway']?.environment?.['ENVIRONMENT']]).toEqual(['false', 'prod']);
    const dashboards = await readCompose(envFile, { files: ['docker-compose.yml', 'deploy/compose.grafana.yml'] });
    expect(dashboards.services['grafana']?.ports).toMatchObject([{ host_ip: '127.0.0.1', published: '3000', target: 3000 }]);
  });

  it('does not start without its secrets, and says which script makes them', async () => {
    const empty = path.join(folder, 'empty.env');
    await writeFile(empty, '');
    await expect(readCompose(empty)).rejects.toThrow(/make-env\.mjs/);
    await expect(run('node', ['tools/make-env.mjs', empty, '--print'])).resolves.toMatchObject({ stdout: expect.stringMatching(/POSTGRES_PASSWORD=[\w-]{32}\n/) as unknown });
  });

  it('is refused by Docker Compose when a key is misspelt, so the check can fail', async () => {
    const wrong = path.join(folder, 'wrong.yml');
    await writeFile(wrong, (await readFile('docker-compose.yml', 'utf8')).replace('cap_drop:', 'cap_dropp:'));
    await expect(readCompose(envFile, { files: [wrong] })).rejects.toThrow(/cap_dropp/);
  });

  it('takes every secret from .env, and .env has no variable that is not used', async () => {
    const text = await readFile('docker-compose.yml', 'utf8') + await readFile('deploy/compose.grafana.yml', 'utf8');
    const used = new Set([...text.matchAll(/(?<!\$)\$\{([A-Z_]+)/g)].map(([, name = '']) => name));
    const made = [...(await readFile(envFile, 'utf8')).matchAll(/^([A-Z_]+)=/gm)].map(([, name = '']) => name);
    const choices = ['STOA_VERSION', 'GRAFANA_PORT'];
    expect([...used].filter((name) => !made.includes(name) && !choices.includes(name))).toEqual([]);
    expect(made.filter((name) => !used.has(name) && name !== 'COMPOSE_PROFILES')).toEqual([]);
    expect(text).not.toMatch(/(PASSWORD|SECRET|KEY)\w*: *["']?[\w-]+["']?$/m);
  });

  it('publishes the gateway, the admin API and Keycloak, on loopback, and nothing else', () => {
    const ports = all().flatMap(([name, { ports: published = [] }]) => published.map(({ host_ip, target }) => `${name} ${host_ip}:${target}`));
    expect(ports.toSorted()).toEqual(['controller 127.0.0.1:8081', 'gateway 127.0.0.1:8080', 'keycloak 127.0.0.1:8080']);
  });

  it('lets only what must reach other networks out of the inner one', () => {
    expect(file.networks['backplane']?.internal).toBe(true);
    expect(all().filter(([, { networks = {} }]) => 'edge' in networks).map(([name]) => name).toSorted()).toEqual(['controller', 'gateway', 'keycloak']);
    for (const [name, { networks = {} }] of all()) expect([name, 'backplane' in networks]).toEqual([name, true]);
  });

  it('runs each service without root, capabilities or a writable root, within limits', async () => {
    const stages = await readDockerfile('Dockerfile');
    for (const [name, service] of all()) {
      expect([name, service.read_only, service.cap_drop, service.cap_add, service.privileged, service.security_opt]).toEqual([name, true, ['ALL'], undefined, undefined, ['no-new-privileges:true']]);
      // Keycloak's own image runs as 1000.
      const user = service.user ?? (service.build && name !== 'keycloak' ? started(stages, service.build.target).user : name === 'keycloak' ? '1000' : undefined);
      expect([name, user]).toEqual([name, expect.stringMatching(/^[1-9]\d*(:\d+)?$/)]);
      const { cpus, memory, pids } = service.deploy?.resources?.limits ?? {};
      expect([name, Number(cpus) > 0, Number(memory) > 0, Number(pids) > 0]).toEqual([name, true, true, true]);
    }
  });

  it('probes each service and waits for what it needs to be healthy', () => {
    for (const [name, service] of all()) {
      expect([name, service.healthcheck?.test[0]]).toEqual([name, expect.stringMatching(/^CMD/)]);
      for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) expect([name, needed, condition]).toEqual([name, needed, 'service_healthy']);
    }
    const order = startOrder(file);
    const before = (first: string, second: string): void => { expect(order.indexOf(first)).toBeLessThan(order.indexOf(second)); };
    for (const [first, second] of [['postgres', 'controller'], ['keycloak', 'controller'], ['controller', 'gateway'], ['kafka', 'gateway'], ['controller', 'billing'], ['prometheus', 'grafana']] as const) before(first, second);
  });

  it('keeps what must not be lost on named volumes, and mounts files that exist, read-only', async () => {
    const lasting = all().flatMap(([name, { volumes = [] }]) => volumes.filter(({ type }) => type === 'volume').map(({ source, target }) => `${name} ${source} ${target}`));
    expect(lasting.toSorted()).toEqual(['gateway gateway-data /data', 'gateway journal /journal', 'grafana grafana /var/lib/grafana', 'kafka kafka /var/lib/kafka/data', 'postgres postgres /var/lib/postgresql/data', 'prometheus prometheus /prometheus']);
    for (const [, { volumes = [] }] of all()) {
      for (const { type, source = '', read_only: readOnly } of volumes) {
        if (type !== 'bind') continue;
        await expect(stat(source)).resolves.toBeDefined();
        expect([source, readOnly]).toEqual([source, true]);
      }
    }
  });

  it.each(Object.entries(OURS))('gives the %s process only variables that it knows, and values that it takes', (name, schema) => {
    const known = new Set(Object.values(schema.shape as Readonly<Record<string, z.ZodType>>).map((field) => (field.meta() as { env?: string } | undefined)?.env));
    const given = Object.fromEntries(Object.entries(file.services[name]?.environment ?? {}).map(([key, value]) => [key, value ?? undefined]));
    expect(Object.keys(given).filter((key) => !known.has(key))).toEqual([]);
    expect(() => readConfig(schema, given)).not.toThrow();
  });

  it('pins every image that is not ours to a version', () => {
    expect(all().filter(([, { image, build }]) => !build && !/:v?\d+\.\d+/.test(image)).map(([name]) => name)).toEqual([]);
  });
});

describe('tools/make-env.mjs', () => {
  it('makes other secrets each time, for its owner alone, keeps what is there and adds what is missing', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'stoa-env-'));
    const [one, two] = [path.join(folder, 'one'), path.join(folder, 'two')];
    for (const file of [one, two]) await run('node', ['tools/make-env.mjs', file]);
    expect((await stat(one)).mode & 0o777).toBe(0o600);
    const [first, second] = [await readFile(one, 'utf8'), await readFile(two, 'utf8')];
    expect(secrets(first).length).toBeGreaterThan(10);
    expect(new Set([...secrets(first), ...secrets(second)]).size).toBe(secrets(first).length * 2);
    const older = first.replace(/^CURSOR_KEY=.*\n/m, '');
    await writeFile(one, older);
    await run('node', ['tools/make-env.mjs', one]);
    const now = await readFile(one, 'utf8');
    expect(now.startsWith(older)).toBe(true);
    expect(now.slice(older.length)).toMatch(/CURSOR_KEY=[0-9a-f]{64}\n/);
    await rm(folder, { recursive: true });
  });
});

describe('rules and dashboards', () => {
  it('promtool takes the configuration, and its tests of the rules hold', async () => {
    const promtool = path.join(await prometheusPrograms(), 'promtool');
    await expect(run(promtool, ['test', 'rules', 'deploy/prometheus/rules.test.yml'])).resolves.toMatchObject({ stdout: expect.stringContaining('SUCCESS') as unknown });
    await expect(run(promtool, ['check', 'config', '--syntax-only', 'deploy/prometheus/prometheus.yml'])).resolves.toBeDefined();
  });

  it('dashboards have ids of their own, panels that do not overlap, and the provisioned data source', async () => {
    const source = /uid: (\S+)/.exec(await readFile('deploy/grafana/provisioning/datasources/prometheus.yml', 'utf8'))?.[1];
    const uids = new Set<string>();
    const files = await readdir('deploy/grafana/dashboards');
    for (const name of files) {
      const board = JSON.parse(await readFile(path.join('deploy/grafana/dashboards', name), 'utf8')) as { uid: string; title: string; panels: { id: number; title: string; datasource: { uid: string }; gridPos: { x: number; y: number; w: number; h: number } }[] };
      expect(board.uid).toBe(path.basename(name, '.json'));
      uids.add(board.uid);
      expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
      const taken = new Map<string, string>();
      for (const { title, datasource, gridPos: { x, y, w, h } } of board.panels) {
        expect([title, datasource.uid, x + w <= 24]).toEqual([title, source, true]);
        for (let column = x; column < x + w; column += 1) for (let row = y; row < y + h; row += 1) {
          expect([title, taken.get(`${column},${row}`)]).toEqual([title, undefined]);
          taken.set(`${column},${row}`, title);
        }
      }
    }
    expect(uids.size).toBe(files.length);
    // STOA's own, which people have bookmarked.
    expect(uids).toContain('stoa-mcp-gateway');
    expect(uids).toContain('stoa-mcp-traceability');
  });
});
