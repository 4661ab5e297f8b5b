import { isDeepStrictEqual } from 'node:util';
import type { CatalogueChange, CatalogueSnapshot, SnapshotDocument } from '#libs/core/catalogue.js';
import type { Definitions } from '#libs/core/json-schema.js';
import type { Api, Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';

/** Targets handled between two turns of the event loop: a publication of 20,000 tools must not stall calls. */
const SLICE = 1000;
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });
const NONE: Definitions = Object.freeze({});

/**
 * Builds the immutable snapshot of a document, in slices. Targets are ordered by name (UTF-16 code units), so that two
 * gateways list alike. An API whose definitions did not change keeps the definitions object of `previous`: what was
 * compiled for that object stays compiled.
 */
export async function buildSnapshot(document: SnapshotDocument, previous: CatalogueSnapshot | undefined): Promise<CatalogueSnapshot> {
  const apis = new Map<string, Api>();
  for (const api of document.apis) apis.set(api.id, await keepDefinitions(api, previous?.apis.get(api.id)));

  const kinds = { tool: new Map<string, Target>(), resource: new Map<string, Target>(), prompt: new Map<string, Target>() };
  const ordered = [...document.targets].toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const [index, plain] of ordered.entries()) {
    if (index % SLICE === SLICE - 1) await turn();
    const api = plain.apiId === undefined ? undefined : apis.get(plain.apiId);
    kinds[plain.kind].set(plain.name, { ...plain, definitions: api?.definitions ?? NONE });
  }
  const { tenant, revision, hash, enabled, quotas } = document;
  return Object.freeze({ tenant, revision, hash, enabled, ...(quotas === undefined ? {} : { quotas }), apis, tools: kinds.tool, resources: kinds.resource, prompts: kinds.prompt });
}

async function keepDefinitions(api: Api, before: Api | undefined): Promise<Api> {
  if (before === undefined || before.specHash !== api.specHash) return api;
  const names = Object.keys(api.definitions);
  if (names.length !== Object.keys(before.definitions).length) return api;
  for (const [index, name] of names.entries()) {
    if (index % SLICE === SLICE - 1) await turn();
    if (!isDeepStrictEqual(api.definitions[name], before.definitions[name])) return api;
  }
  return { ...api, definitions: before.definitions };
}

/** What differs for those who list, from `before` to `after`; undefined stands for a tenant without a catalogue. */
export function changeBetween(tenant: TenantSlug, before: CatalogueSnapshot | undefined, after: CatalogueSnapshot | undefined): CatalogueChange {
  const old = before?.enabled === true ? before : undefined;
  const now = after?.enabled === true ? after : undefined;
  const resourceUris = changedNames(old?.resources, now?.resources);
  return {
    tenant,
    revision: after?.revision ?? before?.revision ?? 0,
    toolsChanged: changedNames(old?.tools, now?.tools).length > 0,
    resourcesChanged: resourceUris.length > 0,
    promptsChanged: changedNames(old?.prompts, now?.prompts).length > 0,
    resourceUris,
  };
}

function changedNames(before: ReadonlyMap<string, Target> | undefined, after: ReadonlyMap<string, Target> | undefined): readonly string[] {
  const changed: string[] = [];
  for (const [name, target] of after ?? []) {
    const old = before?.get(name);
    if (old?.hash !== target.hash || old.listed !== target.listed) changed.push(name);
  }
  for (const name of before?.keys() ?? []) if (after?.has(name) !== true) changed.push(name);
  return changed;
}
