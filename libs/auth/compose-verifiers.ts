import { Denial } from '#libs/core/errors.js';
import type { CredentialVerifier, Eventually, TokenVerifier } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';

/**
 * One verifier of several: a bearer credential goes to the first of `kinds` whose form it has, and to nobody else, whatever that
 * one answers; all others are for `tokens`. Basic credentials are for `basic`, and refused by the door without it.
 */
export function composeVerifiers(tokens: TokenVerifier, kinds: readonly CredentialVerifier[], basic?: (credential: string) => Eventually<Principal | Denial>): TokenVerifier {
  return {
    verify(token) {
      for (const kind of kinds) if (kind.takes(token)) return kind.verify(token);
      return tokens.verify(token);
    },
    ...(basic === undefined ? {} : { verifyBasic: basic }),
  };
}

/** API keys where no module knows them: told from a malformed token, so that their holder is not sent to look for another fault. */
export const noApiKeys: CredentialVerifier = {
  takes: (token) => token.startsWith('stoa_sk_'),
  verify: () => new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid API key', reason: 'API keys are switched off here' }),
};
