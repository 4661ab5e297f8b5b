import type { Target } from '#libs/core/target.js';
import { ToolIndex } from '#libs/discovery/tool-index.js';
import type { Listing } from '../mcp/listing.js';
import { answer, everyone, fault, missing, type PlatformTool, platformTarget, type ToolInput } from './platform-tool.js';

/** Longest list in one answer: a model reads it. */
const MAX_LISTED = 200;

export const toolsTool = (listing: () => Listing): PlatformTool => ({
  target: platformTarget({
    name: 'stoa_tools', title: 'Find tools', category: 'Platform & Discovery', required: ['action'],
    description: 'The tools you may call. Actions: list (by category and tag), schema (of one tool), search (in your own words, best first).',
    properties: {
      action: { type: 'string', enum: ['list', 'schema', 'search'], description: 'What to do.' },
      category: { type: 'string', description: 'list: only this category, in any case.' },
      tag: { type: 'string', description: 'list: only tools with this tag.' },
      include_proxied: { type: 'boolean', default: true, description: 'list: also the tools of your tenant\'s APIs, not the platform\'s alone.' },
      include_schema: { type: 'boolean', default: false, description: 'list: with each tool\'s input schema.' },
      tool_name: { type: 'string', description: 'schema: the tool.' },
      query: { type: 'string', description: 'search: what you want to do, in your own words.' },
      limit: { type: 'integer', minimum: 1, maximum: MAX_LISTED, default: 20, description: 'search: at most this many.' },
    },
  }),
  visibleTo: everyone,
  run: async (input, call) => {
    if (input['action'] === 'schema') {
      const name = input['tool_name'];
      if (typeof name !== 'string') return missing('schema', 'tool_name');
      const target = await listing().find('tool', name, call.principal);
      return target ? answer({ ...JSON.parse(target.listed) as object, category: target.category ?? null, tags: target.tags, version: target.version })
        : fault('TOOL_NOT_FOUND', `Tool not found: ${name}`, 'Use stoa_tools with action search.');
    }
    const { items } = await listing().list('tool', call.principal);
    if (input['action'] === 'search') {
      if (typeof input['query'] !== 'string') return missing('search', 'query');
      const found = search(items, input['query']);
      const limit = typeof input['limit'] === 'number' ? input['limit'] : 20;
      return answer({ tools: found.slice(0, limit).map((target) => summary(target, false)), total_count: found.length });
    }
    const found = items.filter(chosen(input));
    return answer({ tools: found.slice(0, MAX_LISTED).map((target) => summary(target, input['include_schema'] === true)), total_count: found.length, truncated: found.length > MAX_LISTED });
  },
});

function chosen(input: ToolInput): (target: Target) => boolean {
  const category = typeof input['category'] === 'string' ? input['category'].toLowerCase() : undefined;
  const tag = input['tag'];
  return (target) => (input['include_proxied'] !== false || target.tenant === undefined)
    && (category === undefined || target.category?.toLowerCase() === category) && (typeof tag !== 'string' || target.tags.includes(tag));
}

/** Made when first asked for, and kept as long as the list is the same array. */
const indexes = new WeakMap<readonly Target[], ToolIndex>();

/** Best first; at most as many as a list shows. */
function search(items: readonly Target[], query: string): readonly Target[] {
  let index = indexes.get(items);
  if (index === undefined) indexes.set(items, index = new ToolIndex(items));
  return index.search(query, MAX_LISTED).map(({ target }) => target);
}

const summary = (target: Target, withSchema: boolean): object => ({
  name: target.name, description: target.description, category: target.category ?? null, tags: target.tags, origin: target.tenant === undefined ? 'platform' : 'api',
  ...(withSchema ? { inputSchema: (JSON.parse(target.listed) as { inputSchema?: unknown }).inputSchema } : {}),
});
