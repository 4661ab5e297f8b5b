import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const VERSION = '26.7.3';
const JAVA_25 = '/usr/lib/jvm/temurin-25-jdk-amd64';
const REALM = path.join(import.meta.dirname, '..', '..', '..', 'keycloak', 'stoa-realm.json');
/** Password of every demo user, and secret of every confidential client, in tests. */
export const DEMO_PASSWORD = 'demo-password', CLIENT_SECRET = 'client-secret-for-tests-0123456789';

export interface KeycloakServer {
  /** Base URL, without a trailing slash. */
  readonly url: string;
  /** Of realm `stoa`. */
  readonly issuer: string;
  /** How long the start took, in milliseconds. */
  readonly startedInMs: number;
  readonly adminPassword: string;
  /** The admin API of realm `stoa`; `path` is below `/admin/realms/stoa`. Rejects with status and body outside 2xx. */
  readonly admin: (method: string, path: string, body?: unknown) => Promise<unknown>;
  /** Ends the process. What it held is gone: its database is in memory. */
  stop(): Promise<void>;
  /** On the same port again, with the realm as imported; its keys are new. */
  start(): Promise<void>;
  /** Ends the process and removes its files. */
  dispose(): Promise<void>;
}

/** Brings Keycloak into `~/.cache/stoa-test` once; needs Maven and Java 17 or newer. Answers its folder. */
export async function installKeycloak(): Promise<string> {
  const home = path.join(process.env['STOA_CACHE'] ?? path.join(homedir(), '.cache', 'stoa-test'), `keycloak-${VERSION}`);
  await run(path.join(import.meta.dirname, 'keycloak-install.sh'), [home], { env: await javaEnvironment(), maxBuffer: 8 * 1024 * 1024 });
  return home;
}

/** What the shipped realm is given in tests. */
const FILLED_IN = { STOA_DEMO: 'true', STOA_DEMO_PASSWORD: DEMO_PASSWORD, STOA_SELF_CHECK: 'true', STOA_GATEWAY_SECRET: CLIENT_SECRET, STOA_AGENT_SECRET: CLIENT_SECRET };

/** A real Keycloak on loopback with the shipped realm, as its environment fills it in. `bare`: nothing is filled in. */
export async function startKeycloak(given: Readonly<Record<string, string>> = {}, { realm = REALM, bare = false } = {}): Promise<KeycloakServer> {
  const environment = bare ? given : { ...FILLED_IN, ...given };
  const home = await installKeycloak();
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-keycloak-'));
  await mkdir(path.join(folder, 'bin'));
  await mkdir(path.join(folder, 'data', 'import'), { recursive: true });
  await copyFile(path.join(home, 'bin', 'kc.sh'), path.join(folder, 'bin', 'kc.sh'));
  await copyFile(realm, path.join(folder, 'data', 'import', 'stoa-realm.json'));
  for (const name of ['lib', 'conf', 'providers', 'themes', 'version.txt']) await symlink(path.join(home, name), path.join(folder, name));
  const adminPassword = randomBytes(12).toString('hex');
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    ...await javaEnvironment(), KC_BOOTSTRAP_ADMIN_USERNAME: 'admin', KC_BOOTSTRAP_ADMIN_PASSWORD: adminPassword,
    JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx384m', JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
    ...environment,
  };
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const said: string[] = [];
    // A group of its own: kc.sh stays as the parent of java.
    const started = spawn(path.join(folder, 'bin', 'kc.sh'), [
      'start', '--optimized', '--cache=local', '--http-enabled=true', '--hostname-strict=false', '--http-host=127.0.0.1', `--http-port=${port}`, '--import-realm',
    ], { env, cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk: Buffer) => { said.push(chunk.toString('utf8')); });
    const until = Date.now() + 120_000;
    for (;;) {
      if (started.exitCode !== null) throw new Error(`Keycloak does not start: ${said.join('').slice(-4000)}`);
      if (await fetch(`${url}/realms/stoa/.well-known/openid-configuration`, { signal: AbortSignal.timeout(2000) }).then(({ ok }) => ok, () => false)) return;
      if (Date.now() > until) throw new Error(`Keycloak is not ready after two minutes: ${said.join('').slice(-4000)}`);
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (running?.pid === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => { running.once('exit', resolve); });
    process.kill(-running.pid, 'SIGKILL');
    await ended;
  };
  const dispose = async (): Promise<void> => { await stop(); await rm(folder, { recursive: true, force: true }); };
  const admin: KeycloakServer['admin'] = async (method, below, body) => {
    const login = await fetch(`${url}/realms/master/protocol/openid-connect/token`, { method: 'POST', body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', username: 'admin', password: adminPassword }) });
    const { access_token: token } = await login.json() as { access_token: string };
    const reply = await fetch(`${url}/admin/realms/stoa${below}`, { method, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${below}: ${reply.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  };
  const begun = performance.now();
  try { await start(); } catch (failure) { await dispose(); throw failure; }
  return { url, issuer: `${url}/realms/stoa`, startedInMs: performance.now() - begun, adminPassword, admin, start, stop, dispose };
}

async function javaEnvironment(): Promise<NodeJS.ProcessEnv> {
  const found = process.env['JAVA_HOME'] === undefined && await stat(JAVA_25).then(() => true, () => false);
  return { ...process.env, ...(found ? { JAVA_HOME: JAVA_25 } : {}) };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}
