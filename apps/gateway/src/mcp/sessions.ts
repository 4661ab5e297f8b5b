import { randomBytes } from 'node:crypto';
import type { Principal } from '#libs/core/principal.js';
import type { TenantKey } from '#libs/core/tenant.js';
import type { RpcId } from './answer.js';
import type { EventStream } from './event-stream.js';
import type { McpLimits } from './options.js';
import type { PostExchange } from './post-exchange.js';
import { callerKey } from './stream-hub.js';

/** What a legacy client and this process have agreed on. It proves nothing: every request is authenticated on its own. */
export interface Session {
  readonly id: string;
  readonly owner: TenantKey;
  readonly version: string;
  readonly capabilities: Readonly<Record<string, unknown>>;
  /** Least severity that the client wants told. */
  logLevel: string;
  readonly uris: Set<string>;
  /** The client's GET stream, while it is open. */
  stream: EventStream | undefined;
  /** Requests of the client that run now, for `notifications/cancelled`. */
  readonly running: Map<RpcId, PostExchange>;
  /** Our requests that the client has not answered yet. */
  readonly asked: Map<RpcId, (answer: Readonly<Record<string, unknown>>) => void>;
  usedAt: number;
}

export interface Sessions {
  /** Undefined: the process holds as many sessions as it may. The caller's own oldest one gives way at the caller's cap. */
  create(principal: Principal, agreed: Pick<Session, 'version' | 'capabilities'>): Session | undefined;
  /** Undefined for an id that does not exist, has expired or is another caller's: the three cannot be told apart. */
  find(id: string, principal: Principal): Session | undefined;
  end(session: Session): void;
  readonly size: number;
  /** Forgets sessions that were idle for too long. */
  sweep(): void;
  closeAll(): void;
}

export function sessionTable(on: { limits: McpLimits; now: () => number; changed: () => void }): Sessions {
  const byId = new Map<string, Session>();
  const byOwner = new Map<TenantKey, Set<Session>>();
  const busy = (session: Session): boolean => session.stream !== undefined || session.running.size > 0;

  const end = (session: Session): void => {
    if (!byId.delete(session.id)) return;
    const own = byOwner.get(session.owner);
    own?.delete(session);
    if (own?.size === 0) byOwner.delete(session.owner);
    session.stream?.end();
    for (const answer of session.asked.values()) answer({ error: { message: 'The session ended.' } });
    on.changed();
  };
  return {
    get size() { return byId.size; },
    create(principal, agreed) {
      const owner = callerKey(principal);
      const own = byOwner.get(owner) ?? new Set<Session>();
      if (own.size >= on.limits.sessionsPerPrincipal) end([...own].reduce((oldest, session) => (session.usedAt < oldest.usedAt ? session : oldest)));
      if (byId.size >= on.limits.sessions) return undefined;
      // 192 random bits in base64url: visible ASCII.
      const session: Session = { id: randomBytes(24).toString('base64url'), owner, ...agreed, logLevel: 'info', uris: new Set(), stream: undefined, running: new Map(), asked: new Map(), usedAt: on.now() };
      byId.set(session.id, session);
      byOwner.set(owner, own.add(session));
      on.changed();
      return session;
    },
    find(id, principal) {
      const session = byId.get(id);
      if (!session || session.owner !== callerKey(principal)) return undefined;
      if (!busy(session) && on.now() - session.usedAt > on.limits.sessionIdleMs) { end(session); return undefined; }
      session.usedAt = on.now();
      return session;
    },
    end,
    sweep() { for (const session of byId.values()) if (!busy(session) && on.now() - session.usedAt > on.limits.sessionIdleMs) end(session); },
    closeAll() { for (const session of byId.values()) end(session); },
  };
}
