import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { invalid } from '../http/problem.js';
import { type Envelope, takeApart } from './envelope-parts.js';

/** Larger bodies are parsed in a thread: 64 MiB of JSON would hold this one for a second, and a data plane may share it. */
const IN_PLACE_BYTES = 256 * 1024;
const isSource = import.meta.url.endsWith('.ts');
const THREAD = new URL(isSource ? './envelope-worker-entry.ts' : './envelope-worker-entry.js', import.meta.url);

/** Rejects with a `Problem` 422 for what is not JSON. */
export async function readEnvelope(bytes: Uint8Array): Promise<Exclude<Envelope, { wrong: unknown }>> {
  const envelope = bytes.byteLength <= IN_PLACE_BYTES ? takeApart(bytes) : await inThread(bytes);
  if (!('wrong' in envelope)) return envelope;
  if (envelope.wrong === 'depth') throw invalid(['body', 'source', 'inline'], envelope.message);
  throw invalid(['body'], `the body is not JSON: ${envelope.message}`, 'json_invalid');
}

async function inThread(bytes: Uint8Array): Promise<Envelope> {
  const worker = new Worker(THREAD, { workerData: bytes, execArgv: isSource ? ['--conditions=stoa-source'] : [], resourceLimits: { maxOldGenerationSizeMb: 1024 } });
  try {
    const [envelope] = await once(worker, 'message') as [Envelope];
    return envelope;
  } catch (failure) {
    if ((failure as { code?: unknown }).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw failure;
    return { wrong: 'json', message: 'it takes too much memory; upload the document itself as the body' };
  } finally {
    await worker.terminate();
  }
}
