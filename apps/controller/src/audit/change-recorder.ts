import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { canonicalJson } from '#libs/audit/canonical-json.js';
import type { AdminAudit, AdminChange } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { tenantSlug } from '#libs/core/tenant.js';
import type { ControllerParts } from '../parts.js';
import { principalOf } from '../http/request.js';

/** These ask, and change nothing. */
const ASKING = new Set(['POST /admin/v1/tenants/:tenant/policies/check', 'POST /admin/v1/tenants/:tenant/policies/lint', 'POST /admin/v1/policies/lint', 'POST /admin/v1/bills/simulate']);
/** What is sent to these must leave no trace, not even a digest. */
const TRACELESS = new Set(['POST /admin/v1/tenants/:tenant/audit/erasures', 'POST /admin/v1/audit/erasures']);

/** Whether a route changes something, by its method: a new route is on record unless it is known to change nothing. */
export const changes = (method: string, route: string): boolean => !['GET', 'HEAD', 'OPTIONS'].includes(method) && !ASKING.has(`${method} ${route}`);

/**
 * Puts administration on record: what is refused when it is refused, what is allowed before it is done, and once more if it then fails. Where
 * that cannot be written the request fails with `Unavailable`, and nothing is done.
 */
export class ChangeRecorder {
  constructor(private readonly audit: AdminAudit, private readonly parts: Pick<ControllerParts, 'now' | 'log'>) {}

  async refused(request: FastifyRequest, { status, detail }: { readonly status: number; readonly detail: string }): Promise<void> {
    const principal = principalOf(request);
    // In the chain of whoever tried: another tenant's name is no way into its trail.
    if (principal) await this.audit.record({ ...this.#about(request, principal), tenant: principal.tenant, effect: 'deny', reason: detail, status });
  }

  async allowed(request: FastifyRequest): Promise<void> {
    const principal = principalOf(request);
    if (!principal) return;
    const about = this.#about(request, principal);
    const contentDigest = TRACELESS.has(about.action) ? undefined : digestOf(request.body);
    await this.audit.record({ ...about, effect: 'allow', ...(contentDigest === undefined ? {} : { contentDigest }) });
  }

  /** The change is not made, so that a record more or less changes nothing of it. */
  async failed(request: FastifyRequest, { statusCode: status }: Pick<FastifyReply, 'statusCode'>): Promise<void> {
    const principal = principalOf(request);
    if (!principal) return;
    await this.audit.record({ ...this.#about(request, principal), effect: 'allow', status }).catch((failure: unknown) => {
      this.parts.log?.error({ err: failure, request_id: request.id, status }, 'that a change failed could not be put on record');
    });
  }

  #about(request: FastifyRequest, principal: Principal): Omit<AdminChange, 'effect'> {
    const object = request.params as Readonly<Record<string, string>>;
    return {
      requestId: request.id, tenant: tenantSlug(object['tenant']), action: `${request.method} ${request.routeOptions.url ?? ''}`, object, at: this.parts.now().getTime(),
      principal: {
        issuer: principal.issuer, subject: principal.subject, clientId: principal.clientId, roles: [...principal.roles], scopes: [...principal.scopes],
        ...(principal.credentialId === undefined ? {} : { credentialId: principal.credentialId }), ...(principal.actors === undefined ? {} : { actors: principal.actors }),
      },
    };
  }
}

function digestOf(body: unknown): string | undefined {
  if (body === undefined || body === null) return undefined;
  try { return createHash('sha256').update(body instanceof Uint8Array ? body : canonicalJson(body)).digest('hex'); } catch { return undefined; }
}
