import { type DynamicModule, Inject, Module, type OnApplicationShutdown, Optional } from '@nestjs/common';
import type { Outbound } from '#libs/core/outbound.js';
import type { PolicyOffice } from '#libs/core/policy-office.js';
import type { PolicyStore } from '#libs/core/policy-store.js';
import type { AdministrationPolicy, Log, PolicyDecisionPoint, ReadinessCheck, Redactor } from '#libs/core/ports.js';
import { ADMINISTRATION, DECISION_LOG, LOG, POLICY, POLICY_OFFICE, POLICY_STORE, READINESS, REDACTOR } from '#libs/core/tokens.js';
import { administrationPolicy } from './administration.js';
import { configuredDecision } from './configured-decision.js';
import { policyDecisionPoint } from './decision-point.js';
import type { OperatorPolicy } from './policy-data.js';
import { folderPolicies } from './policy-folder.js';
import { PolicyInForce } from './policy-in-force.js';
import { policyOffice } from './policy-office.js';
import { RecentDecisions } from './recent-decisions.js';
import { sidecarEngine } from './sidecar-engine.js';
import { SidecarPolicy } from './sidecar-policy.js';

export interface EngineOptions {
  readonly mode: 'opa';
  /** `dev`, `staging` or `prod`, as policies see it. */
  readonly environment: string;
  /** Milliseconds that a decision is remembered; see `policyDecisionPoint`. */
  readonly cacheMs?: number;
  /** An OPA server that decides; undefined: the embedded evaluator. */
  readonly sidecar?: { readonly url: string; readonly timeoutMs: number; /** The server's bundle, written here; see `SidecarPolicy`. */ readonly bundleFile?: string; /** May reach the server; closed with the module. */ readonly outbound: Outbound & { close(): Promise<void> } };
  /** Folder of policies; beside a server it needs `bundleFile`. */
  readonly folder?: string;
  /** Of the Rego compiler. */
  readonly compilerFolder?: string;
  /** Under everything else. */
  readonly base?: OperatorPolicy;
  /** Whether policies are made here (`POLICY_OFFICE`): the control plane. */
  readonly office?: boolean;
  /** Whether the last calls are remembered in this process, to be explained (`DECISION_LOG`). */
  readonly remembers?: boolean;
}
/** `open` allows every authenticated call to what its tenant may see. */
export type PolicyOptions = { readonly mode: 'open' | 'deny' } | EngineOptions;

/** Obligations that the call line fulfils. */
const ENFORCED: ReadonlySet<string> = new Set(['confirm']);

const SIDECAR = Symbol('Sidecar');

/** Whether a call may be made. A process without this module denies every call. */
@Module({})
export class PolicyModule implements OnApplicationShutdown {
  constructor(@Optional() @Inject(PolicyInForce) private readonly inForce?: PolicyInForce, @Optional() @Inject(SidecarPolicy) private readonly beside?: SidecarPolicy, @Optional() @Inject(SIDECAR) private readonly sidecar?: { close(): Promise<void> }) {}

  static with(options: PolicyOptions): DynamicModule {
    if (options.mode !== 'opa') {
      const { mode } = options;
      return { module: PolicyModule, global: true, providers: [{ provide: POLICY, useFactory: () => configuredDecision(mode) }], exports: [POLICY] };
    }
    return options.sidecar ? besideAServer(options, options.sidecar) : embedded(options);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.inForce?.stop();
    await this.beside?.stop();
    await this.sidecar?.close();
  }
}

function embedded(options: EngineOptions): DynamicModule {
  const { environment, cacheMs, folder, compilerFolder, base } = options;
  const open = async (log?: Log, store?: PolicyStore): Promise<PolicyInForce> => {
    const inForce = new PolicyInForce({
      ...(base ? { base } : {}), ...(folder === undefined ? {} : { folder: folderPolicies(folder) }), ...(store ? { store } : {}),
      ...(compilerFolder === undefined ? {} : { compilerFolder }), ...(log ? { log } : {}),
    });
    await inForce.start();
    return inForce;
  };
  return {
    module: PolicyModule, global: true,
    providers: [
      { provide: PolicyInForce, inject: [{ token: LOG, optional: true }, { token: POLICY_STORE, optional: true }], useFactory: open },
      { provide: POLICY, inject: [PolicyInForce], useFactory: (inForce: PolicyInForce): PolicyDecisionPoint => ({ ...policyDecisionPoint({ engine: inForce.engine, environment, enforces: ENFORCED, ...(cacheMs === undefined ? {} : { cacheMs }) }), onChange: (listener) => inForce.onChange(() => { listener(); }), rules: inForce.rules }) },
      { provide: ADMINISTRATION, inject: [PolicyInForce], useFactory: ({ engine }: PolicyInForce): AdministrationPolicy => administrationPolicy(engine) },
      ...(options.remembers === true ? [{ provide: DECISION_LOG, inject: [{ token: REDACTOR, optional: true }], useFactory: (redactor?: Redactor) => new RecentDecisions(redactor ? { redactor } : {}) }] : []),
      ...(options.office === true ? [{ provide: POLICY_OFFICE, inject: [PolicyInForce, POLICY_STORE], useFactory: (inForce: PolicyInForce, store: PolicyStore): PolicyOffice => policyOffice({ inForce, store, environment, ...(compilerFolder === undefined ? {} : { compilerFolder }) }) }] : []),
      { provide: READINESS.policy, inject: [PolicyInForce], useFactory: ({ readiness }: PolicyInForce): ReadinessCheck => readiness },
    ],
    exports: [POLICY, ADMINISTRATION, READINESS.policy, PolicyInForce, ...(options.office === true ? [POLICY_OFFICE] : []), ...(options.remembers === true ? [DECISION_LOG] : [])],
  };
}

function besideAServer({ environment, cacheMs, base, folder }: EngineOptions, { url, timeoutMs, outbound, bundleFile }: NonNullable<EngineOptions['sidecar']>): DynamicModule {
  const open = async (log?: Log, store?: PolicyStore): Promise<SidecarPolicy> => {
    const policy = new SidecarPolicy({
      engine: sidecarEngine({ url, timeoutMs, outbound }), ...(bundleFile === undefined ? {} : { bundleFile }), ...(base ? { base } : {}),
      ...(folder === undefined ? {} : { folder: folderPolicies(folder) }), ...(store ? { store } : {}), ...(log ? { log } : {}),
    });
    await policy.start();
    return policy;
  };
  return {
    module: PolicyModule, global: true,
    providers: [
      { provide: SIDECAR, useValue: outbound },
      { provide: SidecarPolicy, inject: [{ token: LOG, optional: true }, { token: POLICY_STORE, optional: true }], useFactory: open },
      { provide: POLICY, inject: [SidecarPolicy], useFactory: (beside: SidecarPolicy): PolicyDecisionPoint => ({
        ...policyDecisionPoint({ engine: beside.engine, environment, enforces: ENFORCED, ...(cacheMs === undefined ? {} : { cacheMs }) }), onChange: (listener) => beside.onChange(listener), rules: beside.rules,
      }) },
      { provide: READINESS.policy, inject: [SidecarPolicy], useFactory: ({ readiness }: SidecarPolicy): ReadinessCheck => readiness },
    ],
    exports: [POLICY, READINESS.policy, SidecarPolicy],
  };
}
