import type { Allow } from '#libs/core/call.js';
import type { CallOutcome, CallRecord, CallUnits, RecordedDecision, RecordedPrincipal, RecordedTarget } from '#libs/core/call-record.js';
import type { AuthenticatedCall, ResolvedCall } from '#libs/core/call.js';
import type { Denial } from '#libs/core/errors.js';
import type { Principal } from '#libs/core/principal.js';
import type { Api, Target } from '#libs/core/target.js';

/**
 * A `CallRecord` as JSON text in two parts: the head is what is known before the backend is asked, the tail how it ended. A head ends, and a
 * tail begins, inside the object: `head + tail` is the record. What repeats is made once, so that a call costs a few concatenations.
 */
export class CallLines {
  private readonly principals = new WeakMap<Principal, string>();
  private readonly targets = new WeakMap<Target, string>();
  private readonly decisions = new WeakMap<Allow, string>();
  constructor(private readonly bootId: string) {}

  callId(seq: number): string { return `${this.bootId}-${seq}`; }

  head(seq: number, at: number, call: AuthenticatedCall & Partial<ResolvedCall> & { readonly decision?: Allow }, kept: string): string {
    const { target, decision, revision, principal, idempotencyKey } = call;
    const trace = traceIdOf(call.traceparent);
    return `{"v":1,"id":"${this.bootId}-${seq}","seq":${seq},"at":${at},"requestId":${quote(call.requestId)}`
      + (trace === undefined ? '' : `,"traceId":"${trace}"`)
      + `,"door":${quote(call.door)},"consumer":${quote(call.consumer)}`
      + (principal.tenant === undefined ? '' : `,"tenant":"${principal.tenant}"`)
      + this.principal(principal)
      + `,"kind":"${call.kind}","name":${quote(call.name.length > 256 ? call.name.slice(0, 256) : call.name)}`
      + (target ? this.target(target, call.api) : '')
      + (revision === undefined ? '' : `,"catalogue":${revision}`)
      + (decision ? this.decision(decision) : '')
      + kept
      + (idempotencyKey === undefined ? '' : `,"idempotencyKey":${quote(idempotencyKey)}`);
  }

  private principal(principal: Principal): string {
    let text = this.principals.get(principal);
    if (text === undefined) this.principals.set(principal, text = `,"principal":${JSON.stringify(recordedPrincipal(principal))}`);
    return text;
  }
  private target(target: Target, api: Api | undefined): string {
    let text = this.targets.get(target);
    if (text === undefined) {
      const { name, operationClass, tags, backend } = target;
      const recorded: RecordedTarget = { name, class: operationClass, tags, ...(api ? { api: api.name } : {}), backend: backend.kind };
      this.targets.set(target, text = `,"target":${JSON.stringify(recorded)}`);
    }
    return text;
  }
  private decision(decision: Allow): string {
    let text = this.decisions.get(decision);
    if (text === undefined) {
      const { ruleId, policyRevision, obligations } = decision;
      const recorded: RecordedDecision = { effect: 'allow', ruleId, revision: policyRevision, ...(obligations && obligations.length > 0 ? { obligations } : {}) };
      this.decisions.set(decision, text = `,"decision":${JSON.stringify(recorded)}`);
    }
    return text;
  }
}

/** What stopped the call, if anything did; its decision is told unless the head tells of one (`decided`). */
export function tail(outcome: CallOutcome, invoked: boolean, units: CallUnits, { denial, decided }: { readonly denial: Denial | undefined; readonly decided: boolean }): string {
  const refused = denial?.decision;
  const said: RecordedDecision | undefined = refused && !decided
    ? { effect: 'deny', ruleId: refused.ruleId, revision: refused.policyRevision, ...(denial.reason === undefined ? {} : { reason: denial.reason }) } : undefined;
  return (said ? `,"decision":${JSON.stringify(said)}` : '')
    + `,"outcome":"${outcome}"`
    + (denial ? `,"code":"${denial.code}"` : '')
    + (denial?.reason === undefined ? '' : `,"reason":${quote(denial.reason.slice(0, 1024))}`)
    + `,"invoked":${invoked},"units":{"requestBytes":${units.requestBytes},"responseBytes":${units.responseBytes},"backendMs":${units.backendMs},"totalMs":${units.totalMs},"attempts":${units.attempts}`
    + (units.reported ? `,"reported":${JSON.stringify(units.reported)}` : '') + '}}';
}

/** How a call that nobody saw the end of is told. */
export const UNKNOWN_TAIL = ',"outcome":"unknown","reason":"the gateway ended, or its journal failed, before the call\'s ending was on record","invoked":true,'
  + '"units":{"requestBytes":0,"responseBytes":0,"backendMs":0,"totalMs":0,"attempts":1}}';

/** The record of the two parts. Throws `SyntaxError` for what is not one. */
export const parseRecord = (text: string): CallRecord => JSON.parse(text) as CallRecord;

function recordedPrincipal({ issuer, subject, clientId, credentialId, roles, scopes, actors }: Principal): RecordedPrincipal {
  return { issuer, subject, clientId, ...(credentialId === undefined ? {} : { credentialId }), roles: [...roles], scopes: [...scopes], ...(actors && actors.length > 0 ? { actors } : {}) };
}

/** Trace id of a `traceparent` (W3C Trace Context §3.2), if it is one. */
function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent.slice(3, 35) : undefined;
}
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}/;

const PLAIN = /^[\w .:/@+~=,;-]*$/;
const quote = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));
