import type { PolicyModuleFile, PolicyStore, StoredPolicy } from '#libs/core/policy-store.js';

/** Policies in memory, with the promises of the real store. */
export class MemoryPolicyStore implements PolicyStore {
  readonly #rows: (StoredPolicy & { active: boolean; revision: number })[] = [];
  readonly #modules = new Map<string, Uint8Array>();
  readonly #listeners = new Set<() => void>();
  #revision = 0;

  async active(): ReturnType<PolicyStore['active']> { return { revision: this.#revision, policies: this.#rows.filter(({ active }) => active) }; }
  async history(scope: StoredPolicy['scope']): ReturnType<PolicyStore['history']> { return this.#rows.filter((row) => row.scope === scope).toSorted((a, b) => b.revision - a.revision); }
  async put(policy: Omit<StoredPolicy, 'createdAt'>, module?: PolicyModuleFile): ReturnType<PolicyStore['put']> {
    this.#keep(module);
    let row = this.#rows.find((one) => one.scope === policy.scope && one.digest === policy.digest);
    if (!row) this.#rows.push(row = { ...policy, createdAt: new Date(), active: false, revision: 0 });
    return this.#point(policy.scope, row);
  }
  async withdraw(scope: StoredPolicy['scope'], module?: PolicyModuleFile): ReturnType<PolicyStore['withdraw']> { this.#keep(module); return this.#point(scope, undefined); }
  async module(digest: string): Promise<Uint8Array | undefined> { return this.#modules.get(digest); }
  async watch(changed: () => void): Promise<() => Promise<void>> { this.#listeners.add(changed); return async () => { this.#listeners.delete(changed); }; }

  #keep(module: PolicyModuleFile | undefined): void { if (module) this.#modules.set(module.digest, module.wasm); }
  #point(scope: StoredPolicy['scope'], chosen: { active: boolean; revision: number } | undefined): { revision: number } {
    this.#revision += 1;
    for (const row of this.#rows) if (row.scope === scope && row.active && row !== chosen) Object.assign(row, { active: false, revision: this.#revision });
    if (chosen) Object.assign(chosen, { active: true, revision: this.#revision });
    for (const changed of this.#listeners) changed();
    return { revision: this.#revision };
  }
}
