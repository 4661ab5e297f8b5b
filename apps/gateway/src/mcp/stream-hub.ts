import type { FastifyReply } from 'fastify';
import { Denial } from '#libs/core/errors.js';
import type { Principal } from '#libs/core/principal.js';
import { type TenantKey, type TenantSlug, tenantKey } from '#libs/core/tenant.js';
import { type EventStream, openEventStream } from './event-stream.js';
import type { McpLimits, StreamPlaces } from './options.js';

/** Timers take at most a 32-bit number of milliseconds. */
const LONGEST_TIMER = 2_147_483_647;

/** One key for one caller: whoever holds another token of the same subject is the same caller. */
export const callerKey = (principal: Principal): TenantKey => tenantKey(principal.tenant ?? ('-' as TenantSlug), principal.issuer, principal.subject);

/** Long-lived event streams: counted, capped, and ended when the caller's credential ends. */
export interface StreamHub {
  /** A denial: the caller, or the process, has as many streams as it may. `farewell` is sent when the server ends the stream. */
  open(reply: FastifyReply, principal: Principal, farewell?: () => string): EventStream | Denial;
  readonly size: number;
  closeAll(): void;
}

export function streamHub(on: { limits: McpLimits; random: () => number; now: () => number; changed: () => void; places?: StreamPlaces | undefined }): StreamHub {
  const byCaller = new Map<TenantKey, number>();
  const open = new Map<EventStream, () => void>();
  return {
    get size() { return open.size; },
    open(reply, principal, farewell) {
      const caller = callerKey(principal);
      const count = byCaller.get(caller) ?? 0;
      if (count >= on.limits.streamsPerPrincipal || open.size >= on.limits.streams) return full(on.limits.streamsPerPrincipal);
      const place = on.places?.(reply.request, principal);
      if (place instanceof Denial) return place;
      byCaller.set(caller, count + 1);
      const stream = openEventStream(reply, { limits: on.limits, random: on.random, retryHint: true });
      const endNow = (): void => stream.end(farewell?.());
      open.set(stream, endNow);
      const left = Math.min(principal.expiresAt * 1_000 - on.now(), on.limits.streamLifeMs, LONGEST_TIMER);
      const expiry = setTimeout(endNow, Math.max(0, left));
      expiry.unref();
      stream.onClose(() => {
        clearTimeout(expiry);
        place?.();
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

const full = (most: number): Denial => new Denial({ code: 'RATE_LIMITED', message: `Too many connections: at most ${most} event streams for one caller.`, retryAfterSeconds: 60 });
