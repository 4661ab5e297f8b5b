import type { FastifyReply } from 'fastify';
import type { Principal } from '#libs/core/principal.js';
import { type TenantKey, type TenantSlug, tenantKey } from '#libs/core/tenant.js';
import { type EventStream, openEventStream } from './event-stream.js';
import type { McpLimits } from './options.js';

/** Timers take at most a 32-bit number of milliseconds. */
const LONGEST_TIMER = 2_147_483_647;

/** One key for one caller: whoever holds another token of the same subject is the same caller. */
export const callerKey = (principal: Principal): TenantKey => tenantKey(principal.tenant ?? ('-' as TenantSlug), principal.issuer, principal.subject);

/** Long-lived event streams: counted, capped, and ended when the caller's credential ends. */
export interface StreamHub {
  /** Undefined: the caller, or the process, has as many streams as it may. `farewell` is sent when the server ends the stream. */
  open(reply: FastifyReply, principal: Principal, farewell?: () => string): EventStream | undefined;
  readonly size: number;
  closeAll(): void;
}

export function streamHub(on: { limits: McpLimits; random: () => number; now: () => number; changed: () => void }): StreamHub {
  const byCaller = new Map<TenantKey, number>();
  const open = new Map<EventStream, () => void>();
  return {
    get size() { return open.size; },
    open(reply, principal, farewell) {
      const caller = callerKey(principal);
      const count = byCaller.get(caller) ?? 0;
      if (count >= on.limits.streamsPerPrincipal || open.size >= on.limits.streams) return undefined;
      byCaller.set(caller, count + 1);
      const stream = openEventStream(reply, { limits: on.limits, random: on.random, retryHint: true });
      const endNow = (): void => stream.end(farewell?.());
      open.set(stream, endNow);
      const left = principal.expiresAt * 1_000 - on.now();
      const expiry = left < LONGEST_TIMER ? setTimeout(endNow, Math.max(0, left)) : undefined;
      expiry?.unref();
      stream.onClose(() => {
        clearTimeout(expiry);
        open.delete(stream);
        const rest = (byCaller.get(caller) ?? 1) - 1;
        if (rest > 0) byCaller.set(caller, rest); else byCaller.delete(caller);
        on.changed();
      });
      on.changed();
      return stream;
    },
    closeAll() { for (const end of open.values()) end(); },
  };
}
