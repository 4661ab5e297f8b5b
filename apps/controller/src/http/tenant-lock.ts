import type { TenantSlug } from '#libs/core/tenant.js';

/** One at a time per tenant, in the order of asking. */
export class TenantLock {
  readonly #tails = new Map<TenantSlug, Promise<void>>();

  async run<T>(tenant: TenantSlug, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(tenant) ?? Promise.resolve();
    const mine = before.then(work);
    const tail = mine.then(() => undefined, () => undefined);
    this.#tails.set(tenant, tail);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(tenant) === tail) this.#tails.delete(tenant);
    }
  }
}
