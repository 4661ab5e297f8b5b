import { parentPort, Worker, workerData } from 'node:worker_threads';
import { AdmissionError } from '#libs/core/admission.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';

/** Of one conversion, in milliseconds. */
const CONVERSION_MS = 60_000;
/** Heap of its thread, in MiB. */
const MEMORY_MIB = 1024;

type ConversionReply = { readonly document: ConvertedDocument } | { readonly code: string; readonly message: string };

/** What is converted, in an error's words. */
export interface ConversionTexts {
  /** `the schema`; it "could not be converted". */
  readonly what: string;
  /** What would make it take less time, behind a semicolon; left out: nothing would. */
  readonly remedy?: string;
}

/**
 * Converts in a thread of its own, so that the thread that serves does not wait. `module` is the caller's `import.meta.url`; beside it stands
 * `conversion-worker-entry`, which calls `answerConversion`. Rejects with `AdmissionError`.
 */
export function convertInThread(module: string, data: { readonly bytes: Uint8Array; readonly options: object }, { what, remedy }: ConversionTexts): Promise<ConvertedDocument> {
  const source = module.endsWith('.ts');
  const worker = new Worker(new URL(source ? './conversion-worker-entry.ts' : './conversion-worker-entry.js', module), {
    workerData: data, execArgv: source ? ['--conditions=stoa-source'] : [], resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB },
  });
  return new Promise<ConvertedDocument>((resolve, reject) => {
    const timer = setTimeout(() => { reject(new AdmissionError('time-limit', `${what} took longer than ${CONVERSION_MS / 1000} s to convert${remedy === undefined ? '' : `; ${remedy}`}`)); }, CONVERSION_MS);
    worker.once('message', (reply: ConversionReply) => {
      clearTimeout(timer);
      if ('document' in reply) resolve(reply.document); else reject(new AdmissionError(reply.code, reply.message));
    });
    worker.once('error', (error: Error) => { clearTimeout(timer); reject(new AdmissionError('conversion-failed', `${what} could not be converted: ${error.message}`)); });
  }).finally(() => worker.terminate());
}

/** The thread's side: converts what it was given and answers once. */
export function answerConversion(convert: (bytes: Uint8Array, options: never) => ConvertedDocument, what: string): void {
  const { bytes, options } = workerData as { readonly bytes: Uint8Array; readonly options: never };
  const reply = (): ConversionReply => {
    try { return { document: convert(bytes, options) }; } catch (error) {
      return error instanceof AdmissionError ? { code: error.code, message: error.message } : { code: 'conversion-failed', message: `${what} could not be converted: ${error instanceof Error ? error.message : String(error)}` };
    }
  };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
  parentPort?.postMessage(reply());
}
