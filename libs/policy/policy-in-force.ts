import { createHash } from 'node:crypto';
import type { PolicyStore } from '#libs/core/policy-store.js';
import type { Log, PolicyRule, ReadinessCheck } from '#libs/core/ports.js';
import { ActivePolicy, type ActiveEngine, type Candidate } from './active-policy.js';
import { compileRego, type OwnRego } from './compile-rego.js';
import type { FolderPolicies } from './policy-folder.js';
import type { Matcher, OperatorPolicy, TenantPolicy } from './policy-data.js';
import { type OwnRegoFile, readOperatorFiles, readTenantFiles, type PolicySet, rulesOf } from './policy-files.js';
import { PolicyRefused } from './policy-refused.js';

export interface InForceOptions {
  /** What the process itself says, under everything else. */
  readonly base?: OperatorPolicy;
  readonly folder?: FolderPolicies;
  readonly store?: Pick<PolicyStore, 'active' | 'module' | 'watch'>;
  /** Of the Rego compiler; undefined: own Rego needs a module that was compiled elsewhere. */
  readonly compilerFolder?: string;
  readonly log?: Pick<Log, 'info' | 'error'>;
}

/** How to get the compiler, for whoever needs it. */
export const NO_COMPILER = 'own Rego must be compiled, and there is no compiler here: build it with tools/rego-compiler.sh (Go 1.26 or later) and set REGO_COMPILER_DIR to the folder that it prints, or decide by an OPA server (OPA_EMBEDDED=false)';

/**
 * The policy in force, made anew whenever a part of it changes: files of a folder, and what the control plane stores. What cannot be put
 * in force is told in the log and by readiness' reason, and the last good one decides on.
 */
export class PolicyInForce {
  readonly #active = new ActivePolicy();
  readonly #options: InForceOptions;
  #running: Promise<void> | undefined;
  #again = false;
  #trouble: string | undefined;
  #sets: readonly PolicySet[] = [];
  readonly #listeners = new Set<(engine: ActiveEngine) => void>();
  readonly #stops: (() => void | Promise<void>)[] = [];

  constructor(options: InForceOptions) { this.#options = options; }

  readonly engine = (): ActiveEngine | undefined => this.#active.engine();
  /** Why the newest policy is not in force; undefined: it is. */
  get trouble(): string | undefined { return this.#trouble; }
  readonly readiness: ReadinessCheck = {
    name: 'policy', check: async () => (this.#active.revision === undefined ? { ok: false, reason: 'no policy was put in force' } : { ok: true, ...(this.#trouble === undefined ? {} : { reason: 'the last good policy is in force' }) }),
  };

  /** Puts in force what there is, and follows every change. Never rejects for a bad policy. */
  async start(): Promise<void> {
    const { folder, store } = this.#options;
    if (store) this.#stops.push(await store.watch(() => { void this.reload(); }));
    if (folder) this.#stops.push(folder.watch(() => { void this.reload(); }));
    await this.reload();
  }

  /** Reads everything again. Of changes that come while it runs one more run is made, with all of them. */
  reload(): Promise<void> {
    if (this.#running) { this.#again = true; return this.#running; }
    return this.#running = (async () => {
      do {
        this.#again = false;
        await this.#once();
      } while (this.#again);
      this.#running = undefined;
    })();
  }

  /** What the folder holds, for whoever composes another candidate. */
  async folderSets(): Promise<readonly PolicySet[]> { return this.#options.folder ? [await this.#options.folder.read()] : []; }
  base(): { readonly base?: OperatorPolicy } { return this.#options.base ? { base: this.#options.base } : {}; }
  /** Calls back with what is put in force from now on, and with what is. Answers the way to stop. */
  onChange(listener: (engine: ActiveEngine) => void): () => void {
    this.#listeners.add(listener);
    const engine = this.engine();
    if (engine) listener(engine);
    return () => { this.#listeners.delete(listener); };
  }
  /** Argument policies in force for a tenant's principals: the operator's, then the tenant's own. */
  readonly rules = (tenant: string | undefined): readonly PolicyRule[] => rulesIn(this.#sets, tenant);

  async stop(): Promise<void> { for (const stop of this.#stops.splice(0)) await stop(); }

  async #once(): Promise<void> {
    const { log } = this.#options;
    const before = this.#active.revision;
    try {
      const sets = await this.#read();
      const revision = await this.#active.activate(await this.#candidate(sets));
      this.#sets = sets;
      this.#trouble = undefined;
      if (revision === before) return;
      log?.info({ revision }, 'policy is in force');
      const engine = this.engine();
      if (engine) for (const listener of this.#listeners) listener(engine);
    } catch (failure) {
      this.#trouble = failure instanceof Error ? failure.message : String(failure);
      log?.error({ err: failure, in_force: before ?? 'none' }, 'the policy was refused; the last good one stays in force');
      // Without its own parts the shipped policy denies less than was asked for: nothing is put in force in their stead.
    }
  }

  async #read(): Promise<readonly PolicySet[]> {
    const { folder, store } = this.#options;
    return [...(folder ? [await folder.read()] : []), ...(store ? [await storedSet(store)] : [])];
  }

  #candidate(sets: readonly PolicySet[]): Promise<Candidate> {
    const { base, store, compilerFolder } = this.#options;
    return compose(sets, { ...(base ? { base } : {}), module: async (own, digest) => await store?.module(digest) ?? (compilerFolder === undefined ? undefined : await compileRego(own, { compilerFolder })) });
  }
}

/** What the control plane stores, in force. */
export async function storedSet(store: Pick<PolicyStore, 'active'>): Promise<PolicySet> {
  const { policies } = await store.active();
  const operator = policies.find(({ scope }) => scope === undefined);
  return { ...(operator ? { operator: operator.files } : {}), tenants: Object.fromEntries(policies.flatMap(({ scope, files }) => (scope === undefined ? [] : [[scope, files]]))) };
}

/** Of sets that were put in force. */
export const rulesIn = (sets: readonly PolicySet[], tenant: string | undefined): readonly PolicyRule[] => [
  ...sets.flatMap(({ operator }) => (operator ? rulesOf(operator) : [])), ...sets.flatMap(({ tenants }) => { const own = tenant === undefined ? undefined : tenants[tenant]; return own ? rulesOf(own) : []; }),
];

interface Composing {
  readonly base?: OperatorPolicy;
  /** The compiled module of own Rego; undefined: there is none and no way to make one. */
  readonly module: (own: OwnRego, digest: string) => Promise<Uint8Array | undefined>;
}

export interface Merged { readonly operator: OperatorPolicy; readonly own: { readonly rego: OwnRego; readonly digest: string; readonly first: string } | undefined }

/** Several sets as one, the later on top of the earlier. Throws `PolicyRefused`. */
export function merge(sets: readonly PolicySet[], base: OperatorPolicy = {}): Merged {
  let operator: OperatorPolicy = base;
  const tenants: Record<string, TenantPolicy> = { ...base.tenants };
  let ownOperator: OwnRegoFile | undefined;
  const ownTenants: Record<string, OwnRegoFile> = {};
  for (const set of sets) {
    if (set.operator) {
      const { data, rego } = readOperatorFiles(set.operator);
      operator = { ...operator, ...data, ...(operator.rules || data.rules ? { rules: [...operator.rules ?? [], ...data.rules ?? []] } : {}) };
      if (rego && ownOperator) throw new PolicyRefused([{ file: rego.file, message: `the operator has own Rego in two places (${ownOperator.file}): keep it in the folder or in the store` }]);
      ownOperator = rego ?? ownOperator;
    }
    for (const [tenant, files] of Object.entries(set.tenants)) {
      const { data, rego } = readTenantFiles(files);
      const below = tenants[tenant];
      if (below?.access && data.access) throw new PolicyRefused([{ file: tenant, message: `tenant ${tenant} has a role file in two places: keep it in the folder or in the store` }]);
      // Neither place loosens what the other says.
      const denied = below?.denied && data.denied ? either(below.denied, data.denied) : below?.denied ?? data.denied;
      const destructive = [below?.destructive, data.destructive].includes('deny') ? 'deny' : data.destructive ?? below?.destructive;
      tenants[tenant] = { ...below, ...data, ...(denied ? { denied } : {}), ...(destructive ? { destructive } : {}), ...(below?.rules || data.rules ? { rules: [...below?.rules ?? [], ...data.rules ?? []] } : {}) };
      if (rego && ownTenants[tenant]) throw new PolicyRefused([{ file: rego.file, message: `tenant ${tenant} has own Rego in two places: keep it in the folder or in the store` }]);
      if (rego) ownTenants[tenant] = rego;
    }
  }
  return { operator: { ...operator, tenants }, own: ownRego(ownOperator, ownTenants) };
}

/** One candidate of several sets. Throws `PolicyRefused`. */
export async function compose(sets: readonly PolicySet[], { base, module }: Composing): Promise<Candidate> {
  const { operator, own } = merge(sets, base);
  if (!own) return { operator };
  const wasm = await module(own.rego, own.digest);
  if (!wasm) throw new PolicyRefused([{ file: own.first, message: NO_COMPILER }]);
  return { operator, wasm, varies: ['arguments', 'time'] };
}

const either = (a: Matcher, b: Matcher): Matcher => (a.all || b.all ? { all: true } : { names: { ...a.names, ...b.names }, patterns: [...a.patterns ?? [], ...b.patterns ?? []] });

/** File names made unique by their scope, since two tenants may call theirs alike. */
function ownRego(operator: OwnRegoFile | undefined, tenants: Readonly<Record<string, OwnRegoFile>>): Merged['own'] {
  const named = Object.entries(tenants).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([tenant, { file, rego }]) => [tenant, { file: `${tenant}/${file}`, rego }] as const);
  const first = operator?.file ?? named[0]?.[1].file;
  if (first === undefined) return undefined;
  const rego: OwnRego = { ...(operator ? { operator } : {}), tenants: Object.fromEntries(named) };
  return { rego, first, digest: createHash('sha256').update(JSON.stringify([operator ?? null, named])).digest('hex') };
}
