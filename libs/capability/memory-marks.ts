import { Unavailable } from '#libs/core/errors.js';
import type { TenantKey } from '#libs/core/tenant.js';
import type { Marks } from './marks.js';

/** More marks than this are refused rather than kept: two minutes at over 800 a second. */
const MOST = 100_000;

/** Marks that end. Nothing that still counts is ever dropped for want of room. */
export class Ending {
  private readonly until = new Map<TenantKey, number>();
  constructor(private readonly now: () => number, private readonly most = MOST) {}
  has(key: TenantKey): boolean { return (this.until.get(key) ?? 0) > this.now(); }
  /** False: it was there before. Throws `Unavailable` when there is no room. */
  add(key: TenantKey, until: number): boolean {
    if (this.has(key)) return false;
    if (this.until.size >= this.most) this.sweep();
    if (this.until.size >= this.most) throw new Unavailable('capability marks');
    this.until.set(key, until);
    return true;
  }
  private sweep(): void { for (const [key, until] of this.until) if (until <= this.now()) this.until.delete(key); }
}

/** For one replica: several would each let a one-time token pass once. `now` in milliseconds since the epoch. */
export function memoryMarks(now: () => number, most?: number): Marks {
  const spent = new Ending(now, most);
  const revoked = new Ending(now, most);
  return {
    replay: { spend: (token, until) => spent.add(token, until), isSpent: (token) => spent.has(token) },
    revocations: { revoke: (token, until) => { revoked.add(token, until); }, isRevoked: (tokens) => tokens.some((token) => revoked.has(token)) },
    close: () => undefined,
  };
}
