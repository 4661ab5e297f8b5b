import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** A process of the built product, and what it said so far, line by line. */
export interface Running { readonly child: ChildProcess; readonly lines: readonly string[]; readonly ended: Promise<number | null> }

export function runProcess(app: string, env: Readonly<Record<string, string>>, args: readonly string[] = []): Running {
  const child = spawn(process.execPath, [`dist/apps/${app}/src/main.js`, ...args], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { lines.push(...text.split('\n').filter((said) => said !== '')); });
  return { child, lines, ended: once(child, 'exit').then(([code]) => code as number | null) };
}

/** The first line that says so, as JSON. Rejects with all that the process said when it ended before. */
export async function lineOf({ child, lines, ended }: Running, words: string): Promise<Readonly<Record<string, unknown>>> {
  for (;;) {
    const found = lines.find((text) => text.includes(words));
    if (found !== undefined) return JSON.parse(found) as Record<string, unknown>;
    if (child.exitCode !== null) throw new Error(lines.join('\n'));
    await Promise.race([once(child.stdout ?? child, 'data'), ended]);
  }
}

export interface Said { readonly code: number | null; readonly stdout: string; readonly stderr: string }
/** One run of the `stoa` command. */
export async function stoaCommand(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<Said> {
  const child = spawn(process.execPath, ['dist/apps/cli/src/main.js', ...args], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => { said[name] += text; });
  const [code] = await once(child, 'close') as [number | null];
  return { code, ...said };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return address !== null && typeof address === 'object' ? address.port : 0;
}
