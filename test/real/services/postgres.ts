import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface PostgresServer {
  /** Connects as the superuser `postgres` to the database `postgres`. */
  readonly url: string;
  /** Makes an empty database of its own and answers its URL. */
  database(): Promise<string>;
  /** Takes it down and, at the same address with all that it held, brings it back. */
  halt(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A real PostgreSQL of this machine's package on loopback, with a throwaway folder and without durability, in about a second.
 * Several may run side by side. Root drops to the user `postgres`, since the server refuses to run as root; where the
 * package is missing and the caller is root, apt installs it.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const bin = await binaries();
  const as = await identity();
  // Short, since the socket's path (107 bytes at most) is in it, and open to the server's user, which mkdtemp's mode is not.
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-pg-'));
  await chmod(folder, 0o711);
  const home = path.join(folder, 'pg');
  await mkdir(home, { mode: 0o700 });
  const password = randomBytes(16).toString('hex');
  const passwordFile = path.join(home, 'password');
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (as.uid !== undefined) {
    await chown(home, as.uid, as.gid);
    await chown(passwordFile, as.uid, as.gid);
  }
  const data = path.join(home, 'data');
  const command = (name: string, ...args: string[]) => run(as.prefix[0] ?? path.join(bin, name), [...as.prefix.slice(1), ...(as.prefix.length > 0 ? [path.join(bin, name)] : []), ...args], { cwd: '/' });
  try {
    await command('initdb', '-D', data, '-U', 'postgres', `--pwfile=${passwordFile}`, '-A', 'scram-sha-256', '-N', '-E', 'UTF8', '--no-locale');
    const startAt = async (candidate: number): Promise<void> => {
      await command('pg_ctl', '-D', data, '-s', '-w', '-t', '60', '-l', path.join(home, 'log'), '-o',
        `-p ${candidate} -h 127.0.0.1 -k ${home} -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=100 -c shared_buffers=64MB`, 'start');
    };
    const port = await startOnFreePort(startAt, () => readFile(path.join(home, 'log'), 'utf8').catch(() => ''));
    const urlOf = (database: string): string => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`;
    return {
      url: urlOf('postgres'),
      database: async () => {
        const name = `test_${randomBytes(6).toString('hex')}`;
        await command('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-c', `CREATE DATABASE ${name}`, urlOf('postgres'));
        return urlOf(name);
      },
      halt: async () => { await command('pg_ctl', '-D', data, '-s', '-m', 'fast', '-w', 'stop'); },
      resume: () => startAt(port),
      stop: async () => {
        await command('pg_ctl', '-D', data, '-s', '-m', 'immediate', '-w', 'stop');
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (failure) {
    await rm(folder, { recursive: true, force: true });
    throw failure;
  }
}

/** Another process may take the port between finding it and using it. */
async function startOnFreePort(start: (port: number) => Promise<void>, log: () => Promise<string>): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    try {
      await start(port);
      return port;
    } catch (failure) {
      const said = await log();
      if (attempt === 3 || !/address already in use/i.test(said)) throw new Error(`Postgres does not start: ${said}`, { cause: failure });
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}

async function binaries(): Promise<string> {
  return await findBinaries() ?? await install();
}

async function findBinaries(): Promise<string | undefined> {
  const versions = await readdir('/usr/lib/postgresql').catch(() => []);
  const newest = versions.filter((name) => /^\d+$/.test(name)).toSorted((a, b) => Number(b) - Number(a))[0];
  return newest === undefined ? undefined : `/usr/lib/postgresql/${newest}/bin`;
}

async function install(): Promise<string> {
  if (process.getuid?.() !== 0) throw new Error('PostgreSQL is not installed: install the package "postgresql"');
  await run('apt-get', ['update', '-qq']);
  await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'postgresql'], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
  const found = await findBinaries();
  if (found === undefined) throw new Error('The package "postgresql" was installed and has no server below /usr/lib/postgresql');
  return found;
}

async function identity(): Promise<{ readonly prefix: readonly string[]; readonly uid: number | undefined; readonly gid: number }> {
  if (process.getuid?.() !== 0) return { prefix: [], uid: undefined, gid: 0 };
  const { stdout } = await run('getent', ['passwd', 'postgres']);
  const [, , uid, gid] = stdout.split(':');
  return { prefix: ['setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--init-groups'], uid: Number(uid), gid: Number(gid) };
}
