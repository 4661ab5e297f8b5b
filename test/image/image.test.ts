import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hadolint } from '../compose/downloads.js';
import { type PostgresServer, startPostgres } from '../real/services/postgres.js';
import { buildContext, NativeBuild } from './build.js';
import { ancestry, readDockerfile, type Stage, started } from './dockerfile.js';

const run = promisify(execFile);
const CONFINED = path.join(import.meta.dirname, 'confined.sh');
const TARGETS = ['gateway', 'controller', 'billing', 'standalone', 'cli', 'demo'];

describe('the Dockerfile', () => {
  let stages: ReadonlyMap<string, Stage>;
  beforeAll(async () => { stages = await readDockerfile('Dockerfile'); });

  it('has nothing that hadolint finds', async () => {
    await expect(run(await hadolint(), ['Dockerfile']).then(({ stdout }) => stdout, ({ stdout }: { stdout: string }) => stdout)).resolves.toBe('');
  });

  it.each(TARGETS)('%s runs as an unprivileged user, on a base without a shell, with a command that the build makes', async (target) => {
    const { user, entrypoint, command } = started(stages, target);
    expect(user).toBe('65532:65532');
    expect(ancestry(stages, target)[0]?.from).toMatch(/distroless.*:nonroot$/);
    const main = [...entrypoint, ...command].find((word) => word.startsWith('dist/')) ?? '';
    await expect(stat(main.replace(/^dist\//, '').replace(/\.js$/, '.ts'))).resolves.toBeDefined();
  });

  it('takes packages by the lockfile and runs no script of theirs', () => {
    const runs = [...stages.values()].flatMap(({ instructions }) => instructions.filter(({ name }) => name === 'RUN').map(({ text }) => text));
    const installs = runs.filter((text) => /\bnpm (ci|install|i|prune)\b|\bnpx\b/.test(text));
    expect(installs).toHaveLength(2);
    for (const text of installs) expect(text).toMatch(/npm (ci|prune) .*--ignore-scripts|npm prune --ignore-scripts/);
    expect(runs.join('\n')).not.toMatch(/\b(curl|wget|apt-get|apk)\b/);
  });

  it('lets neither secrets, nor tests, nor what was built before into the build', async () => {
    const files = await buildContext();
    expect(files).toEqual(expect.arrayContaining(['package-lock.json', 'apps/gateway/src/main.ts', 'libs/policy/bundle/policy.wasm', 'keycloak/stoa-realm.json', 'deploy/healthy.mjs']));
    expect(files.filter((file) => /(^|\/)(\.env|\.git|node_modules|dist|\.stoa)(\/|$)|\.test\.ts$|^libs\/state\/generated/.test(file))).toEqual([]);
  });
});

describe('the images, built natively in an empty folder and run confined', () => {
  let folder: string;
  let build: NativeBuild;
  let stages: ReadonlyMap<string, Stage>;
  let root: string;
  let postgres: PostgresServer;
  let database: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'stoa-image-'));
    stages = await readDockerfile('Dockerfile');
    // The product's Node with this machine's npm and its way to the registry; not what `npm run` and the test runner set.
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|VITEST|NODE_ENV|NODE_OPTIONS)/.test(name)));
    build = await NativeBuild.open(folder, { ...environment, PATH: `${path.dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, TMPDIR: folder });
    root = await build.target('runtime');
    postgres = await startPostgres();
    database = await postgres.database();
  }, 600_000);
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  });

  interface Running { readonly child: ChildProcess; readonly said: () => string; readonly ended: Promise<number | null> }
  async function start(target: string, environment: Readonly<Record<string, string>>, args?: readonly string[]): Promise<Running> {
    const { entrypoint, command, environment: baked, workdir, user = '' } = started(stages, target);
    const [uid = ''] = user.split(':');
    const child = spawn(CONFINED, [await build.target(target), uid, workdir, '/data /journal', ...entrypoint, ...(args ?? command)], { env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', ...baked, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
    return { child, said: () => text, ended: once(child, 'exit').then(([code]) => code as number | null) };
  }
  async function answers(process: Running, url: string): Promise<unknown> {
    for (let attempt = 0; attempt < 600; attempt += 1) {
      if (process.child.exitCode !== null) throw new Error(process.said());
      // oxlint-disable-next-line no-await-in-loop -- until it answers
      const reply = await fetch(url).catch(() => undefined);
      // oxlint-disable-next-line no-await-in-loop -- as above
      if (reply?.ok === true) return await reply.json();
      // oxlint-disable-next-line no-await-in-loop -- as above
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    throw new Error(`no answer at ${url}: ${process.said()}`);
  }

  it('hold what production needs and the SBOM lists, by the lockfile, and nothing else', async () => {
    const lock = JSON.parse(await readFile('package-lock.json', 'utf8')) as { packages: Record<string, { version: string }> };
    const sbom = JSON.parse(await readFile(path.join(root, 'app', 'sbom.cdx.json'), 'utf8')) as { bomFormat: string; components: { name: string; version: string }[] };
    const listed = new Set(sbom.components.map(({ name, version }) => `${name}@${version}`));
    const [found, unlocked]: [string[], string[]] = [[], []];
    for (const place of Object.keys(lock.packages)) {
      if (!place.startsWith('node_modules/')) continue;
      // oxlint-disable-next-line no-await-in-loop -- some hundred small files
      const manifest = await readFile(path.join(root, 'app', place, 'package.json'), 'utf8').catch(() => undefined);
      if (manifest === undefined) continue;
      const { version } = JSON.parse(manifest) as { version: string };
      found.push(`${place.slice(place.lastIndexOf('node_modules/') + 13)}@${version}`);
      if (version !== lock.packages[place]?.version) unlocked.push(place);
    }
    expect(unlocked).toEqual([]);
    expect(sbom.bomFormat).toBe('CycloneDX');
    expect(found.length).toBeGreaterThan(150);
    expect(found.filter((name) => !listed.has(name))).toEqual([]);
    expect([...listed].filter((name) => !found.includes(name) && !name.startsWith('node-linux') && !name.startsWith('bin@') && !name.startsWith('@stoa/command@'))).toEqual([]);
    expect(found.filter((name) => /^(prisma|typescript|vitest|oxlint|effect)@/.test(name))).toEqual([]);
    expect((await readdir(path.join(root, 'app'))).toSorted()).toEqual(['dist', 'healthy.mjs', 'node_modules', 'package.json', 'sbom.cdx.json']);
    expect((await readdir(path.join(root, 'app', 'dist'), { recursive: true })).filter((file) => /\.(test|contract)\.js$|(^|\/)\.env/.test(file))).toEqual([]);
  });

  it('run on the C and C++ libraries of the base alone', async () => {
    const { stdout } = await run('ldd', [path.join(root, 'usr', 'local', 'bin', 'node')]);
    const needed = [...stdout.matchAll(/^\s*(\S+?)\.so/gm)].map(([, name = '']) => path.basename(name)).filter((name) => !name.startsWith('linux-vdso') && !name.startsWith('ld-linux'));
    const inBase = ['libc', 'libdl', 'libm', 'libpthread', 'librt', 'libstdc++', 'libgcc_s', 'libgomp', 'libssl', 'libcrypto'];
    expect(needed.filter((name) => !inBase.includes(name))).toEqual([]);
    expect((await run(path.join(root, 'usr', 'local', 'bin', 'node'), ['--version'])).stdout).toMatch(/^v24\./);
  });

  it('have a read-only root and no way to more rights', async () => {
    const probe = `const fs = require('node:fs');
      const tries = (path) => { try { fs.writeFileSync(path, 'x'); return 'written'; } catch (error) { return error.code; } };
      const of = (name) => new RegExp('^' + name + ':[ \\\\t]*(.*)$', 'm').exec(fs.readFileSync('/proc/self/status', 'utf8'))[1];
      console.log(JSON.stringify({ app: tries('/app/x'), root: tries('/x'), tmp: tries('/tmp/x'), data: tries('/data/x'), uid: of('Uid'), caps: of('CapEff'), groups: of('Groups').trim(), noNewPrivileges: of('NoNewPrivs'), cwd: process.cwd(), shell: fs.existsSync('/bin/sh') }));`;
    const { ended, said } = await start('gateway', {}, ['-e', probe]);
    expect(await ended).toBe(0);
    expect(JSON.parse(said())).toEqual({ app: 'EROFS', root: 'EROFS', tmp: 'written', data: 'written', uid: '65532\t65532\t65532\t65532', caps: '0000000000000000', groups: '', noNewPrivileges: '1', cwd: '/app', shell: false });
  });

  const issuer = { OIDC_ISSUER: 'https://issuer.test', JWKS_URL: 'http://127.0.0.1:1/', HOST: '127.0.0.1', LOG_LEVEL: 'error' };
  const ends = async ({ child, ended, said }: Running): Promise<void> => {
    child.kill('SIGTERM');
    expect([await ended, said()]).toEqual([0, expect.any(String)]);
  };

  it('controller, gateway and billing start, answer /health and end at SIGTERM with 0', async () => {
    const [first, second, third] = await Promise.all([freePort(), freePort(), freePort()]);
    const controller = await start('controller', { ...issuer, PORT: String(first), DATABASE_URL: database });
    expect(await answers(controller, `http://127.0.0.1:${first}/health`)).toMatchObject({ status: 'healthy' });
    const gateway = await start('gateway', { ...issuer, PORT: String(second), DATABASE_URL: database, KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:1', DRAIN_SECONDS: '5' });
    expect(await answers(gateway, `http://127.0.0.1:${second}/health`)).toMatchObject({ status: 'healthy' });
    const billing = await start('billing', { HOST: '127.0.0.1', PORT: String(third), DATABASE_URL: database, KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:1', LOG_LEVEL: 'fatal' });
    expect(await answers(billing, `http://127.0.0.1:${third}/health`)).toMatchObject({ status: 'healthy' });
    for (const each of [gateway, billing, controller]) await ends(each);
  }, 120_000);

  it('standalone keeps its state in the one volume, and the demo its in /tmp', async () => {
    const [first, second] = await Promise.all([freePort(), freePort()]);
    const standalone = await start('standalone', { STOA_PORT: String(first), LOG_LEVEL: 'error' });
    expect(await answers(standalone, `http://127.0.0.1:${first}/health`)).toMatchObject({ status: 'healthy' });
    // It answers before its start is over, and has its hands free for signals after.
    await expect.poll(() => standalone.said(), { timeout: 30_000 }).toContain('Stoa is ready');
    const demo = await start('demo', { HOST: '127.0.0.1', PORT: String(second) });
    expect(await answers(demo, `http://127.0.0.1:${second}/pets`)).toMatchObject({ total: 4 });
    for (const each of [standalone, demo]) await ends(each);
  }, 120_000);

  it('cli says what it can do', async () => {
    const { ended, said } = await start('cli', {});
    expect([await ended, said()]).toEqual([0, expect.stringContaining('stoa COMMAND')]);
  });

  it('the probe of each image tells a process that answers from one that does not', async () => {
    const port = await freePort();
    expect(await (await start('gateway', {}, ['healthy.mjs', `http://127.0.0.1:${port}/ready`])).ended).toBe(1);
    const demo = await start('demo', { HOST: '127.0.0.1', PORT: String(port) });
    await answers(demo, `http://127.0.0.1:${port}/pets`);
    expect(await (await start('gateway', {}, ['healthy.mjs', `http://127.0.0.1:${port}/pets`])).ended).toBe(0);
    expect(await (await start('gateway', {}, ['healthy.mjs', `http://127.0.0.1:${port}/nothing`])).ended).toBe(1);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}
