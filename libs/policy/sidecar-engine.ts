import { type Outbound, OutboundFailure, type OutboundResponse } from '#libs/core/outbound.js';
import { EngineFailure, type EngineAnswer, type PolicyEngine } from './engine.js';

/**
 * An OPA server's Data API (`POST /v1/data/stoa/authz/decision`), asked for each decision. `timeoutMs` is 200 by default; an answer is at most
 * 256 KiB. `outbound` must be allowed to reach the server's address, which is mostly loopback.
 */
export function sidecarEngine({ url, outbound, timeoutMs = 200 }: { readonly url: string; readonly outbound: Outbound; readonly timeoutMs?: number }): PolicyEngine {
  const base = `${url.replace(/\/+$/, '')}/v1/data/`;
  return {
    evaluate: async (input, entrypoint = 'stoa/authz/decision') => {
      let response: OutboundResponse;
      try {
        response = await outbound.request({ url: `${base}${entrypoint}?provenance=true`, method: 'POST', headers: [['content-type', 'application/json']], body: `{"input":${input}}`, timeoutMs, maxBytes: 256 * 1024 });
      } catch (cause) {
        const kind = cause instanceof OutboundFailure && cause.kind === 'timeout' ? 'timeout' : cause instanceof OutboundFailure && cause.kind === 'too-large' ? 'malformed' : 'unreachable';
        throw new EngineFailure(kind, `the policy server gave no answer: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }
      if (response.status !== 200) throw new EngineFailure(response.status >= 500 ? 'failed' : 'malformed', `the policy server answered ${response.status}`);
      return read(response.body);
    },
  };
}

function read(body: Uint8Array): EngineAnswer {
  let answer: { readonly result?: unknown; readonly provenance?: { readonly bundles?: Readonly<Record<string, { readonly revision?: unknown } | null>> | null } | null } | null;
  try { answer = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')) as typeof answer; } catch (cause) { throw new EngineFailure('malformed', 'the policy server answered no JSON', { cause }); }
  if (typeof answer !== 'object' || answer === null) throw new EngineFailure('malformed', 'the policy server answered no object');
  const bundles = answer.provenance?.bundles ?? {};
  const revisions = Object.values(bundles).map((bundle) => bundle?.revision).filter((revision): revision is string => typeof revision === 'string' && revision !== '');
  return { result: answer.result, revision: revisions.length === 0 ? 'sidecar' : revisions.join('+') };
}
