import { DocumentBackend } from '#libs/backends/document/document-backend.js';
import { FetchBackend } from '#libs/backends/fetch/fetch-backend.js';
import { InlineBackend } from '#libs/backends/inline/inline-backend.js';
import { PromptBackend } from '#libs/backends/prompt/prompt-backend.js';
import { RestBackend } from '#libs/backends/rest/rest-backend.js';
import { backendSpans } from '#libs/backends/rest/spans.js';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import { Denial } from '#libs/core/errors.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { Backend, CredentialResolver, Eventually, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import type { Metrics } from '#libs/observability/metrics.js';
import type { Tracing } from '#libs/core/tracing.js';
import type { Validator } from '#libs/validation/validator.js';
import type { GatewayParts } from './parts.js';

export interface BackendParts {
  readonly outbound: Outbound;
  readonly credentials: CredentialResolver;
  /** Where the documents are that the tenants' APIs were imported from. */
  readonly documents: Pick<CatalogueSource, 'document'>;
  readonly validator: Pick<Validator, 'checkOutput'>;
  readonly version: string;
  readonly tracing?: Tracing | undefined;
  /** Upper bound of a target's own timeout, in milliseconds. */
  readonly maxTimeoutMs: number;
  /** Makes a secret known to the logs, which then never write it. */
  readonly hide: (secret: string) => void;
  /** Default true: without it, tools of REST backends are listed and refused. */
  readonly rest?: boolean;
}

/** The backends of this version, by kind of binding. */
export function backendsOf(parts: BackendParts): GatewayParts['backends'] {
  const { outbound, version, validator, tracing } = parts;
  const rest = parts.rest === false ? undefined : new RestBackend({
    outbound, version, credentials: hiding(parts.credentials, parts.hide),
    checkOutput: (target, value) => validator.checkOutput(target, value),
    ...(tracing ? { startSpan: backendSpans(tracing) } : {}),
  });
  return {
    ...(rest ? { rest: cappedTimeout(rest, parts.maxTimeoutMs) } : {}),
    fetch: cappedTimeout(new FetchBackend({ outbound, version }), parts.maxTimeoutMs),
    inline: new InlineBackend(), prompt: new PromptBackend(), document: new DocumentBackend(parts.documents),
  };
}

function cappedTimeout(backend: Backend, maxMs: number): Backend {
  const capped = new WeakMap<Target, Target>();
  return {
    invoke: (call) => {
      if (call.target.timeoutMs <= maxMs) return backend.invoke(call);
      let target = capped.get(call.target);
      if (!target) capped.set(call.target, target = { ...call.target, timeoutMs: maxMs });
      return backend.invoke({ ...call, target });
    },
  };
}

const hiding = (resolver: CredentialResolver, hide: (secret: string) => void): CredentialResolver => ({
  resolve(tenant, reference) {
    const value = resolver.resolve(tenant, reference);
    return value instanceof Promise ? value.then((found) => hidden(found, hide)) : hidden(value, hide);
  },
});

const hidden = (value: string | Denial, hide: (secret: string) => void): string | Denial => {
  if (typeof value === 'string') hide(value);
  return value;
};

/** Counts and times every bearer token that is checked. */
export function measuredVerifier(verifier: TokenVerifier, metrics: Metrics | undefined): TokenVerifier {
  if (!metrics) return verifier;
  const measure = (answer: Principal | Denial, start: number): Principal | Denial => {
    metrics.tokenSeconds.observe((performance.now() - start) / 1000);
    if (answer instanceof Denial) metrics.authRequests.add(1, 'failure', answer.message.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_'));
    else metrics.authRequests.add(1, 'success', 'ok');
    return answer;
  };
  return {
    verify(token): Eventually<Principal | Denial> {
      const start = performance.now();
      const answer = verifier.verify(token);
      if (!(answer instanceof Promise)) return measure(answer, start);
      return answer.then((proved) => measure(proved, start), (failure: unknown) => { metrics.authRequests.add(1, 'error', 'unavailable'); throw failure; });
    },
  };
}
