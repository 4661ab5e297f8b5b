import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OPA = 'v1.22.0';

export interface OpaServer {
  readonly url: string;
  /** Ends the process; `start` again serves the same bundle at the same address. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends the process and removes its files. */
  dispose(): Promise<void>;
}

/** The OPA server of its Go module, built once into `~/.cache/stoa-test` (one to four minutes, then at once). Needs Go 1.26. */
export async function opaProgram(): Promise<string> {
  const cache = process.env['STOA_CACHE'] ?? path.join(homedir(), '.cache', 'stoa-test');
  const home = path.join(cache, `opa-${OPA}`);
  await mkdir(home, { recursive: true });
  // `flock`: of two suites at once one builds and the other waits. A rename, so that no half-written binary is ever run.
  await run('flock', [path.join(cache, 'opa.lock'), 'bash', '-ec', `[ -x "$1/opa" ] && exit 0
    go=$(command -v go || echo /usr/local/go/bin/go); work=$(mktemp -d "$1/tmp.XXXX"); cd /
    GOBIN=$work CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS=-buildvcs=false "$go" install -trimpath -ldflags '-s -w' github.com/open-policy-agent/opa@${OPA}
    mv "$work/opa" "$1/opa"; rmdir "$work"`, 'bash', home], { maxBuffer: 8 * 1024 * 1024 });
  return path.join(home, 'opa');
}

/** A real OPA server on loopback with a bundle folder of these files, or with a bundle file that it watches; it waits for that to be there. */
export async function startOpa(files: Readonly<Record<string, string>> | { readonly bundle: string; readonly port: number }): Promise<OpaServer> {
  const watched = typeof files['bundle'] === 'string' ? files['bundle'] : undefined;
  const program = await opaProgram();
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-opa-'));
  if (watched === undefined) for (const [name, content] of Object.entries(files)) await writeFile(path.join(folder, name), String(content));
  else while (!existsSync(watched)) await new Promise((resolve) => { setTimeout(resolve, 20); });
  const port = watched === undefined ? await freePort() : Number(files['port']);
  const url = `http://127.0.0.1:${port}`;
  let child: ReturnType<typeof spawn> | undefined;
  const start = async (): Promise<void> => {
    const said: string[] = [];
    const started = spawn(program, ['run', '--server', '--addr', `127.0.0.1:${port}`, '--skip-version-check', '--log-level', 'error', ...(watched === undefined ? ['--bundle', folder] : ['--bundle', watched, '--watch'])], { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk: Buffer) => { said.push(chunk.toString('utf8')); });
    for (let attempt = 0; attempt < 500; attempt++) {
      if (started.exitCode !== null) throw new Error(`OPA does not start: ${said.join('')}`);
      if (await fetch(`${url}/health?bundles`, { signal: AbortSignal.timeout(1000) }).then(({ ok }) => ok, () => false)) return;
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
    throw new Error(`OPA is not ready after ten seconds: ${said.join('')}`);
  };
  const stop = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => { running.once('exit', resolve); });
    running.kill('SIGKILL');
    await ended;
  };
  try { await start(); } catch (failure) { await stop(); await rm(folder, { recursive: true, force: true }); throw failure; }
  return { url, start, stop, dispose: async () => { await stop(); await rm(folder, { recursive: true, force: true }); } };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject).listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => { if (address !== null && typeof address === 'object') resolve(address.port); });
    });
  });
}
