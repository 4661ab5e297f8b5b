import { parentPort, workerData } from 'node:worker_threads';
import { AdmissionError } from '#libs/core/admission.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import { convertKafka, type KafkaConversion } from '#libs/backends/kafka/convert-kafka.js';

export type ConversionReply = { readonly document: ConvertedDocument } | { readonly code: string; readonly message: string };

const { bytes, options } = workerData as { readonly bytes: Uint8Array; readonly options: KafkaConversion };
const reply = (): ConversionReply => {
  try { return { document: convertKafka(bytes, options) }; } catch (error) {
    return error instanceof AdmissionError ? { code: error.code, message: error.message } : { code: 'conversion-failed', message: `the document could not be converted: ${error instanceof Error ? error.message : String(error)}` };
  }
};
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
parentPort?.postMessage(reply());
