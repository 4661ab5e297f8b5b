import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCESS, ADMIN_PUBLIC_ROUTES } from '#apps/controller/src/http/access.js';
import { harness, type Harness } from './harness.js';

/** What the documentation promises, written down a second time by hand: 1 may, 0 is answered 403. */
const PROMISED: Readonly<Record<string, string>> = {
  //                                                      cpi-admin tenant-admin devops viewer none
  'GET /admin/v1/tenants': '11110',
  'POST /admin/v1/tenants': '10000',
  'GET /admin/v1/tenants/:tenant': '11110',
  'PATCH /admin/v1/tenants/:tenant': '11000',
  'DELETE /admin/v1/tenants/:tenant': '10000',
  'GET /admin/v1/tenants/:tenant/apis': '11110',
  'POST /admin/v1/tenants/:tenant/apis': '11100',
  'GET /admin/v1/tenants/:tenant/apis/:api': '11110',
  'DELETE /admin/v1/tenants/:tenant/apis/:api': '11000',
  'POST /admin/v1/tenants/:tenant/apis/:api/refresh': '11100',
  'GET /admin/v1/tenants/:tenant/apis/:api/document': '11110',
  'GET /admin/v1/tenants/:tenant/apis/:api/ledger': '11110',
  'PUT /admin/v1/tenants/:tenant/apis/:api/credentials/:slot': '11000',
  'DELETE /admin/v1/tenants/:tenant/apis/:api/credentials/:slot': '11000',
  'GET /admin/v1/tenants/:tenant/keys': '11000',
  'POST /admin/v1/tenants/:tenant/keys': '11000',
  'GET /admin/v1/tenants/:tenant/keys/:key': '11000',
  'POST /admin/v1/tenants/:tenant/keys/:key/rotate': '11000',
  'DELETE /admin/v1/tenants/:tenant/keys/:key': '11000',
  'GET /admin/v1/tenants/:tenant/tools': '11110',
  'GET /admin/v1/tenants/:tenant/tools/:tool': '11110',
  'PATCH /admin/v1/tenants/:tenant/tools/:tool': '11000',
  'GET /admin/v1/tenants/:tenant/prompts': '11110',
  'POST /admin/v1/tenants/:tenant/prompts': '11000',
  'GET /admin/v1/tenants/:tenant/prompts/:prompt': '11110',
  'PUT /admin/v1/tenants/:tenant/prompts/:prompt': '11000',
  'DELETE /admin/v1/tenants/:tenant/prompts/:prompt': '11000',
  'GET /admin/v1/tenants/:tenant/resources': '11110',
  'POST /admin/v1/tenants/:tenant/resources': '11000',
  'GET /admin/v1/tenants/:tenant/resources/:resource': '11110',
  'PUT /admin/v1/tenants/:tenant/resources/:resource': '11000',
  'DELETE /admin/v1/tenants/:tenant/resources/:resource': '11000',
  'GET /admin/v1/usage': '11110',
  'GET /admin/v1/usage/export': '11000',
  'GET /admin/v1/ledger': '11110',
  'GET /admin/v1/ledger/reconciliation': '11000',
  'POST /admin/v1/ledger/correct': '10000',
  'GET /admin/v1/bills': '11110',
  'POST /admin/v1/bills/simulate': '11110',
  'POST /admin/v1/bills/close': '10000',
  'GET /admin/v1/price-books': '11110',
  'POST /admin/v1/price-books': '10000',
  'GET /admin/v1/tenants/:tenant/plans': '11110',
  'POST /admin/v1/tenants/:tenant/plans': '11000',
  'GET /admin/v1/tenants/:tenant/subscriptions': '11000',
  'POST /admin/v1/tenants/:tenant/subscriptions': '11000',
  'DELETE /admin/v1/tenants/:tenant/subscriptions/:subscription': '11000',
  'GET /admin/v1/tenants/:tenant/budgets': '11110',
  'PUT /admin/v1/tenants/:tenant/budgets': '11000',
  'GET /admin/v1/policies': '10000',
  'GET /admin/v1/policies/:digest': '10000',
  'PUT /admin/v1/policies': '10000',
  'DELETE /admin/v1/policies': '10000',
  'POST /admin/v1/policies/lint': '10000',
  'GET /admin/v1/tenants/:tenant/policies': '11110',
  'GET /admin/v1/tenants/:tenant/policies/:digest': '11110',
  'PUT /admin/v1/tenants/:tenant/policies': '11000',
  'DELETE /admin/v1/tenants/:tenant/policies': '11000',
  'POST /admin/v1/tenants/:tenant/policies/check': '11110',
  'POST /admin/v1/tenants/:tenant/policies/lint': '11110',
  'GET /admin/v1/tenants/:tenant/decisions/:id': '11100',
  'GET /admin/v1/audit': '10000',
  'GET /admin/v1/audit/export': '10000',
  'GET /admin/v1/audit/checkpoints': '10000',
  'GET /admin/v1/audit/keys': '11110',
  'POST /admin/v1/audit/erasures': '10000',
  'GET /admin/v1/tenants/:tenant/audit': '11000',
  'GET /admin/v1/tenants/:tenant/audit/export': '11000',
  'GET /admin/v1/tenants/:tenant/audit/entries/:seq': '11000',
  'GET /admin/v1/tenants/:tenant/audit/checkpoints': '11000',
  'POST /admin/v1/tenants/:tenant/audit/erasures': '11000',
  'GET /admin/audit-logs': '11000',
  'GET /admin/v1/tenants/:tenant/errors': '11100',
  'GET /admin/v1/tenants/:tenant/errors/:id': '11100',
};
const ROLES = ['cpi-admin', 'tenant-admin', 'devops', 'viewer', 'somebody'];
const routes = Object.keys(PROMISED);
const confined = routes.filter((route) => route.includes(':tenant'));
const below = (route: string, tenant: string): string => route.replace('/admin/v1', '').replace(':tenant', tenant).replaceAll(/:\w+/g, 'thing');

const seen = async (on: Harness, role: string): Promise<string[]> => (await on.ask(role, 'GET /tenants')).json<{ tenants: { slug: string }[] }>().tenants.map(({ slug }) => slug);

describe('who may do what', () => {
  let on: Harness;
  const registered: string[] = [];
  beforeAll(async () => {
    on = await harness({}, {}, (server) => { server.addHook('onRoute', ({ method, url }) => { for (const one of [method].flat()) if (one !== 'HEAD' && url.startsWith('/admin/')) registered.push(`${one} ${url}`); }); });
    await on.ask('cpi-admin', 'POST /tenants', { slug: 'acme' });
    await on.ask('cpi-admin', 'POST /tenants', { slug: 'globex' });
  });
  afterAll(() => on.app.close());

  it('is decided for every route that exists, and for none that does not', () => {
    const guarded = registered.filter((route) => !ADMIN_PUBLIC_ROUTES.includes(route));
    expect(guarded.toSorted()).toEqual(routes.toSorted());
    expect(Object.keys(ACCESS).toSorted()).toEqual(routes.toSorted());
  });

  it.each(routes.flatMap((route) => ROLES.map((role, index) => ({ route, role, may: PROMISED[route]?.[index] === '1' }))))('$role on $route: $may', async ({ route, role, may }) => {
    const answer = await on.ask(`${role}@acme`, below(route, 'acme'), route.startsWith('GET') ? undefined : 'not json', { 'content-type': 'application/json' });
    expect(answer.statusCode === 403).toBe(!may);
    expect(answer.statusCode).not.toBe(401);
    expect(answer.statusCode).toBeLessThan(500);
  });

  it.each(routes)('answers 401 to nobody in particular on %s, whatever is asked', async (route) => {
    const answer = await on.ask('', below(route, 'acme'));
    expect([answer.statusCode, answer.json(), answer.headers['www-authenticate']]).toEqual([401, { detail: 'Not authenticated' }, 'Bearer']);
  });

  it.each(confined.flatMap((route) => ['tenant-admin', 'devops', 'viewer', 'tenant-admin+devops+viewer'].map((role) => ({ route, role }))))('$role: another tenant answers on $route the bytes of one that does not exist', async ({ route, role }) => {
    const [other, unknown] = [await on.ask(`${role}@acme`, below(route, 'globex')), await on.ask(`${role}@acme`, below(route, 'nobody'))];
    expect(other.statusCode).toBe(unknown.statusCode);
    expect(other.body.replaceAll('globex', 'nobody')).toBe(unknown.body);
    expect(Object.keys(other.headers)).toEqual(Object.keys(unknown.headers));
    const refused: unknown = expect.stringMatching(/^Access denied: needs one of the roles /);
    expect(other.json()).toEqual({ detail: other.statusCode === 404 ? 'Tenant not found: globex' : refused });
  });

  it('answers a platform administrator on an unknown tenant what a stranger is answered on another\'s', async () => {
    expect((await on.ask('cpi-admin', 'GET /tenants/nobody/tools')).body).toBe((await on.ask('viewer@globex', 'GET /tenants/nobody/tools')).body);
    expect((await on.ask('viewer@nobody', 'GET /tenants/nobody')).json()).toEqual({ detail: 'Tenant not found: nobody' });
  });

  it('lists to each the tenants that it may see', async () => {
    expect(await seen(on, 'cpi-admin')).toEqual(['acme', 'globex']);
    expect(await seen(on, 'viewer@acme')).toEqual(['acme']);
    expect(await seen(on, 'viewer@nobody')).toEqual([]);
    expect(await seen(on, 'viewer')).toEqual([]);
  });

  it('answers 404 in its own shape where no route is', async () => {
    const answer = await on.ask('cpi-admin', 'GET /tenants/acme/nothing');
    expect([answer.statusCode, answer.json()]).toEqual([404, { detail: 'Not Found' }]);
  });

  it('reads no byte of the body of one who may not', async () => {
    const answer = await on.ask('viewer@acme', 'POST /tenants/acme/apis', Buffer.alloc(65 * 1024 * 1024), { 'content-type': 'application/yaml' });
    expect(answer.statusCode).toBe(403);
  });

  it('lets only the platform lift a suspension', async () => {
    expect((await on.ask('tenant-admin@acme', 'PATCH /tenants/acme', { enabled: true })).statusCode).toBe(403);
    expect((await on.ask('tenant-admin@acme', 'PATCH /tenants/acme', { displayName: 'Acme' })).json()).toMatchObject({ displayName: 'Acme', enabled: true });
    expect((await on.ask('cpi-admin', 'PATCH /tenants/acme', { enabled: false })).json()).toMatchObject({ enabled: false });
    expect((await on.ask('tenant-admin@acme', 'PATCH /tenants/acme', { quotas: null })).statusCode).toBe(403);
    expect((await on.ask('cpi-admin', 'PATCH /tenants/acme', { quotas: { perDay: 5 } })).json()).toMatchObject({ quotas: { perDay: 5 } });
    expect((await on.ask('cpi-admin', 'PATCH /tenants/acme', { quotas: { perDay: 0 } })).statusCode).toBe(422);
    expect((await on.ask('cpi-admin', 'PATCH /tenants/acme', { quotas: null })).json()).toMatchObject({ quotas: null });
  });

  it('serves the description and its page to everyone, and nothing else', async () => {
    for (const path of ['/openapi.json', '/docs', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js', '/docs/start.js']) expect([path, (await on.ask('', `GET ${path}`)).statusCode]).toEqual([path, 200]);
    for (const path of ['/docs/package.json', '/docs/..%2Fpackage.json', '/docs/__proto__']) expect([path, (await on.ask('', `GET ${path}`)).statusCode]).toEqual([path, 404]);
    expect((await on.ask('', 'GET /docs')).body).not.toMatch(/https?:\/\//);
  });
});
