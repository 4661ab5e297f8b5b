import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PromptAnswer } from '#apps/controller/src/prompts/prompt-schemas.js';
import { ResourceAnswer } from '#apps/controller/src/resources/resource-schemas.js';
import { resourceId } from '#apps/controller/src/resources/resource-uri.js';
import { TenantAnswer } from '#apps/controller/src/tenants/tenant-schemas.js';
import { ToolDetail } from '#apps/controller/src/tools/tool-schemas.js';
import { document, harness, type Harness } from './harness.js';

const ADMIN = 'tenant-admin@acme';
let on: Harness;
beforeEach(async () => {
  on = await harness();
  await on.ask('cpi-admin', 'POST /tenants', { slug: 'acme' });
});
afterEach(() => on.app.close());

describe('tenants', () => {
  it('are made once, shown, and deleted with what they own', async () => {
    const made = await on.ask('cpi-admin', 'POST /tenants', { slug: 'globex', description: 'G' });
    expect([made.statusCode, TenantAnswer.parse(made.json())]).toEqual([201, expect.objectContaining({ slug: 'globex', displayName: 'globex', description: 'G', enabled: true })]);
    const again = await on.ask('cpi-admin', 'POST /tenants', { slug: 'globex' });
    expect([again.statusCode, again.json()]).toEqual([409, { detail: 'tenant globex already exists' }]);
    expect((await on.ask('cpi-admin', 'DELETE /tenants/globex')).statusCode).toBe(204);
    expect((await on.ask('cpi-admin', 'GET /tenants/globex')).statusCode).toBe(404);
  });
  it.each(['Acme', '-acme', 'a'.repeat(64), '', 'a_b', 'a\0'])('refuse the slug %j, naming the field', async (slug) => {
    const refused = await on.ask('cpi-admin', 'POST /tenants', { slug });
    expect([refused.statusCode, refused.json()]).toEqual([422, { detail: [expect.objectContaining({ loc: ['body', 'slug'] })] }]);
  });
});

const names = async (query: string): Promise<unknown> => {
  const { tools, nextCursor, totalCount } = (await on.ask(ADMIN, `GET /tenants/acme/tools${query}`)).json<{ tools: { name: string }[]; nextCursor: string | null; totalCount: number }>();
  return [tools.map(({ name }) => name).join(''), nextCursor, totalCount];
};

describe('tools', () => {
  beforeEach(() => on.ask(ADMIN, 'POST /tenants/acme/apis', { name: 'pets', source: { inline: document({ a: 'Apple', b: 'Banana', c: 'Cherry' }) } }));
  it('are listed in pages and filtered', async () => {
    expect(await names('?limit=2')).toEqual(['ab', 'b', 3]);
    expect(await names('?limit=2&cursor=b')).toEqual(['c', null, 3]);
    expect(await names('?search=BAN')).toEqual(['b', null, 1]);
    expect(await names('?api=other')).toEqual(['', null, 0]);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/tools?limit=1001')).statusCode).toBe(422);
  });
  it('take an edit, and go back to the document where a field is null', async () => {
    const edited = await on.ask(ADMIN, 'PATCH /tenants/acme/tools/a', { enabled: false, description: 'A', tags: ['x'], timeoutMs: 5, rateLimit: { perMinute: 60, burst: 10 } });
    expect(ToolDetail.parse(edited.json())).toMatchObject({ enabled: false, description: 'A', tags: ['x'], timeoutMs: 5, rateLimit: { perMinute: 60, burst: 10 }, edited: true });
    for (const rateLimit of [{ perMinute: 0, burst: 1 }, { perMinute: 10, burst: 60 }, { perMinute: -1, burst: -1 }, { perMinute: 1e12, burst: 1 }, { perMinute: 1.5, burst: 1 }]) {
      const refused = await on.ask(ADMIN, 'PATCH /tenants/acme/tools/a', { rateLimit });
      expect([refused.statusCode, refused.body]).toEqual([422, expect.stringContaining('"rateLimit"')]);
    }
    const back = await on.ask(ADMIN, 'PATCH /tenants/acme/tools/a', { enabled: true, description: null, tags: null, timeoutMs: null, rateLimit: null });
    expect(back.json()).toMatchObject({ description: 'Apple', tags: [], timeoutMs: 30_000 });
  });
  it.each([{ timeoutMs: 0 }, { timeoutMs: 300_001 }, { description: '' }, { description: 'a\0' }, { name: 'b' }, { enabled: 'yes' }, []])('refuse the edit %j', async (edit) => {
    expect((await on.ask(ADMIN, 'PATCH /tenants/acme/tools/a', edit)).statusCode).toBe(422);
  });
  it('answer 404 for a name that none has and for one that none could have', async () => {
    expect((await on.ask(ADMIN, 'GET /tenants/acme/tools/zzz')).json()).toEqual({ detail: 'Tool not found: zzz' });
    expect((await on.ask(ADMIN, 'GET /tenants/acme/tools/a%00b')).statusCode).toBe(404);
  });
});

describe('prompts', () => {
  const greet = { name: 'greet', arguments: [{ name: 'who', required: true }], messages: [{ role: 'user', text: 'Say hello to {{ who }}, {{who}}' }] };
  it('are made, replaced whole, and deleted', async () => {
    const made = await on.ask(ADMIN, 'POST /tenants/acme/prompts', greet);
    expect([made.statusCode, PromptAnswer.parse(made.json()).notes]).toEqual([201, []]);
    expect((await on.ask(ADMIN, 'POST /tenants/acme/prompts', greet)).statusCode).toBe(409);
    const replaced = await on.ask(ADMIN, 'PUT /tenants/acme/prompts/greet', { ...greet, description: 'Greets' });
    expect([replaced.statusCode, replaced.json()]).toEqual([200, expect.objectContaining({ description: 'Greets' })]);
    expect((await on.ask(ADMIN, 'PUT /tenants/acme/prompts/other', { ...greet, name: undefined })).statusCode).toBe(201);
    expect((await on.ask(ADMIN, 'PUT /tenants/acme/prompts/other', greet)).statusCode).toBe(422);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/prompts')).json<{ prompts: object[] }>().prompts).toHaveLength(2);
    expect((await on.ask(ADMIN, 'DELETE /tenants/acme/prompts/greet')).statusCode).toBe(204);
    expect((await on.ask(ADMIN, 'DELETE /tenants/acme/prompts/greet')).statusCode).toBe(404);
    expect((await on.ask(ADMIN, 'GET /tenants/acme/prompts/greet')).json()).toEqual({ detail: 'Prompt not found: greet' });
  });
  it.each([
    { name: 'a placeholder that is not declared', text: 'Hi {{name}}', says: '{{name}} stands for an argument that is not declared: add \\"name\\"' },
    { name: 'a name with a blank in it', text: 'Hi {{ who else }}', says: '{{ who else }}' },
    { name: 'an empty placeholder', text: 'Hi {{}}', says: '{{}} stands for' },
  ])('refuse $name, naming message and placeholder', async ({ text, says }) => {
    const refused = await on.ask(ADMIN, 'POST /tenants/acme/prompts', { ...greet, messages: [...greet.messages, { role: 'assistant', text }] });
    expect([refused.statusCode, refused.json<{ detail: { loc: unknown }[] }>().detail[0]?.loc]).toEqual([422, ['body', 'messages', 1, 'text']]);
    expect(refused.body).toContain(says);
  });
  it('note an argument that no message uses', async () => {
    const made = await on.ask(ADMIN, 'POST /tenants/acme/prompts', { ...greet, arguments: [...greet.arguments, { name: 'tone', required: false, values: ['warm', 'cold'] }] });
    expect(made.json()).toMatchObject({ notes: ['argument tone is declared and never used'], arguments: [{ name: 'who' }, { name: 'tone', values: ['warm', 'cold'] }] });
  });
  it('refuse two arguments of one name', async () => {
    expect((await on.ask(ADMIN, 'POST /tenants/acme/prompts', { ...greet, arguments: [{ name: 'who' }, { name: 'who' }] })).body).toContain('two arguments have the same name');
  });
});

describe('resources', () => {
  const page = { uri: 'docs://handbook/intro', name: 'Intro', content: { text: 'Hello' } };
  it.each([
    { name: 'text', body: page },
    { name: 'bytes', body: { ...page, mimeType: 'image/png', content: { blob: 'iVBORw0KGgo=' } } },
    { name: 'an address', body: { ...page, content: { url: 'https://docs.test/intro.md' } } },
    { name: 'a template', body: { ...page, uri: 'docs://pages/{page}', content: { url: 'https://docs.test/{page}.md' } } },
  ])('are made of $name, shown and deleted', async ({ body }) => {
    const made = await on.ask(ADMIN, 'POST /tenants/acme/resources', body);
    const answer = ResourceAnswer.parse(made.json());
    expect([made.statusCode, answer.id, answer.content, answer.editable]).toEqual([201, resourceId(body.uri), body.content, true]);
    expect((await on.ask(ADMIN, 'POST /tenants/acme/resources', body)).statusCode).toBe(409);
    expect((await on.ask('viewer@acme', `GET /tenants/acme/resources/${answer.id}`)).json()).toEqual(answer);
    expect((await on.ask(ADMIN, `PUT /tenants/acme/resources/${answer.id}`, { ...body, name: 'New' })).json()).toMatchObject({ name: 'New' });
    expect((await on.ask('viewer@acme', 'GET /tenants/acme/resources')).json()).toEqual({ resources: [expect.not.objectContaining({ content: expect.anything() })] });
    expect((await on.ask(ADMIN, `DELETE /tenants/acme/resources/${answer.id}`)).statusCode).toBe(204);
    expect((await on.ask(ADMIN, `DELETE /tenants/acme/resources/${answer.id}`)).statusCode).toBe(404);
  });
  it.each([
    { name: 'a relative URI', body: { ...page, uri: 'handbook/intro' }, at: ['body', 'uri'] },
    { name: 'a URI with blanks', body: { ...page, uri: 'docs://a b' }, at: ['body', 'uri'] },
    { name: 'a broken percent sign', body: { ...page, uri: 'docs://a%zz' }, at: ['body', 'uri'] },
    { name: 'the platform\'s scheme', body: { ...page, uri: 'stoa://apis/pets/document' }, at: ['body', 'uri'] },
    { name: 'a template above level 1', body: { ...page, uri: 'docs://{+path}' }, at: ['body', 'uri'] },
    { name: 'a variable twice', body: { ...page, uri: 'docs://{a}/{a}' }, at: ['body', 'uri'] },
    { name: 'a variable scheme', body: { ...page, uri: '{a}://b' }, at: ['body', 'uri'] },
    { name: 'two contents', body: { ...page, content: { text: 'a', url: 'https://a.test/' } }, at: ['body', 'content'] },
    { name: 'no content', body: { ...page, content: {} }, at: ['body', 'content'] },
    { name: 'bytes that are not base64', body: { ...page, content: { blob: '***' } }, at: ['body', 'content', 'blob'] },
    { name: 'an address with a variable that the URI lacks', body: { ...page, content: { url: 'https://docs.test/{page}' } }, at: ['body', 'content', 'url'] },
    { name: 'an address whose host is a variable', body: { ...page, uri: 'docs://{host}', content: { url: 'https://{host}/x' } }, at: ['body', 'content', 'url'] },
    { name: 'an address with a password', body: { ...page, content: { url: 'https://ada:x@docs.test/' } }, at: ['body', 'content', 'url'] },
    { name: 'an address of another scheme', body: { ...page, content: { url: 'file:///etc/passwd' } }, at: ['body', 'content', 'url'] },
    { name: 'a media type that is none', body: { ...page, mimeType: 'text/html\r\nx: y' }, at: ['body', 'mimeType'] },
  ])('refuse $name, naming the field', async ({ body, at }) => {
    const refused = await on.ask(ADMIN, 'POST /tenants/acme/resources', body);
    expect([refused.statusCode, refused.json<{ detail: { loc: unknown }[] }>().detail.map(({ loc }) => loc)]).toEqual([422, [at]]);
  });
  it('keep their URI', async () => {
    const { id } = (await on.ask(ADMIN, 'POST /tenants/acme/resources', page)).json<{ id: string }>();
    expect((await on.ask(ADMIN, `PUT /tenants/acme/resources/${id}`, { ...page, uri: 'docs://other' })).statusCode).toBe(422);
  });
});
