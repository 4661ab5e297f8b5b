import type { FastifyInstance } from 'fastify';
import { installDoor, publicRoutes } from '#libs/auth/door.js';
import { resourceMetadataUrl } from '#libs/auth/well-known.js';
import { Denial } from '#libs/core/errors.js';
import type { Eventually, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Metrics } from '#libs/observability/metrics.js';
import type { Count } from '#libs/observability/series.js';
import type { Gateway } from './compose.js';
import { addressOf } from './limits.js';

export interface GatewayDoor {
  /** Canonical URL of the MCP endpoint, whose metadata each challenge names. */
  readonly resource: string;
  /** Routes that need no token, as `METHOD /matched/route`. */
  readonly open: readonly string[];
  /** Development only: who `X-Debug-User` names. */
  readonly debugUser?: (header: string) => Principal | Denial;
  /** See `DoorOptions.sealsTokens`. */
  readonly sealsTokens?: boolean;
}

/** Puts the door on the server. Throws where no module proves tokens: a door that is asked for is never left out. */
export const gatewayDoor = ({ resource, open, debugUser, sealsTokens = false }: GatewayDoor) => (server: FastifyInstance, { verifier, metrics, logger, limits }: Gateway): void => {
  if (!verifier) throw new Error('Authentication is on, but no module proves tokens: import AuthModule');
  installDoor(server, {
    verifier: measured(verifier, metrics), isPublic: publicRoutes(open), resourceMetadataUrl: resourceMetadataUrl(resource), ...(debugUser ? { debugUser } : {}), sealsTokens,
    ...(limits ? { failed: (request) => { void limits.door.failed(addressOf(limits, request)); } } : {}),
    refused: (requestId, reason) => { logger.info({ request_id: requestId, reason }, 'credential refused'); },
  });
};

/** Counts and times every credential that is checked. */
function measured(verifier: TokenVerifier, metrics: Metrics | undefined): TokenVerifier {
  if (!metrics) return verifier;
  const took = metrics.tokenSeconds.of();
  let proven: Count | undefined;
  const note = (answer: Principal | Denial, start: number): Principal | Denial => {
    took.observe((performance.now() - start) / 1000);
    if (answer instanceof Denial) metrics.authRequests.add(1, 'failure', answer.message.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_'));
    else (proven ??= metrics.authRequests.of('success', 'ok')).value += 1;
    return answer;
  };
  const measure = (answer: Eventually<Principal | Denial>, start: number): Eventually<Principal | Denial> => {
    if (!(answer instanceof Promise)) return note(answer, start);
    return answer.then((proved) => note(proved, start), (failure: unknown) => { metrics.authRequests.add(1, 'error', 'unavailable'); throw failure; });
  };
  return {
    verify: (token) => {
      const start = performance.now();
      return measure(verifier.verify(token), start);
    },
    ...(verifier.verifyBasic ? { verifyBasic: (credential: string) => {
      const start = performance.now();
      return measure(verifier.verifyBasic?.(credential) ?? NOT_TAKEN, start);
    } } : {}),
  };
}
const NOT_TAKEN = new Denial({ code: 'UNAUTHENTICATED', message: 'Not authenticated' });
