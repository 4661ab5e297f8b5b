/** A guard, and what the source says without it. `find` is there exactly once. */
interface Edit { readonly file: string; readonly find: string; readonly without: string }
export interface Mutant extends Edit { readonly guard: string; /** A second guard of the same thing, which goes with it: alone, either of them still holds. */ readonly behind?: Edit }

const FOREIGN = "('globex' as NonNullable<typeof principal.tenant>)";
/** Each guard of tenants from one another: with any one of them gone, the matrix is red (`npx vitest run --config test/isolation/vitest.mutants.config.ts`). */
export const MUTANTS: readonly Mutant[] = [
  { guard: 'a call resolves in the catalogue of its principal\'s tenant', file: 'libs/core/stages/resolve.ts', find: 'const snapshot = catalogue.snapshot(tenant);', without: "const snapshot = catalogue.snapshot('globex' as typeof tenant);",
    // The policy's own rule of tenants: everybody passes for an administrator.
    behind: { file: 'libs/policy/policy-data.ts', find: '    ...governance,\n', without: "    ...governance, admin_scopes: ['stoa:read', 'stoa:tools:execute'],\n" } },
  { guard: 'lists, details and completion show the principal\'s tenant', file: 'apps/gateway/src/visible.ts', find: 'const snapshot = catalogue.snapshot(principal.tenant);', without: `const snapshot = catalogue.snapshot(${FOREIGN});` },
  { guard: 'a cursor is sealed for its tenant', file: 'apps/gateway/src/mcp/pages.ts', find: "const opened = seal.open(tenantKey(tenant, 'cursor', method), cursor);", without: "const opened = seal.open(tenantKey('globex' as TenantSlug, 'cursor', method), cursor) ?? seal.open(tenantKey(tenant, 'cursor', method), cursor);" },
  { guard: 'a session is its owner\'s', file: 'apps/gateway/src/mcp/sessions.ts', find: 'if (!session || session.owner !== callerKey(principal)) return undefined;', without: 'if (!session) return undefined;' },
  { guard: 'the state of a call that waits is sealed for its caller', file: 'apps/gateway/src/mcp/methods.ts', find: "return tenantKey(principal.tenant ?? ('-' as TenantSlug), 'state', principal.issuer, principal.subject, rpc.method, name, digest);", without: "void principal; return tenantKey('-' as TenantSlug, 'state', rpc.method, name, digest);" },
  { guard: 'a tenant that a query names is one\'s own, but for a platform administrator', file: 'apps/gateway/src/http/tools.controller.ts', find: 'if (!isPlatformAdmin(principal)) throw', without: 'if (principal === undefined) throw' },
  { guard: 'the admin API obeys the policy', file: 'apps/controller/src/http/access.ts', find: '(allow ? undefined :', without: '(allow || status === 404 ? undefined :' },
  { guard: 'a transaction takes on the role that row-level security binds', file: 'libs/state/database.ts', find: "SELECT set_config('role', 'stoa_app', true), set_config('app.tenant', $1, true)", without: "SELECT set_config('app.tenant', $1, true)" },
  { guard: 'the door asks for a credential', file: 'libs/auth/door.ts', find: "if (pattern === undefined ? request.url.startsWith('/.well-known/') : options.isPublic(request.method, pattern)) { done(); return; }", without: "if (pattern === undefined ? request.url.startsWith('/.well-known/') : options.isPublic(request.method, pattern)) { done(); return; } if (request.headers.authorization === undefined) { request.principal = { tenant: 'globex' as never, issuer: '', subject: '', clientId: '', roles: new Set(['tenant-admin']), scopes: new Set(['stoa:read']), expiresAt: 4e9 }; done(); return; }" },
  { guard: 'a capability token is looked at by administrators of its tenant', file: 'libs/capability/capabilities.ts', find: '|| !administers(asker, found.tenant)) return { active: false };', without: ') return { active: false };' },
  { guard: 'a capability token is ended by its own or its administrators', file: 'libs/capability/capabilities.ts', find: 'if (key !== undefined && (own || administers(asker, found.tenant)))', without: 'if (key !== undefined)' },
];
