import type { Target } from '#libs/core/target.js';

/** STOA's tool object, as JSON text: made once for each target and kept with it. */
const tools = new WeakMap<Target, string>();

export function toolJson(target: Target, baseUrl: string | undefined): string {
  const known = tools.get(target);
  if (known !== undefined) return known;
  const { inputSchema } = JSON.parse(target.listed) as { inputSchema?: unknown };
  const rest = target.backend.kind === 'rest' ? target.backend : undefined;
  const made = JSON.stringify({
    name: target.name, description: target.description, inputSchema: inputSchema ?? { type: 'object' },
    api_id: target.apiId ?? null, tenant_id: target.tenant ?? null,
    endpoint: rest ? withoutUserinfo((baseUrl ?? rest.baseUrl) + rest.path) : null, method: rest?.method ?? 'POST',
    category: target.category ?? null, tags: target.tags, version: target.version,
  });
  tools.set(target, made);
  return made;
}

/** A URL may carry a credential before its host; nobody reads it here. */
const withoutUserinfo = (url: string): string => url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/@]*@/i, '$1');

export const resourceShape = (target: Target): object => {
  const listed = JSON.parse(target.listed) as { name?: string; mimeType?: string };
  return {
    uri: target.name, name: listed.name ?? target.title ?? target.name, description: target.description, mimeType: listed.mimeType ?? 'application/json',
    api_id: target.apiId ?? null, tenant_id: target.tenant ?? null, tags: target.tags,
  };
};

export const promptShape = (target: Target): object => {
  const listed = JSON.parse(target.listed) as { arguments?: readonly { name: string; description?: string; required?: boolean }[] };
  return {
    name: target.name, description: target.description,
    arguments: (listed.arguments ?? []).map(({ name, description, required }) => ({ name, description: description ?? '', required: required === true })),
    template: target.backend.kind === 'prompt' ? target.backend.messages.map((message) => message.text).join('\n\n') : null,
    tags: target.tags,
  };
};
