import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DocumentBackend } from '#libs/backends/document/document-backend.js';
import type { Api } from '#libs/core/target.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { as, type FakeGateway, fakeGateway, fakeTarget, slug } from '../../../../test/fake-gateway.js';
import { createGateway } from '../create-gateway.js';

const api = (id: string, more: Partial<Api> = {}): Api => ({
  id, tenant: slug('acme'), name: id, version: '1.0.0', title: `The ${id} API`, description: '', kind: 'openapi', status: 'active', category: 'Pets', tags: ['animals'],
  specHash: 'hash', baseUrl: undefined, definitions: {}, slots: { key: { type: 'bearer' } }, credentials: {}, ...more,
});

const PETS = 'openapi: 3.1.0\ninfo: {title: Pets}\n';
const documentOf = (id: string, size: number) => fakeTarget('acme', 'resource', `stoa://apis/${id}/document`, { apiId: id, backend: { kind: 'document', api: id, specHash: 'hash', mimeType: 'application/yaml', size } });

let stored: Map<string, string>;
let app: NestFastifyApplication;
let fake: FakeGateway;
let now: number;
beforeEach(async () => {
  now = Date.parse('2026-12-01');
  fake = fakeGateway({ validator: createArgumentValidator(), now: () => now, source: { revisions: async () => new Map([[slug('globex'), 4], [slug('acme'), 2], [slug('gone'), 9]]) } });
  stored = new Map([['acme pets hash', PETS]]);
  const document = new DocumentBackend({ document: async (...of) => { const text = stored.get(of.join(' ')); return text === undefined ? undefined : { bytes: Buffer.from(text), mediaType: 'application/yaml' }; } });
  app = await createGateway({ ...fake.parts, backends: { ...fake.parts.backends, document } });
  fake.catalogue.put('acme', [
    fakeTarget('acme', 'tool', 'getPet', { apiId: 'pets', tags: ['animals'], category: 'Pets', description: 'Finds a pet by id' }),
    fakeTarget('acme', 'tool', 'addPet', { apiId: 'pets', backend: { kind: 'rest', method: 'POST', baseUrl: 'http://b', path: '/pets', parameters: [], accept: '*/*', security: [] } }),
    documentOf('pets', PETS.length),
  ], [api('pets'), api('shop', { category: 'Trade', status: 'deprecated', tags: [] })]);
  fake.catalogue.put('globex', [fakeTarget('globex', 'tool', 'secretTool')], [api('globex-plans', { tenant: slug('globex') })]);
});
afterEach(() => app.close());

const call = async (name: string, args: object = {}, caller = 'acme-viewer') => {
  const reply = await app.inject({ method: 'POST', url: `/mcp/v1/tools/${name}/invoke`, payload: { arguments: args }, headers: as(caller) });
  const body = reply.json<{ result?: { content: { text: string }[]; isError: boolean; metadata: Record<string, unknown> | null; structuredContent?: unknown }; detail?: unknown }>();
  return { status: reply.statusCode, body, isError: body.result?.isError, value: body.result ? JSON.parse(body.result.content[0]!.text) as Record<string, never> : undefined };
};

const names = async (caller: string) => (await app.inject({ url: '/mcp/v1/tools', headers: as(caller) })).json<{ tools: { name: string }[] }>().tools.map(({ name }) => name);

describe('platform tools', () => {
  it('are listed before the tenant\'s own, the administrators\' only to administrators', async () => {
    const everyones = ['stoa_platform_info', 'stoa_platform_health', 'stoa_tools', 'stoa_catalog', 'stoa_api_spec'];
    expect(await names('acme-viewer')).toEqual([...everyones, 'getPet', 'addPet']);
    expect(await names('nobody')).toEqual(everyones);
    expect(await names('admin')).toContain('stoa_tenants');
  });
  it('give real data to a viewer', async () => {
    const { status, value, body } = await call('stoa_platform_info');
    expect(status).toBe(200);
    expect(value).toMatchObject({ platform: 'STOA', version: '0.1.0', tenant: 'acme', catalogue: { apis: 2, tools: 2, resources: 1, prompts: 0 } });
    expect(body.result!.structuredContent).toEqual(value);
  });
  it('the administrators\' answers others the bytes of an unknown tool', async () => {
    const hidden = await call('stoa_tenants');
    const unknown = await call('stoa_nothing');
    expect([hidden.status, JSON.stringify(hidden.body).replace('stoa_tenants', 'X')]).toEqual([404, JSON.stringify(unknown.body).replace('stoa_nothing', 'X')]);
    expect((await call('stoa_tenants', {}, 'admin')).value).toMatchObject({ total: 3, tenants: [{ id: 'acme', status: 'active', apis: 2, tools: 2 }, { id: 'globex', tools: 1 }] });
    expect((await call('stoa_tenants', { include_inactive: true }, 'admin')).value).toMatchObject({ tenants: [{}, {}, { id: 'gone', status: 'inactive' }] });
  });
  it('tell the state of each component, and why only to administrators', async () => {
    fake.checks.set('catalogue', { name: 'catalogue', check: async () => ({ ok: false, reason: 'connect ECONNREFUSED 10.0.0.3' }) });
    const viewer = await call('stoa_platform_health');
    expect(viewer.value).toMatchObject({ status: 'degraded', components: { app_ready: { status: 'healthy' }, catalogue: { status: 'down', latency_ms: expect.any(Number) } } });
    expect(JSON.stringify(viewer.body)).not.toContain('10.0.0.3');
    expect(JSON.stringify((await call('stoa_platform_health', {}, 'admin')).body)).toContain('10.0.0.3');
    expect((await call('stoa_platform_health', { components: ['kafka'] })).value).toMatchObject({ components: { kafka: { status: 'not_configured' } } });
  });

  it.each([
    ['stoa_tools', { action: 'list', tag: 'animals' }, { tools: [{ name: 'getPet', category: 'Pets', origin: 'api' }], total_count: 1 }],
    ['stoa_tools', { action: 'list', include_proxied: false, category: 'api catalog' }, { tools: [{ name: 'stoa_catalog', origin: 'platform' }, { name: 'stoa_api_spec' }] }],
    ['stoa_tools', { action: 'search', query: 'look at a PET', limit: 1 }, { tools: [{ name: 'getPet' }] }],
    ['stoa_tools', { action: 'schema', tool_name: 'getPet' }, { name: 'getPet', inputSchema: { type: 'object' }, category: 'Pets' }],
    ['stoa_catalog', { action: 'list', page_size: 1, page: 2 }, { apis: [{ id: 'shop' }], total: 2, page: 2, page_size: 1 }],
    ['stoa_catalog', { action: 'list', status: 'deprecated' }, { apis: [{ id: 'shop', status: 'deprecated' }], total: 1 }],
    ['stoa_catalog', { action: 'list', category: 'PETS', tags: ['animals'] }, { apis: [{ id: 'pets' }], total: 1 }],
    ['stoa_catalog', { action: 'search', query: 'pets' }, { apis: [{ id: 'pets', title: 'The pets API' }], total: 1 }],
    ['stoa_catalog', { action: 'get', api_id: 'pets' }, { id: 'pets', tool_count: 2, authentication: [{ slot: 'key', type: 'bearer' }], tools: [{ name: 'getPet' }, { name: 'addPet' }] }],
    ['stoa_catalog', { action: 'versions', api_id: 'pets' }, { api: 'pets', versions: [{ version: '1.0.0', status: 'active' }] }],
    ['stoa_catalog', { action: 'categories' }, { categories: [{ name: 'Pets', count: 1 }, { name: 'Trade', count: 1 }] }],
    ['stoa_api_spec', { action: 'openapi', api_id: 'pets' }, { format: 'yaml', document: 'openapi: 3.1.0\ninfo: {title: Pets}\n' }],
    ['stoa_api_spec', { action: 'openapi', api_id: 'pets', format: 'json' }, { format: 'json', document: '{"openapi":"3.1.0","info":{"title":"Pets"}}' }],
    ['stoa_api_spec', { action: 'endpoints', api_id: 'pets', method: 'post' }, { endpoints: [{ method: 'POST', path: '/pets', tool: 'addPet' }], total: 1 }],
    ['stoa_api_spec', { action: 'docs', api_id: 'pets', section: 'authentication' }, { name: 'pets', authentication: [{ slot: 'key', configured: false }] }],
  ])('%s %j', async (name, args, expected) => {
    const { value, isError } = await call(name, args);
    expect(isError).toBe(false);
    expect(value).toMatchObject(expected);
  });

  it.each([
    ['stoa_tools', { action: 'schema', tool_name: 'secretTool' }, 'TOOL_NOT_FOUND'],
    ['stoa_tools', { action: 'search' }, 'INVALID_PARAMS'],
    ['stoa_catalog', { action: 'get', api_id: 'globex-plans' }, 'API_NOT_FOUND'],
    ['stoa_catalog', { action: 'list', tenant_id: 'globex' }, 'TENANT_MISMATCH'],
    ['stoa_catalog', { action: 'list', tenant_id: 'nowhere' }, 'TENANT_MISMATCH'],
    ['stoa_api_spec', { action: 'openapi', api_id: 'shop' }, 'SPEC_NOT_FOUND'],
  ])('%s %j fails as %s, in STOA\'s error shape', async (name, args, code) => {
    const { value, isError, status } = await call(name, args);
    expect([status, isError]).toEqual([200, true]);
    expect(value).toEqual({ error: { code, message: expect.any(String), details: expect.any(Object), suggestion: expect.any(String) } });
  });
  it('say of a document why it is not here: too large for an answer, replaced meanwhile', async () => {
    fake.catalogue.put('acme', [documentOf('pets', PETS.length), documentOf('shop', 1_048_577)], [api('pets'), api('shop')]);
    stored.clear();
    expect((await call('stoa_api_spec', { action: 'openapi', api_id: 'shop' })).value).toMatchObject({ error: { code: 'SPEC_TOO_LARGE', suggestion: 'Read the resource stoa://apis/shop/document.' } });
    expect((await call('stoa_api_spec', { action: 'openapi', api_id: 'pets' })).value).toMatchObject({ error: { code: 'SPEC_UNAVAILABLE', suggestion: 'Call again.' } });
  });
  it('refuse arguments that their schema does not allow', async () => {
    expect((await call('stoa_catalog', { action: 'drop' })).status).toBe(422);
    expect((await call('stoa_catalog', {})).status).toBe(422);
    expect((await call('stoa_catalog', { action: 'list', page_size: 1000 })).status).toBe(422);
  });
  it('let an administrator look into another tenant', async () => {
    expect((await call('stoa_catalog', { action: 'list', tenant_id: 'globex' }, 'admin')).value).toMatchObject({ apis: [{ id: 'globex-plans' }] });
  });
});

describe('a deprecated name', () => {
  it.each([
    ['stoa_list_apis', { tag: 'animals' }, { apis: [{ id: 'pets' }], total: 1 }],
    ['stoa_get_api_details', { api_id: 'pets' }, { id: 'pets' }],
    ['stoa_search_apis', { query: 'shop' }, { apis: [{ id: 'shop' }] }],
    ['stoa_list_tools', { tag: 'animals', include_schema: true }, { tools: [{ name: 'getPet', inputSchema: { type: 'object' } }] }],
    ['stoa_get_tool_schema', { tool_name: 'getPet' }, { name: 'getPet' }],
    ['stoa_health_check', { service: 'gateway' }, { components: { app_ready: { status: 'healthy' } } }],
  ])('%s still answers, with a warning and the day of its end', async (name, args, expected) => {
    const { value, body } = await call(name, args);
    expect(value).toMatchObject(expected);
    expect(body.result!.metadata).toEqual({ _deprecation_warning: { deprecated_tool: name, use_instead: expect.stringMatching(/^stoa_/), sunset: '2027-01-20', message: expect.stringContaining('is deprecated') } });
  });
  it('is not listed, and says what to use once its day has come', async () => {
    expect((await app.inject({ url: '/mcp/v1/tools', headers: as('acme-viewer') })).body).not.toContain('stoa_list_apis');
    now = Date.parse('2027-01-20');
    const { value, isError } = await call('stoa_list_apis');
    expect(isError).toBe(true);
    expect(value).toMatchObject({ error: { code: 'TOOL_REMOVED', message: "Tool 'stoa_list_apis' has been removed. Use 'stoa_catalog' instead." } });
  });
});
