import type { PolicyStore } from '#libs/core/policy-store.js';
import type { Log, PolicyRule, ReadinessCheck } from '#libs/core/ports.js';
import { bundleOf, writeBundle } from './bundle-file.js';
import type { PolicyEngine } from './engine.js';
import type { OperatorPolicy } from './policy-data.js';
import type { PolicySet } from './policy-files.js';
import type { FolderPolicies } from './policy-folder.js';
import { merge, rulesIn, storedSet } from './policy-in-force.js';

export interface SidecarPolicyOptions {
  readonly engine: PolicyEngine;
  /** Where the server reads its bundle (`opa run --server --bundle FILE --watch`); undefined: it has one of its own, which nothing here changes. */
  readonly bundleFile?: string;
  readonly base?: OperatorPolicy;
  readonly folder?: FolderPolicies;
  readonly store?: Pick<PolicyStore, 'active' | 'watch'>;
  readonly log?: Pick<Log, 'info' | 'error'>;
  /** Milliseconds between two looks at what the server decides by. Default 2000. */
  readonly pollMs?: number;
  /** Milliseconds between two looks after a bundle was written, of which there are at most 100. Default 50. */
  readonly lookMs?: number;
}

/** At what the server decides by, after a bundle was written. */
const LOOKS = 100;
const BLOCKED = 'policies of the control plane or of POLICY_DIR do not reach the OPA server: set OPA_BUNDLE_FILE to the file that it reads, or take them away';

/**
 * What an OPA server decides by. With a bundle file it is all that is in force: what the control plane stores and a folder holds, under the shipped policy,
 * written anew at each change. Without one the server's own bundle decides, and nothing is decided while the control plane has policies that it cannot know.
 */
export class SidecarPolicy {
  readonly #options: SidecarPolicyOptions;
  #engine: PolicyEngine;
  #open = false;
  #trouble: string | undefined = 'the policies were not read yet';
  #written: string | undefined;
  #seen: string | undefined;
  #sets: readonly PolicySet[] = [];
  #last: Promise<void> = Promise.resolve();
  #polling: NodeJS.Timeout | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #stops: (() => void | Promise<void>)[] = [];

  constructor(options: SidecarPolicyOptions) {
    this.#options = options;
    this.#engine = this.#watched();
  }

  /** Another object whenever the server decides by another policy. Undefined: nothing may be decided. */
  readonly engine = (): PolicyEngine | undefined => (this.#open ? this.#engine : undefined);
  readonly rules = (tenant: string | undefined): readonly PolicyRule[] => rulesIn(this.#sets, tenant);
  readonly readiness: ReadinessCheck = {
    name: 'policy', check: async () => {
      const { result } = await this.#engine.evaluate('{}');
      if (result === undefined) return { ok: false, reason: 'the policy server has no policy: start it with --bundle' };
      return { ok: this.#open, ...(this.#trouble === undefined ? {} : { reason: this.#trouble }) };
    },
  };
  /** Calls back after the server began to decide by another policy. Answers the way to stop. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => { this.#listeners.delete(listener); };
  }

  /** Never rejects for a bad policy, nor for a server that is away. */
  async start(): Promise<void> {
    const { folder, store, pollMs = 2000 } = this.#options;
    if (store) this.#stops.push(await store.watch(() => { void this.reload(); }));
    if (folder) this.#stops.push(folder.watch(() => { void this.reload(); }));
    this.#polling = setInterval(() => { void this.#look(); }, pollMs);
    this.#polling.unref();
    await this.reload();
  }
  /** Reads everything again; one after the other. */
  reload(): Promise<void> { return this.#last = this.#last.then(() => this.#once()); }
  async stop(): Promise<void> {
    clearInterval(this.#polling);
    for (const stop of this.#stops.splice(0)) await stop();
  }

  async #once(): Promise<void> {
    const { bundleFile, base, folder, store, log, lookMs = 50 } = this.#options;
    try {
      const sets = [...(folder ? [await folder.read()] : []), ...(store ? [await storedSet(store)] : [])];
      if (bundleFile === undefined) {
        const some = sets.some(({ operator, tenants }) => operator !== undefined || Object.keys(tenants).length > 0);
        if (some && this.#open) log?.error({ reason: BLOCKED }, 'nothing is decided any more');
        [this.#open, this.#trouble] = [!some, some ? BLOCKED : undefined];
        return;
      }
      const { operator, own } = merge(sets, base);
      const bundle = bundleOf(operator, own?.rego);
      if (bundle.revision !== this.#written) await writeBundle(bundleFile, bundle);
      this.#written = bundle.revision;
      this.#sets = sets;
      for (let i = 0; i < LOOKS && !this.#agrees(); i++) {
        await this.#look();
        if (!this.#agrees()) await new Promise((resolve) => { setTimeout(resolve, lookMs); });
      }
      this.#trouble = this.#agrees() ? undefined : `the policy server decides by ${this.#seen ?? 'nothing'}, and not by ${bundle.revision}, which is in ${bundleFile}: start it with --bundle ${bundleFile} --watch`;
      if (this.#trouble !== undefined) log?.error({ reason: this.#trouble }, 'the policy server did not take the policy over; what it had decides on');
      else log?.info({ revision: bundle.revision }, 'policy is in force');
    } catch (failure) {
      this.#trouble = failure instanceof Error ? failure.message : String(failure);
      log?.error({ err: failure }, 'the policy was refused; the last good one stays in force');
    }
  }

  #agrees(): boolean { return this.#written !== undefined && this.#seen?.split('+').includes(this.#written) === true; }
  async #look(): Promise<void> { try { await this.#engine.evaluate('{}'); } catch { /* Readiness and each call tell of it. */ } }

  /** The server, with an eye on what it decides by. */
  #watched(): PolicyEngine {
    const { engine } = this.#options;
    return {
      evaluate: async (input, entrypoint) => {
        const answer = await engine.evaluate(input, entrypoint);
        if (answer.result !== undefined && answer.revision !== this.#seen) this.#changed(answer.revision);
        return answer;
      },
    };
  }
  #changed(revision: string): void {
    this.#seen = revision;
    // What was remembered of the one before goes with it.
    this.#engine = this.#watched();
    if (this.#agrees()) {
      this.#open = true;
      this.#trouble = undefined;
    }
    for (const listener of this.#listeners) listener();
  }
}
