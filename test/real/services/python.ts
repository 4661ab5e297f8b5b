import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const FOLDER = path.join(import.meta.dirname, 'python');

/** A Python environment with the pinned packages of `python/requirements.txt`, made once below `~/.cache` and kept. */
async function environment(): Promise<string> {
  const wanted = await readFile(path.join(FOLDER, 'requirements.txt'), 'utf8');
  const home = path.join(homedir(), '.cache', 'stoa-test', `python-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`);
  const python = path.join(home, 'bin', 'python');
  if (await access(path.join(home, 'complete')).then(() => true, () => false)) return python;
  await mkdir(path.dirname(home), { recursive: true });
  // Made in its final place, since scripts of an environment hold its path; a half-made one is made anew.
  await rm(home, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', home]).catch(async () => {
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'python3-venv']);
    await run('python3', ['-m', 'venv', home]);
  });
  await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', path.join(FOLDER, 'requirements.txt')], { timeout: 240_000 });
  await mkdir(path.join(home, 'making'), { recursive: true });
  await rename(path.join(home, 'making'), path.join(home, 'complete'));
  return python;
}

export interface PythonServer { readonly port: number; stop(): Promise<void> }

/** Starts one of the scripts in `python/`; each prints its port first. Rejects with what it printed when it ends instead. */
export async function startPython(script: 'graphql_server.py' | 'grpc_server.py', ...args: readonly string[]): Promise<PythonServer> {
  const child = spawn(await environment(), [path.join(FOLDER, script), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => { complaint += chunk.toString(); });
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => { resolve(Number(line)); });
    child.once('error', reject);
    child.once('exit', (code) => { reject(new Error(`${script} ended with ${code}: ${complaint.slice(-2000)}`)); });
  });
  return { port, stop: () => stop(child) };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => { child.once('exit', () => { resolve(); }); });
  child.kill('SIGTERM');
  const timer = setTimeout(() => { child.kill('SIGKILL'); }, 5000);
  await ended;
  clearTimeout(timer);
}
