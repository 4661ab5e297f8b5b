import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import type { Catalogue, CatalogueChange, CatalogueSnapshot } from '#libs/core/catalogue.js';
import type { Backend } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { type Fixture, FIXTURES, type FixtureWorld } from './fixtures.js';

const TENANT = 'conformance' as TenantSlug;
/** The anonymous caller of the conformance profile. */
export const ANONYMOUS: Principal = { tenant: TENANT, issuer: 'urn:stoa:conformance', subject: 'anonymous', clientId: 'conformance', roles: new Set(['viewer']), scopes: new Set(), expiresAt: Number.MAX_SAFE_INTEGER };

/** One tenant whose catalogue is the fixtures, and the backend that answers them. */
export class FixtureCatalogue implements Catalogue, FixtureWorld {
  /** Calls that reached the backend. */
  readonly calls: ValidatedCall[] = [];
  readonly backend: Backend = { invoke: (call) => this.answer(call) };
  private readonly listeners = new Set<(change: CatalogueChange) => void>();
  private readonly targets: Target[];
  private current: CatalogueSnapshot;

  constructor(private readonly fixtures: readonly Fixture[] = FIXTURES) {
    this.targets = fixtures.map(({ target }) => ({ ...target, tenant: TENANT }));
    this.current = this.publish(1);
  }

  snapshot(tenant: TenantSlug): CatalogueSnapshot | undefined { return tenant === TENANT ? this.current : undefined; }
  onChange(listener: (change: CatalogueChange) => void): () => void {
    this.listeners.add(listener);
    return () => { this.listeners.delete(listener); };
  }

  /** Adds a tool or prompt, as a publication would. */
  changed(kind: 'tool' | 'prompt'): void {
    const like = this.targets.find((target) => target.kind === kind);
    const revision = this.current.revision + 1;
    if (like) {
      const name = `${like.name}_${revision}`;
      this.targets.push({ ...like, name, hash: name, listed: JSON.stringify({ ...(JSON.parse(like.listed) as object), name }) });
    }
    this.current = this.publish(revision);
    this.tell({ toolsChanged: kind === 'tool', promptsChanged: kind === 'prompt' });
  }
  /** Tells the listeners of a publication. */
  tell(change: Partial<CatalogueChange>): void {
    for (const listener of this.listeners) listener({ tenant: TENANT, revision: this.current.revision, toolsChanged: false, promptsChanged: false, resourcesChanged: false, resourceUris: [], ...change });
  }

  private publish(revision: number): CatalogueSnapshot {
    const of = (kind: Target['kind']): Map<string, Target> => new Map(this.targets.filter((target) => target.kind === kind).map((target) => [target.name, target]));
    return { tenant: TENANT, revision, hash: String(revision), enabled: true, apis: new Map(), tools: of('tool'), resources: of('resource'), prompts: of('prompt') };
  }
  private async answer(call: ValidatedCall): Promise<BackendAnswer> {
    this.calls.push(call);
    const { handler } = call.target.backend as { handler: string };
    const fixture = this.fixtures.find(({ target }) => target.kind === call.target.kind && target.name === handler);
    if (!fixture) throw new Error(`No fixture ${handler}`);
    return { result: await fixture.answer(call, this), outcome: 'success', latencyMs: 0, bytes: 0 };
  }
}
