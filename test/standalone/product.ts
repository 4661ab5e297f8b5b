import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** The built product as `npm start` starts it, on a free port and a data folder of its own. */
export interface Product {
  readonly output: string;
  readonly url: string;
  /** Of `npm start`'s script; the product itself is its child. */
  readonly child: ChildProcess;
  readonly productPid: number;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}
export interface Finished { readonly code: number | null; readonly stdout: string; readonly stderr: string }

export const freshHome = (): { readonly home: string; readonly remove: () => void } => {
  const home = mkdtempSync(join(tmpdir(), 'stoa-'));
  return { home, remove: () => { rmSync(home, { recursive: true, force: true }); } };
};

const environment = (extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv => {
  const { NODE_OPTIONS: _, VITEST: __, npm_lifecycle_event: ___, ...env } = process.env;
  return { ...env, ...extra };
};

/** Builds what is stale, once for each test process. */
export function built(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'tools', 'ensure.mjs')], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

export async function startProduct(home: string, extra: Readonly<Record<string, string>> = {}): Promise<Product> {
  const child = spawn(process.execPath, [join(root, 'tools', 'start.mjs')], { env: environment({ STOA_HOME: home, STOA_PORT: '0', ...extra }), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const exited = new Promise<number | null>((resolve) => { child.once('exit', (code) => { resolve(code); }); });
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer): void => { output += chunk.toString(); if (/^Stoa is ready in \d+ ms$/m.test(output)) resolve(); };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => { reject(new Error(`the product ended with ${code} before it was ready: ${output}`)); });
  });
  const url = /http:\/\/127\.0\.0\.1:\d+(?=\/mcp)/.exec(output)?.[0] ?? '';
  const productPid = Number(spawnSync('ps', ['--ppid', String(child.pid), '-o', 'pid='], { encoding: 'utf8' }).stdout.trim().split(/\s+/)[0]);
  return {
    get output() { return output; }, url, child, productPid,
    stop: (signal = 'SIGTERM') => { child.kill(signal); return exited; },
  };
}

/** Starts what must not start, and waits for its end. */
export function refused(extra: Readonly<Record<string, string>>): Promise<Finished> {
  return finished(spawn(process.execPath, [join(root, 'tools', 'start.mjs')], { env: environment(extra), stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** Runs the `stoa` command to its end. */
export function stoa(home: string, args: readonly string[], input = ''): Promise<Finished> {
  const child = spawn(process.execPath, [join(root, 'apps', 'cli', 'bin', 'stoa.mjs'), ...args], { env: environment({ STOA_HOME: home }), stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  return finished(child);
}

function finished(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => { stdout += chunk.toString(); });
  child.stderr?.on('data', (chunk: Buffer) => { stderr += chunk.toString(); });
  return new Promise((resolve) => { child.once('close', (code) => { resolve({ code, stdout, stderr }); }); });
}

/** Resolves once nothing listens there any more; the test's own timeout bounds it. */
export async function gone(url: string): Promise<true> {
  for (;;) {
    try { await fetch(`${url}/live`); } catch { return true; }
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
