import { parentPort, workerData } from 'node:worker_threads';
import { convertDocument } from '#libs/openapi/convert.js';
import type { ConvertOptions } from '#libs/openapi/convert.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import type { ConversionMessage } from '#libs/openapi/conversion-messages.js';

/** Characters of JSON, roughly, that go into one message: what the other thread can take in without a pause anyone notices. */
const CHUNK = 256 * 1024;

const port = parentPort;
if (!port) throw new Error('this file runs as a worker thread');
const { bytes, options, validate } = workerData as { bytes: Uint8Array; options: ConvertOptions; validate: boolean };

/** One message at a time: the next is sent when the other side asks for it. */
async function send(message: ConversionMessage): Promise<void> {
  port?.postMessage(message);
  if (message.kind === 'done' || message.kind === 'failed') return;
  await new Promise<void>((resolve) => { port?.once('message', () => { resolve(); }); });
}

async function sendInChunks<T>(items: Iterable<T>, size: (item: T) => number, wrap: (chunk: T[]) => ConversionMessage): Promise<void> {
  let chunk: T[] = [];
  let room = CHUNK;
  for (const item of items) {
    chunk.push(item);
    room -= size(item);
    if (room > 0) continue;
    await send(wrap(chunk));
    chunk = [];
    room = CHUNK;
  }
  if (chunk.length > 0) await send(wrap(chunk));
}

try {
  // Loaded when asked for: the checker takes longer to load than most documents to convert.
  if (validate) await import('#libs/openapi/validate-document.js').then(({ validateDocument }) => validateDocument(bytes, options));
  const { definitions, tools, ledger, ...head } = await convertDocument(bytes, options);
  await sendInChunks(Object.entries(definitions), ([, schema]) => JSON.stringify(schema).length, (entries) => ({ kind: 'definitions', entries }));
  await sendInChunks(tools, (tool) => tool.listed.length * 3, (chunk) => ({ kind: 'tools', tools: chunk }));
  await sendInChunks(ledger, (verdict) => 300 * (1 + verdict.reasons.length + verdict.notes.length), (chunk) => ({ kind: 'ledger', ledger: chunk }));
  await send({ kind: 'done', head });
} catch (error) {
  const facts = error instanceof DocumentError
    ? error.facts
    : { code: 'conversion-failed' as const, file: options.fileName ?? 'document', problem: `the conversion failed (${error instanceof Error ? error.message : 'unknown error'}); please report the document` };
  await send({ kind: 'failed', facts });
}
// Without this the thread would wait for messages that never come.
port.close();
