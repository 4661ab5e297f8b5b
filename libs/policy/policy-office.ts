import { LRUCache } from 'lru-cache';
import type { PolicyFiles, PolicyOffice, PolicyRemark, PolicyScope } from '#libs/core/policy-office.js';
import type { PolicyModuleFile, PolicyStore } from '#libs/core/policy-store.js';
import type { PolicyQuestion, PolicyTrace } from '#libs/core/ports.js';
import { ActivePolicy, type Candidate } from './active-policy.js';
import { compileRego } from './compile-rego.js';
import { policyDecisionPoint } from './decision-point.js';
import { lint } from './lint.js';
import { PolicyRefused } from './policy-refused.js';
import { digestOf, type PolicySet, readOperatorFiles, readTenantFiles } from './policy-files.js';
import { compose, type PolicyInForce } from './policy-in-force.js';

export interface OfficeOptions {
  readonly inForce: PolicyInForce;
  readonly store: PolicyStore;
  readonly environment: string;
  /** Of the Rego compiler; undefined: own Rego is refused. */
  readonly compilerFolder?: string;
}

interface Composed { readonly candidate: Candidate; readonly module: PolicyModuleFile | undefined }

/** Policies as the control plane takes them: checked together with everybody else's before they are stored. */
export function policyOffice({ inForce, store, environment, compilerFolder }: OfficeOptions): PolicyOffice {
  // One at a time: what is checked is what will be in force.
  let last: Promise<unknown> = Promise.resolve();
  const oneByOne = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  };

  /** All that would decide with these files in their scope, or without any. */
  const composed = async ({ tenant }: PolicyScope, files: PolicyFiles | undefined): Promise<Composed> => {
    const others = (await store.active()).policies.filter(({ scope }) => scope !== tenant);
    const stored: PolicySet = {
      ...withOperator(tenant === undefined ? files : others.find(({ scope }) => scope === undefined)?.files),
      tenants: { ...Object.fromEntries(others.flatMap((one) => (one.scope === undefined ? [] : [[one.scope, one.files]]))), ...(tenant !== undefined && files ? { [tenant]: files } : {}) },
    };
    let module: PolicyModuleFile | undefined;
    const candidate = await compose([...await inForce.folderSets(), stored], {
      ...inForce.base(),
      module: async (own, digest) => {
        const wasm = await store.module(digest) ?? (compilerFolder === undefined ? undefined : await compileRego(own, { compilerFolder }));
        if (wasm) module = { digest, wasm };
        return wasm;
      },
    });
    return { candidate, module };
  };
  const tried = async (scope: PolicyScope, files: PolicyFiles | undefined): Promise<Composed & { readonly revision: string }> => {
    const own = Object.keys(files ?? {});
    try {
      const made = await composed(scope, files);
      // What takes too long or fails is own Rego, where there is any.
      return { ...made, revision: await new ActivePolicy().activate({ ...made.candidate, file: own.find((name) => name.endsWith('.rego')) ?? own[0] ?? 'policy' }) };
    } catch (failure) { throw failure instanceof PolicyRefused ? told(failure, scope, own) : failure; }
  };

  // Those that decided before, for questions about the past.
  const past = new LRUCache<string, (question: PolicyQuestion) => Promise<PolicyTrace>>({ max: 20 });
  const now = policyDecisionPoint({ engine: inForce.engine, environment, enforces: new Set(['confirm']), cacheMs: 0 }).trace;
  inForce.onChange((engine) => { past.set(engine.revision, policyDecisionPoint({ engine: () => engine, environment, enforces: new Set(['confirm']), cacheMs: 0 }).trace); });

  return {
    validate: async (scope, files) => {
      const remarks = read(scope, files);
      await tried(scope, files);
      return remarks;
    },
    apply: (scope, files, by) => oneByOne(async () => {
      const remarks = read(scope, files);
      const { module, revision: inForceThen } = await tried(scope, files);
      const digest = digestOf(files);
      const { revision } = await store.put({ scope: scope.tenant, digest, files, createdBy: by }, module);
      await inForce.reload();
      return { digest, revision, inForce: inForceThen, remarks };
    }),
    withdraw: (scope) => oneByOne(async () => {
      const { module, revision: inForceThen } = await tried(scope, undefined);
      const { revision } = await store.withdraw(scope.tenant, module);
      await inForce.reload();
      return { revision, inForce: inForceThen };
    }),
    history: ({ tenant }) => store.history(tenant),
    check: now,
    checkUnder: async (revision, question) => past.get(revision)?.(question),
    revision: () => inForce.engine()?.revision,
  };
}

/** In the author's own file names, and without a word about files of others. */
function told({ issues }: PolicyRefused, { tenant }: PolicyScope, own: readonly string[]): PolicyRefused {
  return new PolicyRefused(issues.map((issue) => {
    const file = tenant !== undefined && issue.file.startsWith(`${tenant}/`) ? issue.file.slice(tenant.length + 1) : issue.file;
    if (tenant === undefined || own.includes(file) || file === 'policy') return { ...issue, file };
    return { file: own[0] ?? 'policy', message: 'does not go together with a policy that is already in force: ask the platform\'s administrator' };
  }));
}

function read({ tenant, tools }: PolicyScope, files: PolicyFiles): readonly PolicyRemark[] {
  const known = tools ? { tools } : {};
  return lint((tenant === undefined ? readOperatorFiles(files, known) : readTenantFiles(files, known)).data, known);
}
const withOperator = (operator: PolicyFiles | undefined): { readonly operator?: PolicyFiles } => (operator ? { operator } : {});
