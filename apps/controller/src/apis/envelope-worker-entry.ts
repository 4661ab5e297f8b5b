import { parentPort, workerData } from 'node:worker_threads';
import { takeApart } from '#apps/controller/src/apis/envelope-parts.js';

const envelope = takeApart(workerData as Uint8Array);
parentPort?.postMessage(envelope, 'inline' in envelope && envelope.inline !== undefined ? [envelope.inline.buffer] : []);
