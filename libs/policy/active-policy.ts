import { embeddedEngine } from './embedded-engine.js';
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
    const loaded = await embeddedEngine({ wasm: wasm ?? shipped.wasm, file, data: varies === undefined ? data : { governance: { ...data.governance, own_rego: { varies } } } });
    // Own Rego may look at anything.
    const engine = wasm === undefined && varies === undefined ? { ...loaded, ordinary: ordinaryNames(data) } : loaded;
    await probe(engine, file, operator?.tenants === undefined ? [] : Object.keys(operator.tenants));
    this.#engine = engine;
    return engine.revision;
  }
}

/** A candidate must answer decisions, in time, and must deny a caller that has nothing. */
async function probe(engine: PolicyEngine, file: string, tenants: readonly string[]): Promise<void> {
  for (const tenant of ['a', ...tenants.slice(0, 20)]) {
    const input = JSON.stringify({
      principal: { subject: 'nobody', client: 'probe', issuer: 'probe', tenant, roles: [], scopes: [] },
      tool: { kind: 'tool', name: 'probe', tenant, class: 'write', tags: [], category: null, backend: 'rest', api: null },
      environment: 'prod', action: 'invoke', door: 'probe', time: { unix: 0, hour: 0, weekday: 4 }, arguments: { text: 'x'.repeat(1000), items: Array.from({ length: 100 }, (_, i) => i) },
    });
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
