import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Admission } from '#libs/core/admission.js';
import type { ConvertedDocument, ConvertedTool, OperationVerdict } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { ConversionMessage } from '#libs/openapi/conversion-messages.js';
import type { ConvertOptions } from '#libs/openapi/convert.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { DOCUMENT_LIMITS, refuseTooLarge } from '#libs/openapi/document-limits.js';

export interface ConverterOptions {
  /** Heap of the conversion's thread, in MiB. */
  readonly memoryMiB?: number;
  /** Longest conversion, in milliseconds. */
  readonly timeoutMs?: number;
  /** Conversions at one time; more wait in order of arrival. */
  readonly concurrency?: number;
}

export interface ConvertRequest extends ConvertOptions {
  /** Also checks the document against the specification's own JSON Schema, and refuses it when it does not hold. */
  readonly validate?: boolean;
}

const DEFAULTS: Required<ConverterOptions> = { memoryMiB: 2048, timeoutMs: 60_000, concurrency: 2 };

/**
 * Converts each document in a thread of its own, ended when it takes too much memory or time. The calling thread is never
 * held up: results arrive in small pieces.
 */
export class DocumentConverter implements Admission {
  readonly kind = 'openapi';
  readonly #options: Required<ConverterOptions>;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: ConverterOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** As `convertDocument`; rejects also with `DocumentError` of code `time-limit` or `memory-limit`. */
  async convert(bytes: Uint8Array, request: ConvertRequest): Promise<ConvertedDocument> {
    await this.#enter();
    try {
      return await this.#inThread(bytes, request);
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < this.#options.concurrency) { this.#running += 1; return; }
    // The one that leaves hands its place over.
    await new Promise<void>((resolve) => { this.#waiting.push(resolve); });
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next(); else this.#running -= 1;
  }

  async #inThread(bytes: Uint8Array, { validate = false, ...options }: ConvertRequest): Promise<ConvertedDocument> {
    const { memoryMiB, timeoutMs } = this.#options;
    const file = options.fileName ?? 'document';
    // Before it is copied for the thread.
    refuseTooLarge(bytes, file, options.limits?.maxBytes ?? DOCUMENT_LIMITS.maxBytes);
    const worker = new Worker(entry(), {
      workerData: { bytes, options, validate }, execArgv: entryFlags(), stdin: false,
      resourceLimits: { maxOldGenerationSizeMb: memoryMiB, maxYoungGenerationSizeMb: 64 },
    });
    try {
      return await new Promise<ConvertedDocument>((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new DocumentError({ code: 'time-limit', file, problem: `the conversion took longer than ${timeoutMs / 1000} s; split the document, or give it as JSON` }));
        }, timeoutMs);
        const parts = new Parts();
        worker.on('message', (message: ConversionMessage) => {
          if (message.kind === 'failed') reject(new DocumentError(message.facts));
          else if (message.kind === 'done') resolve(parts.complete(message.head));
          else { parts.add(message); void askForMore(worker); }
        });
        worker.once('error', (error: Error & { code?: string }) => { reject(crash(error, { file, memoryMiB })); });
        worker.once('exit', () => {
          clearTimeout(timer);
          reject(new DocumentError({ code: 'conversion-failed', file, problem: 'the conversion ended without a result' }));
        });
      });
    } finally {
      await worker.terminate();
    }
  }
}

/** Lets everything else that waits have its turn between two pieces. */
async function askForMore(worker: Worker): Promise<void> {
  await setImmediate();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
  worker.postMessage('next');
}

class Parts {
  readonly #definitions: (readonly [string, JsonSchema])[] = [];
  readonly #tools: ConvertedTool[] = [];
  readonly #ledger: OperationVerdict[] = [];

  add(message: Exclude<ConversionMessage, { kind: 'done' | 'failed' }>): void {
    switch (message.kind) {
      case 'definitions': this.#definitions.push(...message.entries); return;
      case 'tools': this.#tools.push(...message.tools); return;
      case 'ledger': this.#ledger.push(...message.ledger);
    }
  }

  complete(head: Omit<ConvertedDocument, 'definitions' | 'tools' | 'ledger'>): ConvertedDocument {
    return { ...head, definitions: Object.fromEntries(this.#definitions), tools: this.#tools, ledger: this.#ledger };
  }
}

function crash(error: Error & { code?: string }, { file, memoryMiB }: { file: string; memoryMiB: number }): DocumentError {
  if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') return new DocumentError({ code: 'memory-limit', file, problem: `the conversion needed more than ${memoryMiB} MiB; split the document` }, { cause: error });
  return new DocumentError({ code: 'conversion-failed', file, problem: `the conversion failed: ${error.message}` }, { cause: error });
}

const isSource = import.meta.url.endsWith('.ts');

/** The file beside this one: TypeScript when this runs from source, JavaScript from the build. */
function entry(): URL {
  return new URL(isSource ? './conversion-worker-entry.ts' : './conversion-worker-entry.js', import.meta.url);
}

function entryFlags(): string[] {
  return isSource ? ['--conditions=stoa-source'] : [];
}
