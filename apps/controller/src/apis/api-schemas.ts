import { z } from 'zod';
import { API_FORMATS, API_KINDS, kindOf } from '#libs/core/api-kind.js';
import type { ApiRecord } from '#libs/core/control-store.js';
import { isCredentialReference } from '#libs/credentials/credentials.js';
import { ApiNameField, TagsField, text, TimeoutField, ToolRateField } from '../http/fields.js';
import { intervalSeconds } from './interval.js';

const HttpUrl = text(2048).refine(isHttpUrl, 'must be an absolute http or https URL without user information or fragment');
/** `http`, `https`; `grpc`, `grpcs` and `kafka`, `kafkas` for backends of those kinds. */
const BaseUrl = text(2048).refine(isBaseUrl, 'must be an absolute http, https, grpc, grpcs, kafka or kafkas URL without user information, query or fragment').transform((url) => url.replace(/\/+$/, ''));
const Interval = z.string().refine((value) => intervalSeconds(value) !== undefined, 'must be 10s to 30d, as a number and one of s, m, h, d')
  .meta({ description: 'How often a document from a URL is fetched again: `30s`, `5m`, `1h`, `1d`.', examples: ['1h'] });
const Names = z.array(text(200).min(1)).max(1000);

const Selector = z.strictObject({
  tags: Names.optional().meta({ description: 'Any of.' }),
  excludeTags: Names.optional().meta({ description: 'None of.' }),
  methods: z.array(z.string().regex(/^[A-Za-z]{1,20}$/)).max(20).optional(),
  pathPrefix: text(1000).optional(),
  operationIds: Names.optional(),
}).meta({ id: 'Selector', description: 'Which operations become tools; all given filters must hold.' });
const Naming = z.strictObject({
  prefix: z.string().regex(/^[a-z][a-z0-9_]*$/).max(32).optional(),
  suffix: z.string().regex(/^[a-z0-9_]+$/).max(32).optional(),
  useOperationId: z.boolean().optional().meta({ description: 'Default true; false names every tool `{method}_{path}`.' }),
}).meta({ id: 'Naming' });
const ToolDefaults = z.strictObject({ tags: TagsField.optional(), timeoutMs: TimeoutField.optional(), rateLimit: ToolRateField.optional() }).meta({ id: 'ToolDefaults' });

const Options = {
  baseUrl: BaseUrl.nullish().meta({ description: 'Replaces the document\'s servers.' }),
  category: text(100).min(1).nullish(),
  tags: TagsField.nullish(),
  dryRun: z.boolean().default(false).meta({ description: 'Convert and compare, publish nothing.' }),
};

const Secret = z.strictObject({
  from: z.enum(['environment', 'file']),
  name: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/, 'must be 1 to 128 letters, digits, dots, hyphens or underscores, not starting with a dot or hyphen'),
}).refine(isCredentialReference, { path: ['name'], message: 'of an environment variable must be letters, digits, hyphens and underscores, starting with a letter or digit' })
  .meta({ id: 'SecretReference', description: 'Where the gateway finds the secret: never the secret itself.' });
const TokenClient = {
  clientId: text(255).min(1),
  secret: Secret.meta({ description: 'Of the client.' }),
  authentication: z.enum(['basic', 'post']).optional().meta({ description: 'How the client proves itself at the token endpoint (RFC 6749 §2.3.1). Default `basic`.' }),
  scope: text(2000).min(1).optional().meta({ description: 'Scopes separated by spaces.' }),
  audience: text(2000).min(1).optional(),
  resource: text(2000).min(1).optional().meta({ description: 'RFC 8707.' }),
};
export const CredentialBody = z.discriminatedUnion('from', [
  Secret,
  z.strictObject({ from: z.literal('client-credentials'), tokenUrl: HttpUrl, ...TokenClient }).meta({ id: 'ClientCredentialsReference', description: 'A token of the gateway\'s own client (RFC 6749 §4.4), fetched when needed and kept until shortly before its end.' }),
  z.strictObject({ from: z.literal('token-exchange'), ...TokenClient }).meta({ id: 'TokenExchangeReference', description: 'A token on behalf of each caller (RFC 8693), exchanged for the caller\'s own at the token endpoint of the issuer that proved it. Needs TOKEN_EXCHANGE_ENABLED.' }),
]).meta({ id: 'CredentialReference', description: 'Where a credential comes from at call time.' });
export type CredentialBody = z.infer<typeof CredentialBody>;

export const ImportBody = z.strictObject({
  name: ApiNameField,
  source: z.strictObject({
    url: HttpUrl.optional(),
    inline: z.union([z.string().min(1), z.record(z.string(), z.unknown())]).optional(),
    connection: z.record(z.string(), z.unknown()).optional(),
  }).refine(({ url, inline, connection }) => [url, inline, connection].filter((given) => given !== undefined).length === 1, 'give one of `url`, `inline` and `connection`')
    .meta({ description: 'A document, either where it is (`url`) or itself (`inline`), as JSON or as a string; or how to reach a backend that describes itself (`connection`; its members are its kind\'s own).' }),
  kind: z.enum(API_KINDS).optional().meta({ description: 'Default: as the API was imported before, else `openapi`.' }),
  credentials: z.record(z.string().max(200), CredentialBody).optional().meta({ description: 'By slot: where the gateway finds the secrets, for backends that describe themselves only to whom they know.' }),
  ...Options,
  selector: Selector.nullish(),
  naming: Naming.nullish(),
  toolDefaults: ToolDefaults.nullish(),
  refreshInterval: Interval.nullish(),
}).meta({ id: 'ImportBody', description: 'On a re-import a field left out keeps its value, null clears it.' });
export type ImportBody = z.infer<typeof ImportBody>;

/** Options of an upload whose body is the document itself. */
export const UploadQuery = z.strictObject({
  name: ApiNameField.optional().meta({ description: 'The API\'s name; with it the body is the document itself.' }),
  kind: z.enum(API_KINDS).optional(),
  baseUrl: BaseUrl.optional(),
  category: text(100).min(1).optional(),
  tags: text(4096).transform((list) => list.split(',').map((tag) => tag.trim()).filter((tag) => tag !== '')).pipe(TagsField).optional().meta({ description: 'Separated by commas.' }),
  dryRun: z.enum(['true', 'false']).default('false').transform((value) => value === 'true'),
});
export type UploadQuery = z.infer<typeof UploadQuery>;

const Slot = z.union([
  z.object({ type: z.enum(['bearer', 'basic']) }),
  z.object({ type: z.literal('apiKey'), in: z.enum(['header', 'query', 'cookie']), name: z.string() }),
]);
const Counts = { operations: z.int(), exact: z.int(), degraded: z.int(), refused: z.int() };
const Verdict = z.enum(['exact', 'degraded', 'refused']);

export const ApiAnswer = z.object({
  id: z.string(),
  name: z.string(),
  version: z.string(),
  title: z.string(),
  description: z.string(),
  status: z.enum(['active', 'deprecated', 'draft']),
  category: z.string().nullable(),
  tags: z.array(z.string()),
  source: z.union([z.object({ url: z.string() }), z.object({ inline: z.literal(true) }), z.object({ connection: z.record(z.string(), z.unknown()) })]),
  kind: z.enum(API_KINDS),
  specHash: z.string().meta({ description: 'SHA-256 of the document\'s bytes, hexadecimal.' }),
  format: z.enum(API_FORMATS),
  baseUrl: z.string().nullable(),
  selector: Selector.nullable(),
  naming: Naming.nullable(),
  toolDefaults: ToolDefaults.nullable(),
  refreshInterval: z.string().nullable(),
  refreshedAt: z.iso.datetime().nullable(),
  lastError: z.string().nullable().meta({ description: 'Why the last refresh failed; the catalogue before it stays in force.' }),
  slots: z.record(z.string(), Slot),
  credentials: z.record(z.string(), CredentialBody),
  missingCredentials: z.array(z.string()).meta({ description: 'Slots without a reference: calls that need them answer CREDENTIAL_MISSING.' }),
  toolCount: z.int(),
  counts: z.object(Counts),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
}).meta({ id: 'Api' });
export type ApiAnswer = z.infer<typeof ApiAnswer>;
export const ApiList = z.object({ apis: z.array(ApiAnswer) }).meta({ id: 'ApiList' });

const Reason = z.object({ code: z.string(), message: z.string(), pointer: z.string() });
export const LedgerEntry = z.object({
  method: z.string(), path: z.string(), operationId: z.string().nullable(), tool: z.string().nullable(), verdict: Verdict, reasons: z.array(Reason), notes: z.array(Reason),
}).meta({ id: 'LedgerEntry' });
export type LedgerEntry = z.infer<typeof LedgerEntry>;
export const LedgerAnswer = z.object({ ...Counts, entries: z.array(LedgerEntry) }).meta({ id: 'Ledger' });
export type LedgerAnswer = z.infer<typeof LedgerAnswer>;

export const ImportAnswer = z.object({
  dryRun: z.boolean(),
  changed: z.boolean().meta({ description: 'False: the document is the one that is in force, and nothing was published.' }),
  api: ApiAnswer.nullable().meta({ description: 'As it is in force now; null after a dry run of a new one.' }),
  revision: z.int().meta({ description: 'Of the tenant\'s catalogue.' }),
  tools: z.array(z.object({ name: z.string(), method: z.string(), path: z.string(), verdict: Verdict })),
  ledger: LedgerAnswer.meta({ description: 'Entries are those that are not exact; the whole is at `…/ledger`.' }),
  diff: z.object({ added: z.array(z.string()), changed: z.array(z.string()), removed: z.array(z.string()) }),
}).meta({ id: 'ImportResult' });
export type ImportAnswer = z.infer<typeof ImportAnswer>;

export const RevisionAnswer = z.object({ revision: z.int() }).meta({ id: 'Revision' });

function isBaseUrl(value: string): boolean {
  return isHttpUrl(value.replace(/^(?:grpc|kafka)(s?):/, 'http$1:')) && !value.includes('?');
}

function isHttpUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  return (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === '' && !value.includes('#');
}

export function apiAnswer(api: ApiRecord): ApiAnswer {
  const { selector, naming, toolDefaults } = api.conversion;
  return {
    id: api.id, name: api.name, version: api.version, title: api.title, description: api.description, status: api.status,
    category: api.category ?? null, tags: [...api.tags],
    source: 'url' in api.source ? { url: api.source.url } : 'connection' in api.source ? { connection: { ...api.source.connection } } : { inline: true },
    kind: kindOf(api.format),
    specHash: api.specHash, format: api.format, baseUrl: api.baseUrl ?? null,
    selector: (selector as ApiAnswer['selector'] | undefined) ?? null, naming: naming ?? null, toolDefaults: (toolDefaults as ApiAnswer['toolDefaults'] | undefined) ?? null,
    refreshInterval: api.refreshSeconds === undefined ? null : `${api.refreshSeconds}s`,
    refreshedAt: api.refreshedAt?.toISOString() ?? null, lastError: api.lastError ?? null,
    slots: { ...api.slots }, credentials: { ...api.credentials },
    missingCredentials: Object.keys(api.slots).filter((slot) => !Object.hasOwn(api.credentials, slot)),
    toolCount: api.toolCount, counts: { ...api.counts },
    createdAt: api.createdAt.toISOString(), updatedAt: api.updatedAt.toISOString(),
  };
}
