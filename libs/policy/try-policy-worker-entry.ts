import { parentPort, workerData } from 'node:worker_threads';
import { loadPolicy } from '@open-policy-agent/opa-wasm';

interface Trial { readonly wasm: Uint8Array; readonly data: object; readonly inputs: readonly object[]; readonly memory: { readonly initial: number; readonly maximum: number } }
const { wasm, data, inputs, memory } = workerData as Trial;

async function slowest(): Promise<number> {
  const policy = await loadPolicy(wasm.slice(), { ...memory });
  policy.setData(data);
  let slowestMs = 0;
  for (const input of inputs) {
    policy.evaluate(input, 'stoa/authz/decision');
    let fastest = Infinity;
    for (let i = 0; i < 2; i++) {
      const began = performance.now();
      policy.evaluate(input, 'stoa/authz/decision');
      fastest = Math.min(fastest, performance.now() - began);
    }
    slowestMs = Math.max(slowestMs, fastest);
  }
  return slowestMs;
}

let answer: object;
try { answer = { slowestMs: await slowest() }; } catch (cause) { answer = { failure: cause instanceof Error ? cause.message : String(cause) }; }
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
parentPort!.postMessage(answer);
