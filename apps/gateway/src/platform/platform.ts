import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { Backend } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { PlatformTargets } from '#libs/core/stages/resolve.js';
import type { Target } from '#libs/core/target.js';
import type { PlatformTool } from './platform-tool.js';

/** What the gateway itself offers, beside any tenant's catalogue. */
export interface Platform extends PlatformTargets {
  /** What this principal may list, and the key that all who see the same share. */
  visible(kind: Target['kind'], principal: Principal): { readonly items: readonly Target[]; readonly key: string };
  /** Answers calls of `builtin` bindings. */
  readonly backend: Backend;
}

const NOTHING = { items: [], key: 'none' } as const;

/** `listed` are offered; `unlisted` answer only to who knows their name. */
export function createPlatform(listed: readonly PlatformTool[], unlisted: readonly PlatformTool[]): Platform {
  const byName = new Map([...listed, ...unlisted].map((tool) => [tool.target.name, tool]));
  const classes = new Map<string, { items: readonly Target[]; key: string }>();
  return {
    find: (kind, name, principal) => {
      if (kind !== 'tool') return undefined;
      const tool = byName.get(name);
      return tool?.visibleTo(principal) === true ? tool.target : undefined;
    },
    visible: (kind, principal) => {
      if (kind !== 'tool') return NOTHING;
      const key = listed.map((tool) => (tool.visibleTo(principal) ? '1' : '0')).join('');
      let found = classes.get(key);
      if (!found) classes.set(key, found = { items: listed.filter((tool) => tool.visibleTo(principal)).map(({ target }) => target), key });
      return found;
    },
    backend: { invoke: (call) => run(byName, call) },
  };
}

async function run(tools: ReadonlyMap<string, PlatformTool>, call: ValidatedCall): Promise<BackendAnswer | Denial> {
  const tool = tools.get(call.target.name);
  if (!tool) return new Denial({ code: 'INTERNAL', message: 'Internal error.', reason: `no handler for ${call.target.name}` });
  const start = performance.now();
  const { value, isError, meta } = await tool.run(call.input, call);
  const text = JSON.stringify(value);
  return {
    result: { type: 'tool', content: [{ type: 'text', text }], isError, ...(isError ? {} : { structuredJson: text }), ...(meta ? { meta } : {}) },
    outcome: isError ? 'error' : 'success', latencyMs: performance.now() - start, bytes: Buffer.byteLength(text),
  };
}
