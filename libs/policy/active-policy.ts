import { Worker } from 'node:worker_threads';
import { embeddedEngine, MEMORY_PAGES } from './embedded-engine.js';
import type { PolicyEngine } from './engine.js';
import { type OperatorPolicy, policyData } from './policy-data.js';
import { PolicyRefused } from './policy-refused.js';
import { readDecision } from './decision.js';
import { ordinaryNames } from './names-in-data.js';
import { shippedBundle } from './shipped-policy.js';

export interface Candidate {
  readonly operator?: OperatorPolicy;
  /** A compiled policy instead of the shipped one (compileRego). */
  readonly wasm?: Uint8Array;
  /** Facts that own Rego may read, of "arguments" and "time". */
  readonly varies?: readonly ('arguments' | 'time')[];
  /** Names the candidate in messages. */
  readonly file?: string;
}

/** One decision of a candidate may take this long, in milliseconds, on the probes. */
const PROBE_MS = 20;

export type ActiveEngine = PolicyEngine & { readonly revision: string };

/** The policy in force on this process, swapped whole. One that is refused changes nothing. */
export class ActivePolicy {
  #engine: ActiveEngine | undefined;

  /** What decides now; undefined until the first activation succeeded. */
  readonly engine = (): ActiveEngine | undefined => this.#engine;
  /** SHA-256 (hex) over the compiled policy and its data. */
  get revision(): string | undefined { return this.#engine?.revision; }

  /** Puts a candidate in force and answers its revision, or rejects with `PolicyRefused`; then what was in force still is. */
  async activate({ operator, wasm, varies, file = 'policy' }: Candidate): Promise<string> {
    const shipped = shippedBundle();
    const data = policyData(shipped.data, operator) as { readonly governance: object };
    const engineData = varies === undefined ? data : { governance: { ...data.governance, own_rego: { varies } } };
    const loaded = await embeddedEngine({ wasm: wasm ?? shipped.wasm, file, data: engineData });
    // Own Rego may look at anything.
    const engine = wasm === undefined && varies === undefined ? { ...loaded, ordinary: ordinaryNames(data) } : loaded;
    const tenants = operator?.tenants === undefined ? [] : Object.keys(operator.tenants);
    // What others wrote may take as long as it likes: on a thread that can be ended.
    if (wasm !== undefined) await tryInThread({ wasm, data: engineData, inputs: tenants.length === 0 ? [probeInput('a', true)] : tenants.map((tenant) => probeInput(tenant, true)) }, file);
    await probe(engine, file, tenants);
    this.#engine = engine;
    return engine.revision;
  }
}

/** A call with much in it, of a principal that may do nothing, or of one whom own rules alone can stop. */
const probeInput = (tenant: string, privileged: boolean): object => ({
  principal: { subject: 'nobody', client: 'probe', issuer: 'probe', tenant, roles: privileged ? ['cpi-admin'] : [], scopes: privileged ? ['stoa:admin'] : [] },
  tool: { kind: 'tool', name: 'probe', tenant, class: 'write', tags: [], category: null, backend: 'rest', api: null },
  environment: 'prod', action: 'invoke', door: 'probe', time: { unix: 0, hour: 0, weekday: 4 }, arguments: { text: 'x'.repeat(1000), items: Array.from({ length: 100 }, (_, i) => i) },
});

const TRIAL = new URL(import.meta.url.endsWith('.ts') ? './try-policy-worker-entry.ts' : './try-policy-worker-entry.js', import.meta.url);
/** All decisions of a trial together, compiling included, in milliseconds. */
const TRIAL_MS = 5000;

/** Each input decided once to warm up and twice to be timed, in a thread that is ended when it takes too long. */
function tryInThread(trial: { readonly wasm: Uint8Array; readonly data: unknown; readonly inputs: readonly object[] }, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(TRIAL, { workerData: { ...trial, memory: MEMORY_PAGES }, stdout: true, stderr: true });
    const refuse = (message: string): void => { end(() => { reject(new PolicyRefused([{ file, message }])); }); };
    const timer = setTimeout(() => { refuse(`does not decide a call within ${TRIAL_MS} ms: make its rules smaller`); }, TRIAL_MS);
    const end = (settle: () => void): void => { clearTimeout(timer); void worker.terminate(); settle(); };
    worker.once('message', (answer: { readonly slowestMs: number } | { readonly failure: string }) => {
      if ('failure' in answer) refuse(`fails on a probe (${answer.failure}): make its rules smaller`);
      else if (answer.slowestMs > PROBE_MS) refuse(`takes ${Math.ceil(answer.slowestMs)} ms for one decision, more than ${PROBE_MS}: make its rules smaller`);
      else end(resolve);
    });
    worker.once('error', (cause: Error) => { refuse(`fails on a probe: ${cause.message}`); });
    worker.once('exit', () => { refuse('ends the thread that tries it'); });
  });
}

/** A candidate must answer decisions, in time, and must deny a caller that has nothing. */
async function probe(engine: PolicyEngine, file: string, tenants: readonly string[]): Promise<void> {
  for (const tenant of ['a', ...tenants.slice(0, 20)]) {
    const input = JSON.stringify(probeInput(tenant, false));
    let answer: unknown;
    let fastest = Infinity;
    try {
      // The fastest of three: the first evaluation also compiles, and the machine may be busy.
      for (let i = 0; i < 3; i++) {
        const began = performance.now();
        answer = (await engine.evaluate(input)).result;
        fastest = Math.min(fastest, performance.now() - began);
      }
    } catch (cause) { throw new PolicyRefused([{ file, message: `fails on a probe: ${cause instanceof Error ? cause.message : String(cause)}` }]); }
    if (fastest > PROBE_MS) throw new PolicyRefused([{ file, message: `takes ${Math.ceil(fastest)} ms for one decision, more than ${PROBE_MS}: make its rules or its data smaller` }]);
    const decision = readDecision(answer);
    if (!decision) throw new PolicyRefused([{ file, message: 'answers no decision {allow, reason, rule_id, obligations}: give stoa.authz.decision a default' }]);
    if (decision.allow) throw new PolicyRefused([{ file, message: `allows a caller without roles and scopes to write (rule ${decision.ruleId}): a policy that allows everything is not put in force` }]);
  }
}
