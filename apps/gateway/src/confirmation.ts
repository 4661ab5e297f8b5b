import { createHash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Allow, RecordedCall, ValidatedCall } from '#libs/core/call.js';
import { type Confirmation, Denial } from '#libs/core/errors.js';
import type { Eventually } from '#libs/core/ports.js';
import type { InputRequired } from '#libs/core/result.js';
import { tenantKey, type TenantSlug } from '#libs/core/tenant.js';
import { sealWith } from './mcp/seal.js';

/** How long an agreement may take, in milliseconds. */
const VALID_MS = 120_000;
/** Tokens remembered as used. One that was forgotten has long expired unless more than this are used in two minutes. */
const MAX_USED = 100_000;
/** Name of the question among a call's `inputRequests`. */
const QUESTION = 'stoa_confirm';

export interface Confirmations {
  /** The call as it may go on, or what stops it: without agreement `CONFIRMATION_REQUIRED`, refused `FORBIDDEN`. */
  ask(call: ValidatedCall): Eventually<ValidatedCall | Denial>;
}

type Stage = (call: ValidatedCall) => Eventually<RecordedCall | Denial>;

/** What policy ties to a person's agreement goes on with that agreement alone; everything else goes on at once. */
export const confirmed = (asking: Confirmations, stage: Stage): Stage => (call) => {
  if (call.decision.obligations?.some(({ kind }) => kind === 'confirm') !== true) return stage(call);
  const goOn = (asked: ValidatedCall | Denial): ReturnType<Stage> => (asked instanceof Denial ? asked : stage(asked));
  const asked = asking.ask(call);
  return asked instanceof Promise ? asked.then(goOn) : goOn(asked);
};

/**
 * Agreement by the client where it can be asked: an elicitation on the call's own stream before 2026-07-28, `input_required` in it, a token over
 * REST. A token is sealed, names principal, target and arguments, is good for two minutes and once in each replica. `key` has 32 bytes
 * and is shared by replicas.
 */
export function confirmations({ key, now = Date.now }: { readonly key: Uint8Array; readonly now?: () => number }): Confirmations {
  const seal = sealWith(key);
  const used = new LRUCache<string, true>({ max: MAX_USED });

  const issue = (call: ValidatedCall): Confirmation => ({
    message: question(call), expiresInSeconds: VALID_MS / 1000, token: seal.seal(contextOf(call), `${now() + VALID_MS}:${randomBytes(16).toString('base64url')}`),
  });
  /** Whether this is a token of this very call that was not used before; it is afterwards. */
  const redeem = (call: ValidatedCall, token: string): boolean => {
    const [until = '', nonce = ''] = seal.open(contextOf(call), token)?.split(':') ?? [];
    if (nonce === '' || Number(until) < now() || used.has(nonce)) return false;
    used.set(nonce, true);
    return true;
  };
  const required = (call: ValidatedCall, why = ''): Denial => {
    const confirmation = issue(call);
    return new Denial({ code: 'CONFIRMATION_REQUIRED', message: `${why}${confirmation.message}`, reason: 'confirm: not agreed to yet', confirmation, decision: call.decision });
  };

  return {
    ask(call) {
      const { exchange } = call;
      const answer = exchange.inputResponses?.[QUESTION];
      if (answer !== undefined && exchange.requestState !== undefined) {
        if (!agrees(answer)) return refused(call);
        return redeem(call, exchange.requestState) ? agreed(call, 'token') : required(call, 'The confirmation is not valid for this call any more. ');
      }
      if (exchange.request && exchange.clientCapabilities['elicitation'] !== undefined) {
        return exchange.request('elicitation/create', { message: question(call), requestedSchema: SCHEMA }).then((said) => (agrees(said) ? agreed(call, 'elicitation') : refused(call)), () => refused(call));
      }
      if (call.door === 'mcp-legacy') return new Denial({ code: 'FORBIDDEN', message: `${question(call)} This client cannot be asked: connect one that declares elicitation, or call over REST.`, reason: 'confirm: the client cannot be asked', decision: call.decision });
      return required(call);
    },
  };
}

const SCHEMA = { type: 'object', properties: { confirm: { type: 'boolean', title: 'Do it', description: 'Whether this is to be done.' } }, required: ['confirm'] } as const;

/** The same as MCP 2026-07-28 asks for it. */
export const agreementAsked = ({ message, token }: Confirmation): InputRequired => ({
  type: 'input_required', requestState: token, inputRequests: { [QUESTION]: { method: 'elicitation/create', params: { mode: 'form', message, requestedSchema: SCHEMA } } },
});
/** What stands for a person's agreement where the caller brings back its token. */
export const agreement = (token: string): { readonly inputResponses: Readonly<Record<string, unknown>>; readonly requestState: string } =>
  ({ inputResponses: { [QUESTION]: { action: 'accept', content: { confirm: true } } }, requestState: token });

function agrees(answer: unknown): boolean {
  const { action, content } = (typeof answer === 'object' && answer !== null ? answer : {}) as { readonly action?: unknown; readonly content?: { readonly confirm?: unknown } | null };
  return action === 'accept' && content?.confirm === true;
}

const question = ({ target, decision }: ValidatedCall): string =>
  decision.obligations?.find(({ kind }) => kind === 'confirm')?.message ?? `${target.title ?? target.name} is destructive. Confirm that ${target.name} is to be called with these arguments.`;

const refused = (call: ValidatedCall): Denial => new Denial({ code: 'FORBIDDEN', message: `${call.target.name} was not confirmed`, reason: 'confirm: refused by the client', decision: call.decision });

/** The decision with the agreement in it, so that it is on record. */
function agreed(call: ValidatedCall, how: string): ValidatedCall {
  const decision: Allow = { ...call.decision, obligations: [...call.decision.obligations ?? [], { kind: 'confirmed', message: how }] };
  (call as { decision: Allow }).decision = decision;
  return call;
}

function contextOf({ principal, kind, target, input }: ValidatedCall): string {
  const digest = createHash('sha256').update(JSON.stringify(input, sortedKeys)).digest('base64');
  return tenantKey(principal.tenant ?? ('-' as TenantSlug), 'confirm', principal.issuer, principal.subject, principal.clientId, kind, target.name, target.hash, digest);
}
const sortedKeys = (_: string, value: unknown): unknown =>
  (typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value);
