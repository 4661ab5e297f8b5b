import type { AuthenticatedCall, ResolvedCall } from '../call.js';
import type { Catalogue, CatalogueSnapshot } from '../catalogue.js';
import { Denial } from '../errors.js';
import type { Eventually } from '../ports.js';
import type { Principal } from '../principal.js';
import { templateFor } from '../resource-template.js';
import type { Target } from '../target.js';

/** What the platform offers beside a tenant's own catalogue. */
export interface PlatformTargets {
  /** Undefined also for what this principal may not see. */
  find(kind: Target['kind'], name: string, principal: Principal): Target | undefined;
}

/** Find what is called. Another tenant's thing, a disabled one and one that never existed give the same denial, byte for byte. */
export const resolve = (catalogue: Catalogue, platform: PlatformTargets) => (call: AuthenticatedCall): Eventually<ResolvedCall | Denial> => {
  const own = platform.find(call.kind, call.name, call.principal);
  if (own) return resolved(call, own, undefined, undefined);
  const tenant = call.principal.tenant;
  if (tenant === undefined) return notFound(call);
  const snapshot = catalogue.snapshot(tenant);
  return snapshot instanceof Promise ? snapshot.then((loaded) => inSnapshot(call, loaded)) : inSnapshot(call, snapshot);
};

function inSnapshot(call: AuthenticatedCall, snapshot: CatalogueSnapshot | undefined): ResolvedCall | Denial {
  if (!snapshot) return notFound(call);
  const targets = call.kind === 'tool' ? snapshot.tools : call.kind === 'resource' ? snapshot.resources : snapshot.prompts;
  const target = targets.get(call.name);
  if (!target) return call.kind === 'resource' ? fromTemplate(call, snapshot) : notFound(call);
  return resolved(call, target, target.apiId === undefined ? undefined : snapshot.apis.get(target.apiId), snapshot.revision);
}

/** A URI that expands a template of the tenant's is a call of the template, with the variables as its arguments. */
function fromTemplate(call: AuthenticatedCall, snapshot: CatalogueSnapshot): ResolvedCall | Denial {
  const found = templateFor(snapshot, call.name);
  if (!found) return notFound(call);
  (call as { arguments: unknown }).arguments = found.variables;
  return resolved(call, found.target, found.target.apiId === undefined ? undefined : snapshot.apis.get(found.target.apiId), snapshot.revision);
}

const resolved = (call: AuthenticatedCall, target: Target, api: ResolvedCall['api'], revision: number | undefined): ResolvedCall => {
  const next = call as AuthenticatedCall & { target: Target; api: ResolvedCall['api']; revision?: number };
  next.target = target;
  next.api = api;
  if (revision !== undefined) next.revision = revision;
  return next;
};

const NOUN = { tool: 'Tool', resource: 'Resource', prompt: 'Prompt' } as const;
const notFound = (call: AuthenticatedCall): Denial => new Denial({ code: 'NOT_FOUND', message: `${NOUN[call.kind]} not found: ${call.name}` });
