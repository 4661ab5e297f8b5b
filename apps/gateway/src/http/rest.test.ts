import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import type { BackendAnswer } from '#libs/core/call.js';
import { configuredDecision } from '#libs/policy/configured-decision.js';
import { as, type FakeGateway, fakeGateway, fakeTarget } from '../../../../test/fake-gateway.js';
import { createGateway } from '../create-gateway.js';

let app: NestFastifyApplication;
let fake: FakeGateway;
const start = async (...given: Parameters<typeof fakeGateway>): Promise<void> => {
  fake = fakeGateway(...given);
  app = await createGateway(fake.parts);
};
afterEach(() => app.close());
const lastPart = (url: string): string => url.split('/').at(-1)!;
const get = (url: string, caller = 'acme-viewer') => app.inject({ url, headers: as(caller) });
const invoke = (name: string, payload: object | string | Buffer, more: Record<string, string> = {}, caller = 'acme-viewer') =>
  app.inject({ method: 'POST', url: `/mcp/v1/tools/${name}/invoke`, payload, headers: { 'content-type': 'application/json', ...as(caller), ...more } });

describe('the REST facade', () => {
  beforeEach(async () => {
    await start({ platformTools: false });
    fake.catalogue.put('acme', [
      fakeTarget('acme', 'tool', 'getCustomer', { tags: ['search', 'customers'], category: 'CRM', description: 'Find one' }),
      fakeTarget('acme', 'tool', 'pay', { tags: ['payments', 'search'], category: 'Money', description: 'Charges a customer' }),
      fakeTarget('acme', 'tool', 'refund', { tags: ['payments'], category: 'money', apiId: 'api-1' }),
      fakeTarget('acme', 'resource', 'stoa://apis/crm/document', { backend: { kind: 'inline', mimeType: 'text/plain', text: 'the document' } }),
      fakeTarget('acme', 'resource', 'notes:today?page=2', { backend: { kind: 'inline', mimeType: 'text/plain', text: 'page two' } }),
      fakeTarget('acme', 'prompt', 'greet', { backend: { kind: 'prompt', messages: [{ role: 'user', text: 'Greet {{who}}' }] } }),
    ]);
    fake.catalogue.put('globex', [fakeTarget('globex', 'tool', 'secretTool', { tags: ['globex-only'], category: 'Globex' }), fakeTarget('globex', 'resource', 'globex:plan'), fakeTarget('globex', 'prompt', 'globexPrompt')]);
  });

  it('says what it is without a token', async () => {
    for (const url of ['/mcp/v1/', '/mcp/v1']) {
      const reply = await app.inject(url);
      expect(reply.statusCode).toBe(200);
      expect(reply.json()).toMatchObject({ name: 'stoa-mcp-gateway', version: '0.1.0', protocol_version: '1.0', capabilities: { tools: true, resources: true, prompts: true, sampling: false } });
    }
  });

  it('lists tools in STOA\'s shape and casing', async () => {
    const reply = await get('/mcp/v1/tools');
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8');
    const { tools, ...rest } = reply.json<{ tools: object[] }>();
    expect(rest).toEqual({ nextCursor: null, total_count: 3 });
    expect(tools[2]).toEqual({
      name: 'refund', description: 'The tool refund', inputSchema: { type: 'object', properties: { id: { type: 'string' } }, required: [], additionalProperties: false },
      api_id: 'api-1', tenant_id: 'acme', endpoint: 'http://backend.test/refund', method: 'GET', category: 'money', tags: ['payments'], version: '1.0.0',
    });
  });

  it.each([
    ['tag=payments', ['pay', 'refund']],
    ['tags=payments,search', ['pay']],
    ['tags=payments&tag=search', ['pay']],
    ['category=MONEY', ['pay', 'refund']],
    ['search=CUST', ['getCustomer', 'pay']],
    ['search=customer&category=crm', ['getCustomer']],
    ['tenant_id=acme&tag=payments', ['pay', 'refund']],
    ['tag=absent', []],
  ])('filters tools by %s', async (query, names) => {
    const reply = (await get(`/mcp/v1/tools?${query}`)).json<{ tools: { name: string }[]; total_count: number }>();
    expect(reply.tools.map(({ name }) => name)).toEqual(names);
    expect(reply.total_count).toBe(names.length);
  });

  it('counts categories and tags of what the caller sees, and of nobody else', async () => {
    expect((await get('/mcp/v1/tools/categories')).json()).toEqual({ categories: [{ name: 'CRM', count: 1 }, { name: 'Money', count: 1 }, { name: 'money', count: 1 }] });
    expect((await get('/mcp/v1/tools/tags')).json()).toEqual({ tags: ['customers', 'payments', 'search'], tagCounts: { customers: 1, payments: 2, search: 2 } });
    expect((await get('/mcp/v1/tools/tags', 'nobody')).json()).toEqual({ tags: [], tagCounts: {} });
  });

  it.each([
    ['limit=0', 'limit', 'greater_than_equal', 'Input should be greater than or equal to 1'],
    ['limit=1001', 'limit', 'less_than_equal', 'Input should be less than or equal to 1000'],
    ['limit=ten', 'limit', 'int_parsing', 'Input should be a valid integer, unable to parse string as an integer'],
  ])('refuses %s with FastAPI\'s 422', async (query, parameter, type, msg) => {
    for (const list of ['tools', 'resources', 'prompts']) {
      const reply = await get(`/mcp/v1/${list}?${query}`);
      expect([reply.statusCode, reply.json()]).toEqual([422, { detail: [{ loc: ['query', parameter], msg, type }] }]);
    }
  });

  it('pages 150 tools by a cursor that is an offset', async () => {
    fake.catalogue.put('acme', Array.from({ length: 150 }, (_, index) => fakeTarget('acme', 'tool', `tool-${String(index).padStart(3, '0')}`)));
    const first = (await get('/mcp/v1/tools')).json<{ tools: object[]; nextCursor: string | null; total_count: number }>();
    expect([first.tools.length, first.nextCursor, first.total_count]).toEqual([100, '100', 150]);
    const second = (await get('/mcp/v1/tools?cursor=100&limit=100')).json<{ tools: object[]; nextCursor: string | null }>();
    expect([second.tools.length, second.nextCursor]).toEqual([50, null]);
    expect((await get('/mcp/v1/tools?cursor=abc&limit=1')).json<{ tools: { name: string }[] }>().tools[0]!.name).toBe('tool-000');
  });

  describe('between tenants', () => {
    it('a tool, resource or prompt of another tenant answers the bytes of one that does not exist', async () => {
      for (const [mine, absent] of [
        ['/mcp/v1/tools/secretTool', '/mcp/v1/tools/absentTool'], ['/mcp/v1/resources/globex:plan', '/mcp/v1/resources/absent:plan'], ['/mcp/v1/prompts/globexPrompt', '/mcp/v1/prompts/absentPrompt'],
      ] as const) {
        const other = await get(mine);
        const unknown = await get(absent);
        expect(other.statusCode).toBe(404);
        expect(other.body.replaceAll(lastPart(mine), 'X')).toBe(unknown.body.replaceAll(lastPart(absent), 'X'));
        expect(Object.keys(other.headers).toSorted()).toEqual(Object.keys(unknown.headers).toSorted());
      }
      const other = await invoke('secretTool', { arguments: {} });
      const unknown = await invoke('absentTool', { arguments: {} });
      expect([other.statusCode, other.body.replaceAll('secretTool', 'X')]).toEqual([404, unknown.body.replaceAll('absentTool', 'X')]);
      expect(other.json()).toEqual({ detail: 'Tool not found: secretTool' });
      expect(fake.calls).toEqual([]);
    });
    it('asking for another tenant is refused alike whether it exists or not', async () => {
      const other = await get('/mcp/v1/tools?tenant_id=globex');
      expect([other.statusCode, other.json()]).toEqual([403, { detail: "Access to tenant 'globex' denied" }]);
      const absent = await get('/mcp/v1/tools?tenant_id=nowhere');
      expect([absent.statusCode, absent.body]).toEqual([403, other.body.replace('globex', 'nowhere')]);
    });
    it('a platform administrator may ask for any', async () => {
      expect((await get('/mcp/v1/tools?tenant_id=globex', 'admin')).json()).toMatchObject({ total_count: 1, tools: [{ name: 'secretTool', tenant_id: 'globex' }] });
      expect((await get('/mcp/v1/tools?tenant_id=nowhere', 'admin')).json()).toMatchObject({ total_count: 0 });
    });
  });

  describe('invoking', () => {
    it('answers STOA\'s shape, with the backend\'s text', async () => {
      const reply = await invoke('pay', { name: 'pay', arguments: { id: '7' }, request_id: 'mine' }, { 'x-consumer-id': 'billing-bot', 'traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
      expect(reply.statusCode).toBe(200);
      expect(reply.json()).toEqual({
        result: { content: [{ type: 'text', text: '{"ok":true}' }], isError: false, request_id: 'mine', latency_ms: expect.any(Number), backend_status: 200, metadata: null },
        toolName: 'pay', invoked_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      });
      expect(fake.calls[0]).toMatchObject({ door: 'rest', consumer: 'billing-bot', name: 'pay', input: { id: '7' }, traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
    });
    it('takes the name from the path: the one in the body is optional', async () => {
      expect((await invoke('pay', { arguments: {} })).statusCode).toBe(200);
      expect((await invoke('pay', { name: 'refund' })).json()).toMatchObject({ toolName: 'pay' });
    });
    it.each([
      { name: 'no body', payload: '', detail: [{ loc: ['body'], msg: 'Field required', type: 'missing' }], status: 422 },
      { name: 'a body that is no object', payload: '[]', detail: [{ loc: ['body'], msg: expect.any(String), type: 'model_attributes_type' }], status: 422 },
      { name: 'arguments that are no object', payload: '{"arguments":"x"}', detail: [{ loc: ['body', 'arguments'], msg: 'Input should be a valid dictionary', type: 'dict_type' }], status: 422 },
      { name: 'a body that is not JSON', payload: '{', detail: expect.stringContaining('not JSON'), status: 400 },
      { name: 'a repeated member', payload: '{"arguments":{"a":1,"a":2}}', detail: expect.stringContaining('given twice'), status: 400 },
      { name: 'a number that cannot be kept', payload: '{"arguments":{"a":9007199254740993}}', detail: expect.stringContaining('/arguments/a'), status: 400 },
      { name: '500,000 levels of nesting', payload: '['.repeat(500_000), detail: expect.stringContaining('nested'), status: 400 },
    ])('refuses $name before any backend is asked', async ({ payload, detail, status }) => {
      const reply = await invoke('pay', payload);
      expect([reply.statusCode, reply.json()]).toEqual([status, { detail }]);
      expect(fake.calls).toEqual([]);
    });
    it('refuses a body over the limit with 413 and one of another type with 415', async () => {
      const big = await invoke('pay', Buffer.alloc(1024 * 1024 + 1, ' '));
      expect([big.statusCode, big.json()]).toEqual([413, { detail: { code: 'PAYLOAD_TOO_LARGE', message: expect.any(String) } }]);
      expect((await invoke('pay', `{"arguments":{}}${' '.repeat(1024 * 1024 - 16)}`)).statusCode).toBe(200);
      const xml = await invoke('pay', '<a/>', { 'content-type': 'text/xml' });
      expect([xml.statusCode, xml.json()]).toEqual([415, { detail: 'Send the body as application/json.' }]);
    });
  });

  it('lists and reads resources, percent-encoded or not', async () => {
    expect((await get('/mcp/v1/resources')).json()).toMatchObject({ total_count: 2, nextCursor: null, resources: [{ uri: 'stoa://apis/crm/document', mimeType: 'text/plain', tenant_id: 'acme', tags: [] }, {}] });
    for (const path of ['stoa://apis/crm/document', encodeURIComponent('stoa://apis/crm/document')]) {
      expect((await get(`/mcp/v1/resources/${path}`)).json()).toEqual({ contents: [{ uri: 'stoa://apis/crm/document', mimeType: 'text/plain', text: 'the document' }] });
    }
    expect((await get('/mcp/v1/resources/notes:today?page=2')).json()).toMatchObject({ contents: [{ text: 'page two' }] });
    const absent = await get('/mcp/v1/resources/no:such');
    expect([absent.statusCode, absent.json()]).toEqual([404, { detail: 'Resource not found: no:such' }]);
  });

  it('lists and fills prompts', async () => {
    expect((await get('/mcp/v1/prompts')).json()).toEqual({
      prompts: [{ name: 'greet', description: 'The prompt greet', arguments: [{ name: 'who', description: '', required: true }], template: 'Greet {{who}}', tags: [] }], nextCursor: null, total_count: 1,
    });
    expect((await get('/mcp/v1/prompts/greet?who=Ada')).json()).toEqual({ description: 'The prompt greet', messages: [{ role: 'user', content: { type: 'text', text: 'Greet Ada' } }] });
    expect((await get('/mcp/v1/prompts/none')).json()).toEqual({ detail: 'Prompt not found: none' });
  });

  it('answers {detail} for a route that does not exist', async () => {
    const reply = await get('/mcp/v1/nowhere/at/all');
    expect([reply.statusCode, reply.json()]).toEqual([404, { detail: 'Not Found' }]);
  });
});

const failed = (more: Partial<BackendAnswer>, result: object = {}): BackendAnswer =>
  ({ result: { type: 'tool', content: [{ type: 'text', text: 'no such pet' }], isError: true, ...result }, outcome: 'error', latencyMs: 3, bytes: 11, ...more });

describe('a call that does not succeed', () => {
  it.each([
    { name: 'backend 404', answer: failed({}, { backendStatus: 404 }), status: 502, body: { result: { isError: true, backend_status: 404, content: [{ text: 'no such pet' }] }, toolName: 'getPet' } },
    { name: 'backend timeout', answer: failed({ outcome: 'timeout' }), status: 504, body: { result: { isError: true, backend_status: null } } },
    { name: 'backend unreachable', answer: new Denial({ code: 'BACKEND_UNREACHABLE', message: 'The backend cannot be reached.' }), status: 502, body: { result: { isError: true, content: [{ text: 'The backend cannot be reached.' }] } } },
    { name: 'backend timeout as a denial', answer: new Denial({ code: 'BACKEND_TIMEOUT', message: 'Too slow.' }), status: 504, body: { result: { isError: true } } },
    { name: 'policy', answer: new Denial({ code: 'FORBIDDEN', message: 'not yours', reason: 'rule-7' }), status: 403, body: { detail: 'Access denied: not yours' } },
    { name: 'arguments', answer: new Denial({ code: 'INVALID_ARGUMENTS', message: 'wrong', issues: [{ pointer: '/a/0', message: 'must be string' }] }), status: 422, body: { detail: [{ loc: ['body', 'arguments', 'a', '0'], msg: 'must be string', type: 'value_error' }] } },
    { name: 'a dependency', answer: new Denial({ code: 'UNAVAILABLE', message: 'Later.' }), status: 503, body: { detail: 'Later.' } },
    { name: 'a fault of ours', answer: new Error('secret detail'), status: 500, body: { detail: 'Internal error.' } },
  ])('answers $status for $name', async ({ answer, status, body }) => {
    await start({}, async () => { if (answer instanceof Error) throw answer; return answer; });
    fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet')]);
    const reply = await invoke('getPet', { arguments: {} });
    expect(reply.statusCode).toBe(status);
    expect(reply.json()).toMatchObject(body);
    expect(reply.body).not.toContain('rule-7');
    expect(reply.body).not.toContain('secret detail');
    expect(reply.headers['retry-after']).toBe(status === 503 ? '1' : undefined);
  });
  it('is denied by default', async () => {
    await start({ policy: configuredDecision('deny') });
    fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet')]);
    const reply = await invoke('getPet', { arguments: {} });
    expect([reply.statusCode, reply.json()]).toEqual([403, { detail: 'Access denied: no policy allows this call' }]);
    expect(fake.calls).toEqual([]);
  });
});
