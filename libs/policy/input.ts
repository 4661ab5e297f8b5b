import { hash } from 'node:crypto';
import type { Principal } from '#libs/core/principal.js';
import type { PolicyQuestion } from '#libs/core/ports.js';
import type { Target } from '#libs/core/target.js';

/** The part of the input that is the same for every call of a target by a principal. */
export interface StaticInput {
  /** JSON text of the document up to its last static member, without the closing brace. */
  readonly text: string;
  /** SHA-256 (hex) of `text`: two principals with the same facts share decisions, two tenants never. */
  readonly digest: string;
}
export type Action = 'invoke' | 'list';

/** Makes and keeps static inputs, for as long as the principal's verified token and the target's snapshot live. */
export function staticInputs(environment: string): (principal: Principal, target: Target) => StaticInput {
  const known = new WeakMap<Principal, WeakMap<Target, StaticInput>>();
  return (principal, target) => {
    let targets = known.get(principal);
    if (!targets) known.set(principal, targets = new WeakMap());
    let made = targets.get(target);
    if (!made) {
      targets.set(target, made = staticInput(principal, target, environment));
    }
    return made;
  };
}

export function staticInput(principal: Principal, target: PolicyQuestion['target'], environment: string): StaticInput {
  const text = JSON.stringify(facts(principal, target, environment)).slice(0, -1);
  return { text, digest: hash('sha256', text) };
}

const facts = (principal: Principal, target: PolicyQuestion['target'], environment: string): object => ({
  principal: {
    subject: principal.subject, client: principal.clientId, issuer: principal.issuer, tenant: principal.tenant ?? null,
    roles: [...principal.roles].toSorted(), scopes: [...principal.scopes].toSorted(), ...(principal.allowedTools ? { allowed_tools: [...principal.allowedTools].toSorted() } : {}),
  },
  tool: {
    kind: target.kind, name: target.name, tenant: target.tenant ?? null, class: target.operationClass, tags: target.tags,
    category: target.category ?? null, backend: target.backend.kind, api: target.apiId ?? null,
  },
  environment,
});

const classes = new WeakMap<Principal, { narrow?: string; wide?: string }>();
/** Two principals with the same text are told the same in lists; `personal` where the policy may look at who they are. */
export function principalClass(principal: Principal, personal: boolean): string {
  let known = classes.get(principal);
  if (!known) classes.set(principal, known = {});
  return known[personal ? 'narrow' : 'wide'] ??= hash('sha256', JSON.stringify([
    principal.tenant ?? null, [...principal.roles].toSorted(), [...principal.scopes].toSorted(), principal.allowedTools ? [...principal.allowedTools].toSorted() : null,
    ...(personal ? [principal.issuer, principal.subject, principal.clientId] : []),
  ]), 'base64url');
}

/** What differs from call to call. `args` undefined: left out. */
export function inputText(known: StaticInput, call: { readonly action: Action; readonly door: string; readonly at: number | undefined; readonly args: unknown; /** Answers also tell which clauses were tried. */ readonly trace?: boolean }): string {
  let text = `${known.text},"action":"${call.action}","door":${JSON.stringify(call.door)}`;
  if (call.at !== undefined) {
    const date = new Date(call.at);
    text += `,"time":{"unix":${Math.floor(call.at / 1000)},"hour":${date.getUTCHours()},"weekday":${date.getUTCDay()}}`;
  }
  if (call.args !== undefined) text += `,"arguments":${JSON.stringify(call.args)}`;
  if (call.trace === true) text += ',"trace":true';
  return `${text}}`;
}
