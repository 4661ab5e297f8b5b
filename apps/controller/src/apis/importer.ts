import { Inject, Injectable } from '@nestjs/common';
import type { Admission, DescribeContext } from '#libs/core/admission.js';
import { type ApiKind, type Connection, kindOf } from '#libs/core/api-kind.js';
import { type ApiDraft, type ApiPublication, type ApiRecord, type ApiSource, type ControlStore, type ToolRecord } from '#libs/core/control-store.js';
import type { ConversionOptions, ConvertedDocument, ConvertedTool, NamingOptions, OperationSelector, ToolDefaults } from '#libs/core/conversion.js';
import { type CredentialReference, slotNamed } from '#libs/core/rest-binding.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { notFound, Problem, problemOf } from '../http/problem.js';
import { TenantLock } from '../http/tenant-lock.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { fetchDocument } from './fetch-document.js';

/** Imports that may run or wait at once: each may hold a whole document in memory. */
const MAX_IMPORTS = 8;

/** Names of the platform's own tools, which would hide a tenant's: given away before any import. */
const PLATFORM_TOOLS = [
  'stoa_platform_info', 'stoa_platform_health', 'stoa_tools', 'stoa_tenants', 'stoa_catalog', 'stoa_api_spec', 'stoa_subscription', 'stoa_metrics', 'stoa_logs', 'stoa_alerts', 'stoa_uac', 'stoa_security',
];

/** What one import asks for. A field left out keeps what the API has, null clears it. */
export interface ImportRequest {
  readonly name: string;
  /** Left out: as the API was imported before, else `openapi`. */
  readonly kind?: ApiKind | undefined;
  readonly source: { readonly url: string } | { readonly bytes: Uint8Array } | { readonly connection: Connection };
  /** By slot, for backends that describe themselves only to whom they know; kept with the API. */
  readonly credentials?: Readonly<Record<string, CredentialReference>> | undefined;
  readonly baseUrl?: string | null | undefined;
  readonly selector?: OperationSelector | null | undefined;
  readonly naming?: NamingOptions | null | undefined;
  readonly toolDefaults?: ToolDefaults | null | undefined;
  readonly refreshSeconds?: number | null | undefined;
  readonly category?: string | null | undefined;
  readonly tags?: readonly string[] | null | undefined;
  readonly dryRun: boolean;
}

export interface ImportOutcome {
  readonly created: boolean;
  readonly changed: boolean;
  readonly dryRun: boolean;
  readonly api: ApiRecord | undefined;
  readonly revision: number;
  readonly document: Pick<ConvertedDocument, 'tools' | 'ledger'>;
  readonly diff: ApiPublication['diff'];
}

interface Loaded { readonly bytes: Uint8Array; readonly mediaType: string; readonly source: ApiSource }

/** Documents into the catalogue, one at a time per tenant: converted whole first, then published in the store's one transaction. */
@Injectable()
export class Importer {
  readonly #store: ControlStore;
  #running = 0;

  constructor(@Inject(PARTS) private readonly parts: ControllerParts, @Inject(TenantLock) private readonly locks: TenantLock) {
    this.#store = parts.store;
  }

  /** Rejects with `Problem`, `DocumentError` or the store's errors; then nothing has changed. */
  import(tenant: TenantSlug, request: ImportRequest): Promise<ImportOutcome> {
    return this.#admitted(async () => {
      await this.#knownTenant(tenant);
      const before = await this.#store.getApi(tenant, request.name);
      const kind = request.kind ?? (before === undefined ? 'openapi' : kindOf(before.format));
      const loaded = await this.#load(kind, request.source, { tenant, credentials: { ...before?.credentials, ...request.credentials } });
      return this.locks.run(tenant, async () => this.#publish(tenant, { ...request, kind }, loaded, await this.#store.getApi(tenant, request.name)));
    });
  }

  /**
   * Fetches an API's document again from its URL, or asks its backend again; publishes only when the bytes differ. A failure is written to the API as
   * `lastError` and rejects; the catalogue stays as it is.
   */
  refresh(tenant: TenantSlug, name: string, signal?: AbortSignal): Promise<ImportOutcome> {
    return this.#admitted(async () => {
      const before = await this.#known(tenant, name);
      const { source } = before;
      if ('inline' in source) throw new Problem(409, `API ${name} was not imported from a URL or a living backend: import its document again instead`);
      try {
        const kind = kindOf(before.format);
        const loaded = await this.#load(kind, source, { tenant, credentials: before.credentials, signal });
        return await this.locks.run(tenant, async () => {
          const api = await this.#known(tenant, name);
          if (!sameSource(api.source, source)) throw new Problem(409, `API ${name} was imported anew meanwhile`);
          if (await sha256(loaded.bytes) === api.specHash) return await this.#unchanged(tenant, api);
          return await this.#publish(tenant, { name, kind, source, dryRun: false, approved: api.conversion.approved }, loaded, api);
        });
      } catch (failure) {
        if (signal?.aborted !== true) await this.#noteFailure(tenant, name, source, failure);
        throw failure;
      }
    });
  }

  #admission(kind: ApiKind): Admission {
    const admission = this.parts.admissions[kind];
    if (admission === undefined) throw new Problem(422, [{ loc: ['body', 'kind'], msg: `APIs of kind ${kind} cannot be imported here: its backend is switched off`, type: 'kind_disabled' }]);
    return admission;
  }

  async #load(kind: ApiKind, source: ImportRequest['source'], context: DescribeContext): Promise<Loaded> {
    const admission = this.#admission(kind);
    if ('bytes' in source) return { bytes: source.bytes, mediaType: isJson(source.bytes) ? 'application/json' : 'application/yaml', source: { inline: true } };
    if ('url' in source) {
      const bytes = await fetchDocument(this.parts.outbound, source.url, context.signal);
      return { bytes, mediaType: isJson(bytes) ? 'application/json' : 'application/yaml', source };
    }
    if (admission.describe === undefined) throw new Problem(422, [{ loc: ['body', 'source', 'connection'], msg: `APIs of kind ${kind} are described by documents: give url or inline`, type: 'source_kind' }]);
    return { ...await admission.describe(source.connection, context), source };
  }

  async #publish(tenant: TenantSlug, request: ImportRequest & { readonly kind: ApiKind; readonly approved?: ConversionOptions['approved'] }, { bytes, mediaType, source }: Loaded, previous: ApiRecord | undefined): Promise<ImportOutcome> {
    const url = 'url' in source ? source.url : undefined;
    const conversion = conversionOptions(request, previous, source);
    const tools = await this.#store.listTools(tenant);
    const takenNames = [...PLATFORM_TOOLS, ...tools.filter((tool) => tool.apiName !== request.name).map((tool) => tool.name)];
    // Whoever imports approves what there is; a refresh approves nothing.
    const { approved } = request;
    const document = await this.#admission(request.kind).convert(bytes, { ...conversion, ...(approved === undefined ? {} : { approved }), takenNames, tenant, fileName: url?.split('?', 1)[0] ?? ('connection' in source ? request.name : 'document') });

    if (request.dryRun) {
      const diff = compare(tools.filter((tool) => tool.apiName === request.name), document.tools);
      const { revision } = await this.#knownTenant(tenant);
      return { created: false, changed: false, dryRun: true, api: previous, revision, document, diff };
    }
    const refreshSeconds = 'inline' in source ? undefined : keep(request.refreshSeconds, previous?.refreshSeconds);
    const pins = approved ?? document.pins;
    const draft: ApiDraft = {
      name: request.name,
      source, bytes, mediaType,
      document, conversion: pins === undefined ? conversion : { ...conversion, approved: pins },
      baseUrl: conversion.baseUrl,
      refreshSeconds,
      category: keep(request.category, previous?.category),
      tags: keep(request.tags, previous?.tags) ?? [],
      status: previous?.status ?? 'active',
    };
    const published = await this.#store.putApi(tenant, draft);
    const { revision, api } = await this.#withCredentials(tenant, published, request.credentials);
    return { created: published.created, changed: true, dryRun: false, api, revision, document, diff: published.diff };
  }

  async #withCredentials(tenant: TenantSlug, { api, revision }: ApiPublication, credentials: ImportRequest['credentials'] = {}): Promise<{ readonly api: ApiRecord; readonly revision: number }> {
    const given = Object.entries(credentials).filter(([slot]) => slotNamed(api.slots, slot) !== undefined);
    let latest = revision;
    for (const [slot, reference] of given) ({ revision: latest } = await this.#store.setCredential(tenant, api.name, slot, reference));
    return { revision: latest, api: given.length === 0 ? api : await this.#known(tenant, api.name) };
  }

  async #unchanged(tenant: TenantSlug, api: ApiRecord): Promise<ImportOutcome> {
    await this.#store.markRefreshed(tenant, api.name, { at: this.parts.now(), error: undefined });
    const [fresh, ledger, { revision }] = await Promise.all([
      this.#known(tenant, api.name), this.#store.getLedger(tenant, api.name), this.#knownTenant(tenant),
    ]);
    return { created: false, changed: false, dryRun: false, api: fresh, revision, document: { tools: [], ledger }, diff: { added: [], changed: [], removed: [] } };
  }

  /** Writes a failure to the API, unless it is another's by now. Itself it never fails: the first failure is the one to tell. */
  async #noteFailure(tenant: TenantSlug, name: string, source: ApiSource, failure: unknown): Promise<void> {
    try {
      const api = await this.#store.getApi(tenant, name);
      if (api === undefined || !sameSource(api.source, source)) return;
      await this.#store.markRefreshed(tenant, name, { at: this.parts.now(), error: problemOf(failure)?.message ?? 'the refresh failed' });
    } catch { /* deleted meanwhile, or the store is away */ }
  }

  async #admitted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= MAX_IMPORTS) throw new Problem(503, 'Too many imports are running; try again shortly.', 2);
    this.#running += 1;
    try { return await work(); } finally { this.#running -= 1; }
  }

  async #knownTenant(tenant: TenantSlug): Promise<{ readonly revision: number }> {
    const found = await this.#store.getTenant(tenant);
    if (found === undefined) throw notFound('Tenant', tenant);
    return found;
  }

  async #known(tenant: TenantSlug, name: string): Promise<ApiRecord> {
    const api = await this.#store.getApi(tenant, name);
    if (api === undefined) throw notFound('API', name);
    return api;
  }
}

const keep = <T>(asked: T | null | undefined, before: T | undefined): T | undefined => (asked === undefined ? before : asked ?? undefined);

const sameSource = (a: ApiSource, b: ApiSource): boolean => JSON.stringify(a) === JSON.stringify(b);

function conversionOptions(request: ImportRequest, previous: ApiRecord | undefined, source: ApiSource): ConversionOptions {
  const was = previous?.conversion;
  const selector = keep(request.selector, was?.selector);
  const naming = keep(request.naming, was?.naming);
  const toolDefaults = keep(request.toolDefaults, was?.toolDefaults);
  const baseUrl = keep(request.baseUrl, previous?.baseUrl);
  return {
    ...(selector === undefined ? {} : { selector }), ...(naming === undefined ? {} : { naming }), ...(toolDefaults === undefined ? {} : { toolDefaults }),
    ...('url' in source ? { documentUrl: source.url } : {}), ...('connection' in source ? { connection: source.connection } : {}), ...(baseUrl === undefined ? {} : { baseUrl }),
  };
}

/** What publishing would change. An operator's edits are no change of the document's. */
function compare(current: readonly ToolRecord[], next: readonly ConvertedTool[]): ApiPublication['diff'] {
  const before = new Map(current.map((tool) => [tool.name, tool]));
  const after = new Set(next.map(({ name }) => name));
  return {
    added: next.filter(({ name }) => !before.has(name)).map(({ name }) => name).toSorted(),
    changed: next.filter((tool) => { const was = before.get(tool.name); return was !== undefined && differs(was, tool); }).map(({ name }) => name).toSorted(),
    removed: current.filter(({ name }) => !after.has(name)).map(({ name }) => name).toSorted(),
  };
}

const differs = (was: ToolRecord, tool: ConvertedTool): boolean => (was.edited ? substance(was) !== substance(tool) : was.hash !== tool.hash);

/** What of a tool no edit can touch. */
const substance = ({ title, operationClass, deprecated, inputSchema, outputSchema, backend }: ToolRecord | ConvertedTool): string =>
  JSON.stringify([title, operationClass, deprecated, inputSchema, outputSchema, backend]);

/** Hexadecimal. Off this thread: a document may be 64 MiB. */
const sha256 = async (bytes: Uint8Array): Promise<string> => Buffer.from(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)).toString('hex');

/** JSON documents are objects: their first character that is not white space or a byte order mark is a brace. */
const isJson = (bytes: Uint8Array): boolean => /^[\uFEFF\s]*\{/.test(Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 1024)).toString('utf8'));
