import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface RedisServer {
  readonly url: string;
  /** Ends it at once (SIGKILL); without persistence, what it held is gone. */
  kill(): Promise<void>;
  /** Stops its world (SIGSTOP) without closing a connection, and lets it go on. */
  freeze(): void;
  thaw(): void;
  /** On the same port again, empty. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A real Redis of this machine's package on loopback, with a password and without persistence, in about a tenth of a second.
 * Where the package is not installed, Debian's packages are downloaded and unpacked below `~/.cache`, without root.
 */
export async function startRedis(): Promise<RedisServer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-redis-'));
  const { command, env } = await redisProgram(folder);
  const password = randomBytes(16).toString('hex');
  const config = path.join(folder, 'redis.conf');
  let port = 0;
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    await writeFile(config, `bind 127.0.0.1\nport ${port}\nrequirepass ${password}\nsave ""\nappendonly no\ndir ${folder}\nlogfile ${folder}/log\n`, { mode: 0o600 });
    const started = spawn(command, [config], { env: { ...process.env, ...env }, stdio: 'ignore' });
    child = started;
    const ended = new Promise<string>((resolve) => { started.once('error', (error) => resolve(error.message)).once('exit', () => resolve('it ended')); });
    const failure = await Promise.race([ended, ready(port, password)]);
    if (failure !== undefined) throw new Error(`Redis does not start: ${failure} ${await readFile(path.join(folder, 'log'), 'utf8').catch(() => '')}`);
  };
  const kill = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null) return;
    const gone = new Promise((resolve) => { running.once('exit', resolve); });
    running.kill('SIGKILL');
    await gone;
  };
  for (let attempt = 1; ; attempt += 1) {
    port = await freePort();
    try { await start(); break; } catch (failure) {
      await kill();
      if (attempt === 3) { await rm(folder, { recursive: true, force: true }); throw failure; }
    }
  }
  return {
    url: `redis://:${password}@127.0.0.1:${port}/0`,
    kill, restart: start,
    freeze: () => { child?.kill('SIGSTOP'); },
    thaw: () => { child?.kill('SIGCONT'); },
    stop: async () => { await kill(); await rm(folder, { recursive: true, force: true }); },
  };
}

/** Undefined when it answers; what was wrong last, after ten seconds. */
async function ready(port: number, password: string): Promise<string | undefined> {
  const until = Date.now() + 10_000;
  for (let last = ''; ; ) {
    last = await ping(port, password);
    if (last === '') return undefined;
    if (Date.now() > until) return last;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

function ping(port: number, password: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { socket.write(`AUTH ${password}\r\nPING\r\n`); });
    const end = (answer: string): void => { socket.destroy(); resolve(answer); };
    socket.setTimeout(1_000, () => end('no answer')).on('error', (error) => end(error.message)).on('close', () => end('closed'));
    let said = '';
    socket.on('data', (chunk: Buffer) => { said += chunk.toString(); if (said.includes('PONG')) end(''); });
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}

export async function redisProgram(folder: string): Promise<{ readonly command: string; readonly env: Readonly<Record<string, string>> }> {
  for (const command of ['/usr/bin/redis-server', '/usr/local/bin/redis-server', '/usr/bin/valkey-server']) {
    if (await access(command).then(() => true, () => false)) return { command, env: {} };
  }
  const cache = path.join(homedir(), '.cache', 'stoa-test', 'redis-debian');
  // The server is in redis-tools, and goes by the name that it was called with.
  const program = path.join(cache, 'usr', 'bin', 'redis-check-rdb');
  if (!await access(program).then(() => true, () => false)) await unpack(cache);
  const command = path.join(folder, 'redis-server');
  await symlink(program, command);
  const libraries = (await readdir(path.join(cache, 'usr', 'lib'))).filter((name) => name.endsWith('-linux-gnu')).map((name) => path.join(cache, 'usr', 'lib', name));
  return { command, env: { LD_LIBRARY_PATH: libraries.join(':') } };
}

async function unpack(cache: string): Promise<void> {
  const debs = path.join(cache, 'deb');
  await mkdir(debs, { recursive: true });
  const download = () => run('apt-get', ['download', '-q', 'redis-tools', 'libjemalloc2', 'liblzf1'], { cwd: debs });
  await download().catch(async (failure: unknown) => {
    if (process.getuid?.() !== 0) throw new Error('Redis is not installed: install the package "redis-server"', { cause: failure });
    await run('apt-get', ['update', '-qq']);
    await download();
  });
  for (const deb of await readdir(debs)) await run('dpkg', ['-x', path.join(debs, deb), cache]);
}
