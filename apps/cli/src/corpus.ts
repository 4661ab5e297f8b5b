import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { holds, scoreboard, scoreboardLines } from '#apps/cli/src/corpus-scoreboard.js';
import type { DocumentRow } from '#apps/cli/src/corpus-scoreboard.js';
import type { Io } from '#apps/cli/src/io.js';

export const CORPUS_HELP = `stoa corpus DIR [options]

Converts every document (.json, .yaml, .yml) below a folder and prints the scoreboard. Exits with 1 when an operation has
no verdict by an independent count, or a reference in a schema leads nowhere.

  --sample N    only N documents, always the same ones
  --threads N   worker threads (default: one for each processor)
  --json        the scoreboard as JSON`;

/** What one document may take. */
const TIMEOUT_MS = 60_000;
const MEMORY_MIB = 2048;

export async function corpusCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args], allowPositionals: true, strict: true,
    options: { sample: { type: 'string' }, threads: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const [folder] = positionals;
  const sample = values.sample === undefined ? Infinity : Number(values.sample);
  const threads = values.threads === undefined ? availableParallelism() : Number(values.threads);
  if (folder === undefined || positionals.length > 1) { io.err('stoa corpus needs one folder'); return 2; }
  if (!(sample >= 1) || !Number.isInteger(threads) || threads < 1 || threads > 64) { io.err('--sample and --threads take whole numbers from 1'); return 2; }
  const files = documentsBelow(folder, sample);
  if (files.length === 0) { io.err(`there is no .json, .yaml or .yml file below ${folder}`); return 1; }

  const start = performance.now();
  const rows: DocumentRow[] = [];
  const waiting = files.map((file) => join(folder, file));
  await Promise.all(Array.from({ length: Math.min(threads, files.length) }, () => drain(waiting, (row) => {
    rows.push({ ...row, file: relative(folder, row.file) });
    progress(rows.length, files.length);
  })));
  if (process.stderr.isTTY) process.stderr.write('\r\u001B[K');
  rows.toSorted((a, b) => (a.file < b.file ? -1 : 1));
  const board = scoreboard(rows, (performance.now() - start) / 1000, Math.round(process.resourceUsage().maxRSS / 1024));
  if (values.json) io.out(JSON.stringify(board)); else for (const line of scoreboardLines(board)) io.out(line);
  return holds(board) ? 0 : 1;
}

/** Paths below the folder, sorted; a sample is by the hash of the path, the same in every run. */
export function documentsBelow(folder: string, sample: number): readonly string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(json|ya?ml)$/i.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
  if (files.length <= sample) return files;
  const hashed = files.map((file) => ({ file, hash: createHash('sha256').update(file).digest('hex') })).toSorted((a, b) => (a.hash < b.hash ? -1 : 1));
  return hashed.slice(0, sample).map(({ file }) => file).toSorted();
}

/** One thread's life: takes the next file until none is left; a thread that dies or hangs is replaced and its file counted as failed. */
async function drain(waiting: string[], done: (row: DocumentRow) => void): Promise<void> {
  let worker: Worker | undefined;
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    worker ??= spawn();
    const row = await ask(worker, file);
    done(row);
    if (row.error?.startsWith('crash') !== true) continue;
    await worker.terminate();
    worker = undefined;
  }
  await worker?.terminate();
}

function ask(worker: Worker, file: string): Promise<DocumentRow> {
  return new Promise((resolve) => {
    const failed = (reason: string) => {
      finish({ file, bytes: 0, ms: TIMEOUT_MS, error: `crash: ${file}: ${reason}`, written: 0, referred: 0, tools: 0, listedBytes: 0, dangling: 0, verdicts: {}, reasons: {}, notes: {} });
    };
    const timer = setTimeout(() => { failed(`took longer than ${TIMEOUT_MS / 1000} s`); }, TIMEOUT_MS);
    const onError = (error: Error) => { failed(error.message); };
    const finish = (row: DocumentRow) => {
      clearTimeout(timer);
      worker.off('message', finish);
      worker.off('error', onError);
      resolve(row);
    };
    worker.once('message', finish);
    worker.once('error', onError);
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
    worker.postMessage(file);
  });
}

function spawn(): Worker {
  const isSource = import.meta.url.endsWith('.ts');
  return new Worker(new URL(isSource ? './corpus-worker-entry.ts' : './corpus-worker-entry.js', import.meta.url), {
    execArgv: isSource ? ['--conditions=stoa-source'] : [],
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB, maxYoungGenerationSizeMb: 64 },
  });
}

const BAR = 40;
function progress(done: number, all: number): void {
  if (!process.stderr.isTTY) return;
  const filled = Math.floor((done / all) * BAR);
  process.stderr.write(`\r[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${done}/${all}`);
}
