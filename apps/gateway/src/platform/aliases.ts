import type { Target } from '#libs/core/target.js';
import { platformTarget, type PlatformTool, type ToolInput } from './platform-tool.js';

/** Old names answer until this day, 60 days after they were replaced; then they say what to use instead. */
const ALIAS_SUNSET = '2027-01-20';

interface Alias {
  readonly name: string;
  readonly successor: string;
  readonly properties: Parameters<typeof platformTarget>[0]['properties'];
  readonly required?: readonly string[];
  /** The successor's arguments. */
  readonly translate: (input: ToolInput) => ToolInput;
}

const text = (description: string): { readonly type: string; readonly description: string } => ({ type: 'string', description });
const given = (entries: Readonly<Record<string, unknown>>): ToolInput => Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));

const ALIASES: readonly Alias[] = [
  { name: 'stoa_list_apis', successor: 'stoa_catalog', properties: { tenant_id: text('Tenant.'), tag: text('Only APIs with this tag.'), limit: { type: 'integer', minimum: 1, maximum: 100, default: 20 } },
    translate: ({ tenant_id, tag, limit }) => given({ action: 'list', tenant_id, tags: tag === undefined ? undefined : [tag], page_size: limit }) },
  { name: 'stoa_get_api_details', successor: 'stoa_catalog', properties: { api_id: text('The API.') }, required: ['api_id'], translate: ({ api_id }) => given({ action: 'get', api_id }) },
  { name: 'stoa_search_apis', successor: 'stoa_catalog', properties: { query: text('What to look for.'), tenant_id: text('Tenant.') }, required: ['query'], translate: ({ query, tenant_id }) => given({ action: 'search', query, tenant_id }) },
  { name: 'stoa_health_check', successor: 'stoa_platform_health', properties: { service: { type: 'string', enum: ['api', 'gateway', 'auth', 'all'], default: 'all' } },
    translate: ({ service }) => (typeof service === 'string' && service !== 'all' ? { components: [{ api: 'catalogue', gateway: 'app_ready', auth: 'issuer_keys' }[service] ?? service] } : {}) },
  { name: 'stoa_list_tools', successor: 'stoa_tools', properties: { tag: text('Only tools with this tag.'), include_schema: { type: 'boolean', default: false } }, translate: ({ tag, include_schema }) => given({ action: 'list', tag, include_schema }) },
  { name: 'stoa_get_tool_schema', successor: 'stoa_tools', properties: { tool_name: text('The tool.') }, required: ['tool_name'], translate: ({ tool_name }) => given({ action: 'schema', tool_name }) },
];

/** Old names of the given tools: callable, never listed, each answer warns. `now`: milliseconds since the epoch. */
export function aliasesOf(tools: readonly PlatformTool[], now: () => number): readonly PlatformTool[] {
  const byName = new Map(tools.map((tool) => [tool.target.name, tool]));
  return ALIASES.flatMap((alias) => {
    const successor = byName.get(alias.successor);
    return successor ? [aliasTool(alias, successor, now)] : [];
  });
}

function aliasTool(alias: Alias, successor: PlatformTool, now: () => number): PlatformTool {
  const warning = { deprecated_tool: alias.name, use_instead: alias.successor, sunset: ALIAS_SUNSET, message: `Tool '${alias.name}' is deprecated and will be removed on ${ALIAS_SUNSET}. Use '${alias.successor}' instead.` };
  return {
    target: targetOf(alias), visibleTo: (principal) => successor.visibleTo(principal),
    run: async (input, call) => {
      if (now() >= Date.parse(ALIAS_SUNSET)) return { value: { error: { code: 'TOOL_REMOVED', message: `Tool '${alias.name}' has been removed. Use '${alias.successor}' instead.`, details: {}, suggestion: `Call ${alias.successor}.` } }, isError: true };
      const result = await successor.run(alias.translate(input), call);
      return { ...result, meta: { ...result.meta, _deprecation_warning: warning } };
    },
  };
}

const targetOf = ({ name, successor, properties, required }: Alias): Target => platformTarget({
  name, title: name, category: 'Platform & Discovery', description: `Deprecated: use ${successor}.`, properties, ...(required ? { required } : {}),
});
