import { hash, randomBytes } from 'node:crypto';
import type { Ending, ReplayedCall, ValidatedCall } from '#libs/core/call.js';
import { Denial, type DenialFacts, type ErrorCode } from '#libs/core/errors.js';
import type { Eventually, Log, Replays } from '#libs/core/ports.js';
import { tenantKey, type TenantKey, type TenantSlug } from '#libs/core/tenant.js';
import type { Held, KeptAnswer, KeptAnswers } from './kept-answers.js';
import { lasting } from './lasting.js';

/** A day, in milliseconds. */
const KEEP_MS = 86_400_000;
/** Beyond its target's timeout: the person who is asked to confirm, the disk, the redaction. */
const HOLD_MS = 300_000;
/** Of an answer as JSON. */
const MOST_BYTES = 1024 * 1024;
const KEY = /^[\x21-\x7e]{1,255}$/;
/** What stops a call of which the backend may have heard. Everything else gives the key back. */
const MAYBE_DONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['BACKEND_ERROR', 'BACKEND_TIMEOUT', 'BACKEND_UNREACHABLE', 'BACKEND_RESPONSE_TOO_LARGE', 'BACKEND_CONTRACT_VIOLATION', 'CANCELLED', 'INTERNAL']);

export interface ReplaysOptions {
  readonly answers: KeptAnswers;
  readonly log?: Pick<Log, 'warn'>;
  /** Milliseconds that an answer is kept. Default a day. */
  readonly keepMs?: number;
}

interface Mine { readonly key: TenantKey; readonly owner: string; readonly digest: string }

/**
 * `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): the same key of the same principal with the same tool and arguments is the same call.
 * The first is made and runs to its end though its client leaves; later ones are told its result. A key whose call never reached a
 * backend is free again.
 */
export function idempotency({ answers, log, keepMs = KEEP_MS }: ReplaysOptions): Replays {
  const mine = new WeakMap<object, Mine>();

  const begin = (call: ValidatedCall, one: Mine, held: Held | undefined): ReplayedCall | Denial | undefined => {
    if (!held) {
      mine.set(call, one);
      (call as { exchange: ValidatedCall['exchange'] }).exchange = lasting(call.exchange);
      return undefined;
    }
    if (held.digest !== one.digest) return conflict('This Idempotency-Key was used for another call: take a new key.');
    const { kept } = held;
    if (!kept) return conflict('A call with this Idempotency-Key is under way: try again later.', 1);
    if ('denial' in kept) return new Denial({ ...kept.denial, reason: `as call ${kept.callId} before` });
    if ('tooLarge' in kept) return conflict('The call with this Idempotency-Key was made; its answer was too large to be kept.');
    return Object.assign(call, { answer: kept.answer, replayOf: kept.callId });
  };

  return {
    replay(call): Eventually<ReplayedCall | Denial | undefined> {
      const { idempotencyKey } = call;
      if (idempotencyKey === undefined) return undefined;
      if (!KEY.test(idempotencyKey)) return new Denial({ code: 'INVALID_ARGUMENTS', message: 'Idempotency-Key is 1 to 255 visible ASCII characters.' });
      const one: Mine = { key: keyOf(call, idempotencyKey), owner: randomBytes(12).toString('base64url'), digest: digestOf(call) };
      const held = answers.take(one.key, one.owner, one.digest, call.target.timeoutMs + HOLD_MS);
      return held instanceof Promise ? held.then((found) => begin(call, one, found)) : begin(call, one, held);
    },
    settle(ending: Ending): Eventually<void> {
      const one = mine.get(ending.reached);
      if (!one) return undefined;
      mine.delete(ending.reached);
      // Whoever asks again before the key is free by itself is told that the call is under way.
      const failed = (failure: unknown): void => { log?.warn({ err: failure, request_id: ending.reached.requestId }, 'an answer could not be kept for its Idempotency-Key'); };
      try {
        const kept = keptOf(ending);
        const done = kept ? answers.keep(one.key, { digest: one.digest, kept }, keepMs) : answers.free(one.key, one.owner);
        return done instanceof Promise ? done.catch(failed) : undefined;
      } catch (failure) { failed(failure); return undefined; }
    },
  };
}

/** What is told to whoever asks again: the result after redaction, without what the first one used. Undefined: the call is still to be made. */
function keptOf({ reached: { callId, answer, result }, denial }: Ending): KeptAnswer | undefined {
  if (callId === undefined) return undefined;
  if (denial) return MAYBE_DONE.has(denial.code) ? { callId, denial: factsOf(denial) } : undefined;
  if (!answer || !result || result.type === 'input_required') return undefined;
  const kept: KeptAnswer = { callId, answer: { result, outcome: answer.outcome, latencyMs: 0, bytes: 0, attempts: 0 } };
  return JSON.stringify(kept).length > MOST_BYTES ? { callId, tooLarge: true } : kept;
}

const factsOf = ({ code, message, issues, backendStatus }: Denial): DenialFacts => ({ code, message, ...(issues ? { issues } : {}), ...(backendStatus === undefined ? {} : { backendStatus }) });
const conflict = (message: string, retryAfterSeconds?: number): Denial => new Denial({ code: 'IDEMPOTENCY_CONFLICT', message, reason: message, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) });

const keyOf = ({ principal: { tenant, issuer, subject, clientId } }: ValidatedCall, key: string): TenantKey => tenantKey(tenant ?? ('-' as TenantSlug), hash('sha256', JSON.stringify([issuer, subject, clientId, key]), 'base64url'));
const digestOf = (call: ValidatedCall): string => hash('sha256', JSON.stringify([call.kind, call.name, call.arguments ?? null], sortedKeys), 'base64url');
const sortedKeys = (_: string, value: unknown): unknown => (typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value);
