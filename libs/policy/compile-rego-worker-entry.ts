import { parentPort, workerData } from 'node:worker_threads';
import { loadRegoCompiler } from './load-rego-compiler.mjs';

const { compilerFolder, requests } = workerData as { readonly compilerFolder: string; readonly requests: readonly object[] };
const compiler = await loadRegoCompiler(compilerFolder);
let answer: { readonly issues?: unknown } = {};
for (const request of requests) {
  answer = compiler.ask(request);
  if (answer.issues !== undefined) break;
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
parentPort!.postMessage(answer);
