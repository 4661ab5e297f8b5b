import { z } from 'zod';
import { ASYMMETRIC_ALGORITHMS, type ClaimNames, checkIssuers, type IssuerConfig } from './issuer-config.js';
import type { KeyPolicy } from './issuer-keys.js';
import { type IssuersFileAccess, readIssuersFile } from './issuers-file.js';
import { readStaticToken, type StaticToken } from './static-tokens.js';

const list = () => z.string().transform((text) => text.split(',').map((item) => item.trim()).filter((item) => item !== ''));
const flag = () => z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] });

/** How callers prove themselves: the part of a process's configuration that gateway and controller share. */
export const signInFields = {
  oidcIssuer: z.url().optional().meta({ env: 'OIDC_ISSUER', description: 'Issuer URL; must equal the `iss` claim byte for byte. Wins over KEYCLOAK_URL.' }),
  keycloakUrl: z.url().optional().meta({ env: 'KEYCLOAK_URL', description: 'Keycloak base URL; the issuer is {KEYCLOAK_URL}/realms/{KEYCLOAK_REALM}.' }),
  keycloakRealm: z.string().regex(/^[\w.-]+$/, 'expected a realm name').default('stoa').meta({ env: 'KEYCLOAK_REALM', description: 'Keycloak realm.' }),
  keycloakClientId: z.string().min(1).default('stoa-mcp-gateway').meta({ env: 'KEYCLOAK_CLIENT_ID', description: 'This process\'s own client at the issuer, for its check at start.' }),
  keycloakClientSecret: z.string().min(1).optional().meta({ env: 'KEYCLOAK_CLIENT_SECRET', description: 'Its secret. With it the process gets a token of the issuer at start and is not ready before one carries the audience and a tenant; unset: not checked.', secret: true }),
  jwksUrl: z.url().optional().meta({ env: 'JWKS_URL', description: 'Where the issuer\'s keys are, when its discovery document cannot be used.' }),
  oidcMetadataUrl: z.url().optional().meta({ env: 'OIDC_METADATA_URL', description: 'Where this process finds the issuer\'s metadata (openid-configuration), if it cannot reach the issuer at its own address; the metadata must still name OIDC_ISSUER.' }),
  allowedAudiences: list().prefault('stoa-mcp-gateway').transform((given) => (given.length > 0 ? given : ['stoa-mcp-gateway'])).meta({ env: 'ALLOWED_AUDIENCES', description: 'Accepted `aud` values, beside RESOURCE_URL. An empty value means the default: audience checking cannot be switched off.' }),
  resourceUrl: z.url().optional().meta({ env: 'RESOURCE_URL', description: 'Canonical URL of the MCP server that tokens are for (RFC 9728 `resource`), as clients reach it, e.g. https://gateway.example.com/mcp.' }),
  issuersFile: z.string().optional().meta({ env: 'ISSUERS_FILE', description: 'YAML or JSON file with further issuers, each with audiences, algorithms and claim names of its own (docs/authentication.md).' }),

  jwtSecretKey: z.string().optional().meta({ env: 'JWT_SECRET_KEY', description: 'Shared secret (HS256, 32 bytes or more) of the issuer JWT_ISSUER. An issuer with public keys never takes it.', secret: true }),
  jwtIssuer: z.string().optional().meta({ env: 'JWT_ISSUER', description: 'Exact `iss` of the tokens that are signed with JWT_SECRET_KEY.' }),
  jwtAudience: list().prefault('').meta({ env: 'JWT_AUDIENCE', description: 'Accepted `aud` of those tokens. Unset: as ALLOWED_AUDIENCES and RESOURCE_URL.' }),
  jwtAllowedAlgorithms: list().prefault('').meta({ env: 'JWT_ALLOWED_ALGORITHMS', description: `Signature algorithms of OIDC_ISSUER, of ${ASYMMETRIC_ALGORITHMS.join(', ')}. Unset: all four. HS256 is for JWT_ISSUER alone, which takes nothing else.` }),
  jwtTenantClaim: list().prefault('').meta({ env: 'JWT_TENANT_CLAIM', description: 'Claim that names the caller\'s tenant: text, or a list whose first entry counts. Several names: the first that a token has. Unset: `tenant_id`, for JWT_ISSUER `workspace`.' }),
  jwtRolesClaim: z.string().optional().meta({ env: 'JWT_ROLES_CLAIM', description: 'Claim with the caller\'s roles; dots lead into objects. Unset: `realm_access.roles`, for JWT_ISSUER `roles`.' }),
  jwtUserIdClaim: z.string().default('sub').meta({ env: 'JWT_USER_ID_CLAIM', description: 'Claim that names the caller.' }),
  jwtExpClaim: z.string().default('exp').meta({ env: 'JWT_EXP_CLAIM', description: 'Claim with the token\'s end, in seconds since 1970.' }),
  jwtIatClaim: z.string().default('iat').meta({ env: 'JWT_IAT_CLAIM', description: 'Claim with the time of issue, in seconds since 1970.' }),
  jwtApiVersionClaim: z.string().default('v').meta({ env: 'JWT_API_VERSION_CLAIM', description: 'Claim with the API version.' }),
  jwtAllowedApiVersions: list().prefault('').meta({ env: 'JWT_ALLOWED_API_VERSIONS', description: 'API versions of which a token must name one. Unset: any.' }),
  jwtMaxTokenAgeMinutes: z.coerce.number().min(0).default(0).meta({ env: 'JWT_MAX_TOKEN_AGE_MINUTES', description: 'Oldest token that is taken, in minutes since it was issued; 0: only its end counts.' }),
  jwtClockSkewSeconds: z.coerce.number().min(0).max(600).default(30).meta({ env: 'JWT_CLOCK_SKEW_SECONDS', description: 'By how much the clocks of issuer and this process may differ.' }),
  jwtGroupsClaim: z.string().default('groups').meta({ env: 'JWT_GROUPS_CLAIM', description: 'Claim with the caller\'s groups.' }),
  jwtRequiredGroups: list().prefault('').meta({ env: 'JWT_REQUIRED_GROUPS', description: 'Groups that a caller must all be in; otherwise 403.' }),
  jwksCacheSeconds: z.coerce.number().min(1).max(3600).default(300).meta({ env: 'JWKS_CACHE_SECONDS', description: 'Age at which an issuer\'s keys are fetched again, behind a call that still uses the old ones.' }),
  jwksStaleSeconds: z.coerce.number().min(1).max(604_800).default(86_400).meta({ env: 'JWKS_STALE_SECONDS', description: 'Age at which keys that could not be fetched again stop being used; then 503.' }),

  basicAuthEnabled: flag().prefault('true').meta({ env: 'BASIC_AUTH_ENABLED', description: 'Whether machines may sign in with client id and secret by HTTP Basic, which are exchanged for a token at OIDC_ISSUER.' }),
  basicAuthCacheSeconds: z.coerce.number().min(0).max(60).default(30).meta({ env: 'BASIC_AUTH_CACHE_SECONDS', description: 'How long such a success is believed: for that long a client outlives its end at the issuer.' }),
  apiKeysEnabled: flag().prefault('true').meta({ env: 'API_KEYS_ENABLED', description: 'API keys (`stoa_sk_…`), as bearer token or in `X-API-Key`.' }),
  apiKeysStaleSeconds: z.coerce.number().min(0).max(3600).default(60).meta({ env: 'API_KEYS_STALE_SECONDS', description: 'While the database cannot be reached, keys that were good then are believed for this long, then 503; 0: not at all.' }),
  staticTokens: z.string().default('').meta({ env: 'STATIC_TOKENS', description: 'Fixed bearer tokens for development, comma-separated `subject@tenant:role+role=token`; tenant and roles may be left out (role stoa.agent). Refused where ENVIRONMENT is prod.', secret: true }),
  debug: flag().prefault('false').meta({ env: 'DEBUG', description: 'Development: with ENVIRONMENT=dev the header `X-Debug-User: subject@tenant:role+role` signs anybody in as anyone. Refused where ENVIRONMENT is prod, without effect in staging.' }),
} as const;
export type SignInConfig = Readonly<z.infer<z.ZodObject<typeof signInFields>>> & { readonly environment: 'dev' | 'staging' | 'prod' };

type Wrong = (field: keyof typeof signInFields, message: string) => void;

/** What no single field can say. `required`: somebody must be able to sign in. */
export function checkSignIn(config: SignInConfig, wrong: Wrong, required = true): void {
  const { jwtSecretKey: secret, jwtIssuer, jwtAllowedAlgorithms: algorithms } = config;
  const oidc = oidcIssuerOf(config);
  if (required && oidc === undefined && config.issuersFile === undefined && secret === undefined) wrong('oidcIssuer', 'is required, or KEYCLOAK_URL, ISSUERS_FILE or JWT_SECRET_KEY');
  if (secret !== undefined && Buffer.byteLength(secret) < 32) wrong('jwtSecretKey', 'needs at least 32 bytes (RFC 7518 §3.2)');
  if (secret !== undefined && jwtIssuer === undefined) wrong('jwtIssuer', 'is required beside JWT_SECRET_KEY');
  if (secret === undefined && jwtIssuer !== undefined) wrong('jwtSecretKey', 'is required beside JWT_ISSUER; an issuer with public keys is named by OIDC_ISSUER');
  if (jwtIssuer !== undefined && jwtIssuer === oidc) wrong('jwtIssuer', 'is OIDC_ISSUER: an issuer has either a shared secret or public keys, never both');
  for (const algorithm of algorithms) {
    if (algorithm === 'HS256' ? secret === undefined : !isAsymmetric(algorithm)) wrong('jwtAllowedAlgorithms', algorithm === 'HS256' ? 'HS256 needs JWT_SECRET_KEY' : `${algorithm} is not one of HS256, ${ASYMMETRIC_ALGORITHMS.join(', ')}`);
  }
  if (oidc !== undefined && algorithms.length > 0 && !algorithms.some(isAsymmetric)) wrong('jwtAllowedAlgorithms', 'leaves no algorithm for OIDC_ISSUER');
  if (config.keycloakClientSecret !== undefined && oidc === undefined) wrong('keycloakClientSecret', 'is for the issuer of OIDC_ISSUER or KEYCLOAK_URL: name it');
  // What Keycloak makes of a realm file's placeholder whose variable was not set: everybody knows it.
  if (config.keycloakClientSecret?.startsWith('${') === true) wrong('keycloakClientSecret', 'is a placeholder, not a secret');
  if (config.oidcMetadataUrl !== undefined && config.jwksUrl !== undefined) wrong('oidcMetadataUrl', 'is not read beside JWKS_URL: leave one of them out');
  if (config.oidcMetadataUrl !== undefined && oidc === undefined) wrong('oidcMetadataUrl', 'is for the issuer of OIDC_ISSUER or KEYCLOAK_URL: name it');
  if (config.jwksStaleSeconds < config.jwksCacheSeconds) wrong('jwksStaleSeconds', 'must not be less than JWKS_CACHE_SECONDS');
  if (config.environment === 'prod' && config.staticTokens !== '') wrong('staticTokens', 'are for development: leave them out where ENVIRONMENT is prod');
  if (config.environment === 'prod' && config.debug) wrong('debug', 'is for development: set it to false where ENVIRONMENT is prod');
  try { staticTokensOf(config); } catch (failure) { wrong('staticTokens', failure instanceof Error ? failure.message : String(failure)); }
}

/** The one issuer that the environment itself names by its public keys. */
export const oidcIssuerOf = ({ oidcIssuer, keycloakUrl, keycloakRealm }: Pick<SignInConfig, 'oidcIssuer' | 'keycloakUrl' | 'keycloakRealm'>): string | undefined =>
  oidcIssuer ?? (keycloakUrl === undefined ? undefined : `${keycloakUrl.replace(/\/$/, '')}/realms/${keycloakRealm}`);

const isAsymmetric = (algorithm: string): algorithm is (typeof ASYMMETRIC_ALGORITHMS)[number] => (ASYMMETRIC_ALGORITHMS as readonly string[]).includes(algorithm);

/** Ways to sign in, as `AuthModule` takes them. */
export interface SignIn {
  readonly issuers: readonly IssuerConfig[];
  readonly keyPolicy: Partial<KeyPolicy>;
  /** Where client id and secret are exchanged; undefined: Basic is refused. */
  readonly basic: { readonly issuer: string; readonly metadataUrl?: string; readonly resource?: string; readonly keepMs: number } | undefined;
  /** Own client at the issuer, to see at start that its tokens would be taken; undefined: not checked. */
  readonly selfCheck: { readonly issuer: string; readonly metadataUrl?: string; readonly clientId: string; readonly clientSecret: string; readonly resource?: string } | undefined;
  readonly staticTokens: readonly StaticToken[];
  /** Whether `X-Debug-User` means anything. */
  readonly debugUser: boolean;
  /** Issuers that a client can get a token from, the environment's own first. */
  readonly authorizationServers: readonly string[];
  /** Where the metadata of the first of them is, if not at its own address. */
  readonly issuerMetadataUrl: string | undefined;
}

/** Throws an `Error` that names the variable or the file, the line and the fix. */
export function signInOf(config: SignInConfig, access: IssuersFileAccess): SignIn {
  const { issuersFile, resourceUrl, oidcMetadataUrl } = config;
  const oidc = oidcIssuerOf(config);
  const elsewhere = oidcMetadataUrl === undefined ? {} : { metadataUrl: oidcMetadataUrl };
  const issuers = [...environmentIssuers(config, oidc), ...(issuersFile === undefined ? [] : fromFile(issuersFile, access))];
  if (issuers.length > 0) checkIssuers(issuers);
  return {
    issuers, staticTokens: staticTokensOf(config), debugUser: config.debug && config.environment === 'dev',
    keyPolicy: { refreshAfterMs: config.jwksCacheSeconds * 1000, staleLimitMs: config.jwksStaleSeconds * 1000 },
    basic: config.basicAuthEnabled && oidc !== undefined ? { issuer: oidc, ...elsewhere, ...(resourceUrl === undefined ? {} : { resource: resourceUrl }), keepMs: config.basicAuthCacheSeconds * 1000 } : undefined,
    selfCheck: oidc === undefined || config.keycloakClientSecret === undefined ? undefined : { issuer: oidc, ...elsewhere, clientId: config.keycloakClientId, clientSecret: config.keycloakClientSecret, ...(resourceUrl === undefined ? {} : { resource: resourceUrl }) },
    authorizationServers: issuers.filter(({ keys }) => keys.from !== 'secret').map(({ issuer }) => issuer), issuerMetadataUrl: oidcMetadataUrl,
  };
}

function fromFile(path: string, access: IssuersFileAccess): readonly IssuerConfig[] {
  try { return readIssuersFile(path, access); } catch (failure) {
    throw new Error(`ISSUERS_FILE: ${failure instanceof Error ? failure.message : String(failure)}`, { cause: failure });
  }
}

function environmentIssuers(config: SignInConfig, oidc: string | undefined): readonly IssuerConfig[] {
  const { jwtSecretKey: secret, jwtIssuer, jwtTenantClaim: tenant, jwtRolesClaim: roles, resourceUrl, jwksUrl, oidcMetadataUrl: metadataUrl } = config;
  const resource = resourceUrl === undefined ? [] : [resourceUrl];
  const algorithms = config.jwtAllowedAlgorithms.filter(isAsymmetric);
  const among = algorithms.length === 0 ? {} : { algorithms };
  const rules = { maxTokenAgeSeconds: config.jwtMaxTokenAgeMinutes * 60, clockSkewSeconds: config.jwtClockSkewSeconds, apiVersions: config.jwtAllowedApiVersions, requiredGroups: config.jwtRequiredGroups };
  const claims: ClaimNames = {
    subject: config.jwtUserIdClaim, expiresAt: config.jwtExpClaim, issuedAt: config.jwtIatClaim, apiVersion: config.jwtApiVersionClaim, groups: config.jwtGroupsClaim,
    ...(tenant.length > 0 ? { tenant } : {}), ...(roles === undefined ? {} : { roles }),
  };
  return [
    ...(oidc === undefined ? [] : [{ issuer: oidc, audiences: [...config.allowedAudiences, ...resource], keys: jwksUrl === undefined ? { from: 'discovery' as const, ...(metadataUrl === undefined ? {} : { metadataUrl }), ...among } : { from: 'jwks' as const, uri: jwksUrl, ...among }, claims, ...rules }]),
    ...(secret === undefined || jwtIssuer === undefined ? [] : [{
      issuer: jwtIssuer, audiences: config.jwtAudience.length > 0 ? config.jwtAudience : [...config.allowedAudiences, ...resource], keys: { from: 'secret' as const, secret },
      claims: { tenant: 'workspace', roles: 'roles', ...claims }, ...rules,
    }]),
  ];
}

const staticTokensOf = ({ staticTokens }: Pick<SignInConfig, 'staticTokens'>): readonly StaticToken[] => staticTokens.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '').map(readStaticToken);
