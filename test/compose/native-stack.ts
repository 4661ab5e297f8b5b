import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { readDockerfile, started } from '../image/dockerfile.js';
import { type PostgresServer, startPostgres } from '../real/services/postgres.js';
import { type ComposeFile, type Service, startOrder } from './compose-file.js';
import { kafkaPrograms, keycloakPrograms, opaPrograms, postgresPrograms, productPrograms, type Programs, prometheusInPlace, redisPrograms } from './native-programs.js';

const run = promisify(execFile);
/** Ports on which the services listen inside. */
const PORTS: Readonly<Record<string, readonly number[]>> = {
  gateway: [8080], controller: [8081], billing: [8082], demo: [8090], postgres: [5432], kafka: [9092, 9093], redis: [6379], keycloak: [8080, 9000], opa: [8181], prometheus: [9090],
};
/** Entry points of the images that are not ours; those of ours are in the Dockerfile. */
const ENTRYPOINTS: Readonly<Record<string, readonly string[]>> = { kafka: ['kafka-run'], redis: [], opa: ['/opa'], prometheus: ['prometheus'], keycloak: ['/opt/keycloak/bin/kc.sh'] };

interface Running { readonly child: ChildProcess; readonly said: () => string; readonly ended: Promise<unknown> }

/**
 * The services of a Compose file as processes of this machine: the same commands, environments, health checks and order. What differs,
 * and all that does: `service:port` is a port of loopback (also within mounted files), HOST and PORT tell our processes so, mounted places
 * are folders below a temporary one, and Prometheus looks each second. Grafana is left out: there is no program of it to be had here.
 */
export class NativeStack {
  readonly #running = new Map<string, Running>();
  readonly #programs = new Map<string, Programs>();
  #postgres: PostgresServer | undefined;
  private constructor(readonly folder: string, private compose: ComposeFile, private readonly ports: ReadonlyMap<string, number>) {}

  static async open(compose: ComposeFile, published: Readonly<Record<string, number>>): Promise<NativeStack> {
    const folder = await mkdtemp(path.join(tmpdir(), 'stoa-stack-'));
    const ports = new Map<string, number>();
    // oxlint-disable-next-line no-await-in-loop -- one at a time, so that none is given twice
    for (const [service, inside] of Object.entries(PORTS)) for (const port of inside) ports.set(`${service}:${port}`, published[`${service}:${port}`] ?? await freePort());
    return new NativeStack(folder, compose, ports);
  }

  /** Where a service is reached: `host:port`. */
  address(service: string, inside: number): string { return `127.0.0.1:${this.ports.get(`${service}:${inside}`)}`; }

  async up(): Promise<void> {
    const names = startOrder(this.compose).filter((name) => name !== 'grafana');
    // As `docker compose up --wait`: each is started when those that it waits for are healthy, and all are waited for at the end.
    for (const name of names) {
      /* oxlint-disable no-await-in-loop -- in their order */
      for (const needed of Object.keys(this.#service(name).depends_on ?? {})) if (names.includes(needed)) await this.#healthy(needed);
      await this.#begin(name);
      /* oxlint-enable no-await-in-loop */
    }
    await Promise.all(names.map((name) => this.#healthy(name)));
  }
  /** Takes another reading of the file: services that are started from now on are as it says. */
  reread(compose: ComposeFile): void { this.compose = compose; }

  async start(name: string): Promise<void> {
    await this.#begin(name);
    await this.#healthy(name);
  }
  async #begin(name: string): Promise<void> {
    const service = this.#service(name);
    if (name === 'postgres') await this.#startPostgres(service);
    else {
      const home = path.join(this.folder, name);
      await mkdir(home, { recursive: true });
      const image = service.build && name !== 'keycloak' ? started(await readDockerfile('Dockerfile'), service.build.target) : undefined;
      const command = [...(service.entrypoint ?? image?.entrypoint ?? ENTRYPOINTS[name] ?? []), ...(service.command ?? image?.command ?? [])];
      const environment = await this.#environment(name, service, image?.environment ?? {});
      const [program = '', ...args] = await Promise.all(command.map((word) => this.#translate(name, word)));
      const child = spawn(program, args, { cwd: home, env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      let text = '';
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { text = (text + chunk).slice(-100_000); });
      child.once('error', (error) => { text += error.message; });
      this.#running.set(name, { child, said: () => text, ended: once(child, 'exit') });
    }
  }
  /** As `docker stop`: SIGTERM; answers the exit code. */
  async stop(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const running = this.#running.get(name);
    if (!running) return null;
    this.#running.delete(name);
    if (running.child.exitCode === null && running.child.signalCode === null) running.child.kill(signal);
    await running.ended;
    return running.child.exitCode;
  }
  async dispose(): Promise<void> {
    for (const [name, { child, ended }] of this.#running) {
      this.#running.delete(name);
      // Its group: kc.sh is the parent of java.
      try { process.kill(-(child.pid ?? 0), 'SIGKILL'); } catch { /* it is gone */ }
      // oxlint-disable-next-line no-await-in-loop -- a handful
      await ended;
    }
    await this.#postgres?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
  logs(name: string): string { return this.#running.get(name)?.said() ?? ''; }

  /** The same probe that the engine would run. */
  async probe(name: string): Promise<boolean> {
    const service = this.#service(name);
    const [kind, ...words] = service.healthcheck?.test ?? [];
    const translated = await Promise.all(words.map((word) => this.#translate(name, word)));
    const [program = '', ...args] = kind === 'CMD-SHELL' ? ['sh', '-c', ...translated] : translated;
    const environment = await this.#environment(name, service, {});
    return run(program, args, { cwd: path.join(this.folder, name), env: environment, timeout: 10_000 }).then(() => true, () => false);
  }
  async #healthy(name: string): Promise<void> {
    for (const until = Date.now() + 240_000; ;) {
      const { child, said } = this.#running.get(name) ?? {};
      if (child && (child.exitCode !== null || child.signalCode !== null)) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}: ${said?.().slice(-4000)}`);
      // oxlint-disable-next-line no-await-in-loop -- until it is healthy
      if (await this.probe(name)) return;
      if (Date.now() > until) throw new Error(`${name} is not healthy: ${said?.().slice(-4000)}`);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await new Promise((resolve) => { setTimeout(resolve, 200); });
    }
  }

  /** `service:port` as it is reached from here; within a service also its own ports and places. */
  async #translate(name: string, text: string): Promise<string> {
    let result = this.elsewhere(text);
    for (const port of PORTS[name] ?? []) {
      result = result.replaceAll(new RegExp(`(localhost|127\\.0\\.0\\.1|0\\.0\\.0\\.0)([:/])${port}\\b`, 'g'), (_all, host: string, mark: string) => `${host === '0.0.0.0' ? '127.0.0.1' : host}${mark}${this.ports.get(`${name}:${port}`)}`)
        .replaceAll(new RegExp(`://:${port}\\b`, 'g'), `://127.0.0.1:${this.ports.get(`${name}:${port}`)}`);
      if (result === String(port)) result = String(this.ports.get(`${name}:${port}`));
    }
    const { places } = await this.#programsOf(name);
    for (const [inside, here] of Object.entries({ ...places, ...await this.#mounts(name) })) result = result.replaceAll(new RegExp(`(?<![\\w.])${inside}(?=/|$|["'])`, 'g'), here);
    return result;
  }
  /** Addresses of other services. */
  elsewhere(text: string): string {
    return text.replaceAll(/\b([a-z]+):(\d{4})\b/g, (all, service: string, port: string) => { const here = this.ports.get(`${service}:${port}`); return here === undefined ? all : `127.0.0.1:${here}`; });
  }
  async #environment(name: string, service: Service, baked: Readonly<Record<string, string>>): Promise<NodeJS.ProcessEnv> {
    const { path: programs, environment } = await this.#programsOf(name);
    const given: Record<string, string> = { ...baked };
    for (const [key, value] of Object.entries(service.environment ?? {})) if (value !== null) given[key] = value;
    for (const [key, value] of Object.entries(given)) given[key] = await this.#translate(name, value);
    const [port] = PORTS[name] ?? [];
    const ours = service.build && name !== 'keycloak' ? { HOST: '127.0.0.1', PORT: String(this.ports.get(`${name}:${port}`)) } : {};
    return { HOME: this.folder, PATH: `${programs}:${process.env['PATH'] ?? ''}`, ...environment, ...given, ...ours, ...(name === 'postgres' ? { PGPORT: String(this.ports.get('postgres:5432')) } : {}), ...(name === 'keycloak' ? { KC_HTTP_HOST: '127.0.0.1' } : {}) };
  }
  async #programsOf(name: string): Promise<Programs> {
    const known = this.#programs.get(name);
    if (known) return known;
    const home = path.join(this.folder, name);
    await mkdir(home, { recursive: true });
    const make = {
      postgres: () => postgresPrograms(), kafka: () => kafkaPrograms(home), redis: () => redisPrograms(home, this.ports.get('redis:6379') ?? 0), keycloak: () => keycloakPrograms(home), opa: () => opaPrograms(), prometheus: () => prometheusInPlace(),
    }[name] ?? (() => productPrograms(home));
    const programs = await make();
    this.#programs.set(name, programs);
    return programs;
  }

  /** A folder for each place that is mounted, made at the first time; files of the repository are copied with the addresses of here. */
  async #mounts(name: string): Promise<Readonly<Record<string, string>>> {
    const mounts: Record<string, string> = {};
    for (const { type, source = '', target } of this.#service(name).volumes ?? []) {
      const here = path.join(this.folder, name, 'mounts', target);
      if (!await stat(here).then(() => true, () => false)) {
        if (type === 'bind') await this.#copy(source, here); else await mkdir(here, { recursive: true });
      }
      mounts[target] = here;
      // A command may name the folder that single files are mounted into.
      if (type === 'bind' && (await stat(source)).isFile()) mounts[path.dirname(target)] = path.dirname(here);
    }
    return mounts;
  }
  async #copy(source: string, here: string): Promise<void> {
    if ((await stat(source)).isDirectory()) {
      await mkdir(here, { recursive: true });
      for (const entry of await readdir(source)) await this.#copy(path.join(source, entry), path.join(here, entry));
      return;
    }
    await mkdir(path.dirname(here), { recursive: true });
    const text = this.elsewhere(await readFile(source, 'utf8'));
    const places = here.replace(/\/etc\/prometheus\/.*$/, '/etc/prometheus');
    await writeFile(here, path.basename(here) === 'prometheus.yml' ? text.replaceAll(/: 15s$/gm, ': 1s').replaceAll('/etc/prometheus', places).replaceAll('localhost:9090', this.address('prometheus', 9090)) : text);
  }

  async #startPostgres(service: Service): Promise<void> {
    this.#postgres = await startPostgres();
    const { port, password } = new URL(this.#postgres.url);
    (this.ports as Map<string, number>).set('postgres:5432', Number(port));
    // As the image does with what is mounted at /docker-entrypoint-initdb.d.
    for (const { source = '', target } of service.volumes ?? []) {
      if (!target.startsWith('/docker-entrypoint-initdb.d/')) continue;
      const environment = await this.#environment('postgres', service, {});
      await run('sh', [source], { env: { ...environment, POSTGRES_USER: 'postgres', PGHOST: '127.0.0.1', PGPASSWORD: password } });
    }
  }
  #service(name: string): Service {
    const service = this.compose.services[name];
    if (!service) throw new Error(`The Compose file has no service ${name}`);
    return service;
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}
