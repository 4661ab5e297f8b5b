import type { Eventually } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';

/** What one principal may see of one kind, at one moment. */
export interface VisibleList {
  /**
   * In the order in which they are listed; the same set gives the same order. Resource templates are among the resources. The same array as
   * before says that nothing changed: prepared pages are kept by it.
   */
  readonly items: readonly Target[];
  /** The catalogue's revision that `items` was read from. */
  readonly revision: number;
  /**
   * Visibility class: two principals of one tenant with equal keys see equal `items` at equal revisions, so that prepared
   * pages can be shared between them.
   */
  readonly key: string;
}

/** The data plane's lists, as the MCP door needs them: the platform's own targets and the tenant's catalogue, as visible. */
export interface Listing {
  list(kind: Target['kind'], principal: Principal): Eventually<VisibleList>;
  /** One visible target, or undefined: not visible and not existing are the same. */
  find(kind: Target['kind'], name: string, principal: Principal): Eventually<Target | undefined>;
  /** Calls back when any list may have changed for another reason than the catalogue's: another policy is in force. Answers the way to stop. */
  onChange?(listener: () => void): () => void;
}

/** A resource whose name is an RFC 6570 template rather than a URI: braces are never part of a URI (RFC 3986 §2). */
export const isTemplate = (target: Target): boolean => target.kind === 'resource' && target.name.includes('{');
