// One life of a metered gateway without its doors, to be killed: calls a backend over HTTP, and tells a line for each call that it would have answered.
import { openMetering } from '#libs/metering/metering.js';

const [directory, url] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error(fields, message) { process.stderr.write(`${message} ${JSON.stringify(fields)}\n`); } };
const sink = {
  name: 'receiver',
  async accept(batch) {
    const answer = await fetch(`${url}/records`, { method: 'POST', body: JSON.stringify(batch) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  },
};
const metering = await openMetering({ directory, cluster: 'test', instance: 'one', mode: 'journal', maxBytes: 1e9, segmentBytes: 200_000, sink, own: async () => async () => {}, log });
metering.start();

const target = { kind: 'tool', name: 't', tenant: 'acme', operationClass: 'read', tags: [], backend: { kind: 'rest' } };
const principal = { tenant: 'acme', issuer: 'i', subject: 's', clientId: 'c', roles: new Set(), scopes: new Set(), expiresAt: 2e9 };
const signal = new AbortController().signal;

const stopping = new AbortController();
process.on('SIGTERM', () => { stopping.abort(); });
async function work() {
  while (!stopping.signal.aborted) {
    const call = { requestId: 'r', door: 'mcp', principal, kind: 'tool', name: 't', arguments: {}, input: {}, exchange: { signal }, consumer: 'k', startedAt: performance.now(), target, decision: { ruleId: 'r', policyRevision: 'p' } };
    const callId = await metering.meter.intent(call);
    if (typeof callId !== 'string') throw new Error('refused');
    call.callId = callId;
    await fetch(`${url}/call`, { method: 'POST', headers: { 'x-call-id': callId } }).then((answer) => answer.text());
    call.answer = { result: { type: 'tool', content: [], isError: false }, outcome: 'success', latencyMs: 1, bytes: 1 };
    await metering.meter.settle({ reached: call, denial: undefined, durationMs: 1 });
    process.stdout.write(`${callId}\n`);
  }
}
await Promise.all(Array.from({ length: 16 }, work));
await metering.close(10_000);
process.exit(0);
