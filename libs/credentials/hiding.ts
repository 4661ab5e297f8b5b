import { Denial } from '#libs/core/errors.js';
import type { SecretResolver } from './credentials.js';

/** Tells `hide` of each secret before anybody has it, so that no log ever writes it. */
export const hiding = (resolver: SecretResolver, hide: (secret: string) => void): SecretResolver => {
  const told = (value: string | Denial): string | Denial => {
    if (!(value instanceof Denial)) hide(value);
    return value;
  };
  return {
    resolve(tenant, reference) {
      const value = resolver.resolve(tenant, reference);
      return value instanceof Promise ? value.then(told) : told(value);
    },
  };
};
