import type { FastifyInstance } from 'fastify';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { resourceMetadataUrl } from '#libs/auth/well-known.js';
import { Denial } from '#libs/core/errors.js';
import type { Eventually, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Metrics } from '#libs/observability/metrics.js';
import type { Gateway } from './compose.js';

export interface GatewayDoor {
  /** Canonical URL of the MCP endpoint, whose metadata each challenge names. */
  readonly resource: string;
  /** Routes that need no token, as `METHOD /matched/route`. */
  readonly open: readonly string[];
}

/** Puts the door on the server. Throws where no module proves tokens: a door that is asked for is never left out. */
export const gatewayDoor = ({ resource, open }: GatewayDoor) => (server: FastifyInstance, { verifier, metrics, logger }: Gateway): void => {
  if (!verifier) throw new Error('Authentication is on, but no module proves tokens: import AuthModule');
  installDoor(server, {
    verifier: measured(verifier, metrics), isPublic: publicRoutes(open), resourceMetadataUrl: resourceMetadataUrl(resource),
    refused: (requestId, reason) => { logger.info({ request_id: requestId, reason }, 'token refused'); },
  });
};

/** Counts and times every bearer token that is checked. */
function measured(verifier: TokenVerifier, metrics: Metrics | undefined): TokenVerifier {
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
