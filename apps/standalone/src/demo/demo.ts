import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ControlStore } from '#libs/core/control-store.js';
import { tenantSlug, type TenantSlug } from '#libs/core/tenant.js';
import type { Importer } from '#apps/controller/src/apis/importer.js';
import { startPetshop } from './acme-petshop.js';
import type { DemoServer } from './demo-server.js';
import { startWeather } from './globex-weather.js';

interface DemoApi { readonly tenant: string; readonly tenantTitle: string; readonly api: string; readonly start: (file: string) => Promise<DemoServer> }
const DEMOS: readonly DemoApi[] = [
  { tenant: 'acme', tenantTitle: 'Acme', api: 'petshop', start: startPetshop },
  { tenant: 'globex', tenantTitle: 'Globex', api: 'weather', start: startWeather },
];

export interface RunningDemo { readonly tenant: TenantSlug; readonly api: string; readonly title: string; readonly tools: number; readonly url: string }
export interface Demos { readonly running: readonly RunningDemo[]; close(): Promise<void> }

/**
 * Starts the demo services and makes sure that their tenants have them: a tenant or API that is missing is made, one that
 * has changed or moved to another port is imported again, and one that has not is left alone.
 */
export async function startDemos(home: string, store: Pick<ControlStore, 'getTenant' | 'createTenant' | 'getApi'>, importer: Pick<Importer, 'import'>): Promise<Demos> {
  const servers: DemoServer[] = [];
  const running: RunningDemo[] = [];
  for (const demo of DEMOS) {
    const slug = tenantSlug(demo.tenant);
    if (slug === undefined) throw new Error(`${demo.tenant} is not a tenant's name`);
    const server = await demo.start(join(home, `demo-${demo.tenant}.json`));
    servers.push(server);
    if (!await store.getTenant(slug)) await store.createTenant({ slug, displayName: demo.tenantTitle, description: 'A demo tenant that comes with the product.' });
    const url = `${server.url}/openapi.yaml`;
    const known = await store.getApi(slug, demo.api);
    const api = known && 'url' in known.source && known.source.url === url && known.specHash === await hashOf(url)
      ? known : (await importer.import(slug, { name: demo.api, source: { url }, category: 'demo', dryRun: false })).api;
    running.push({ tenant: slug, api: demo.api, title: api?.title ?? demo.api, tools: api?.toolCount ?? 0, url: server.url });
  }
  return { running, close: async () => { await Promise.all(servers.map((server) => server.close())); } };
}

async function hashOf(url: string): Promise<string> {
  const document = await fetch(url);
  return createHash('sha256').update(new Uint8Array(await document.arrayBuffer())).digest('hex');
}
