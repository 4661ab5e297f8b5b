import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import type { CredentialSlot, SecretReference } from '#libs/core/rest-binding.js';
import type { ToolResult } from '#libs/core/result.js';
import { createEgress } from '#libs/egress/egress.js';
import type { AuthenticatedCall } from '#libs/core/call.js';
import { modern } from '../conformance/raw-client.js';
import { as } from '../fake-gateway.js';
import { callOf, type Gateway, gatewayWith, type Offer, published, textOf, toolResult } from './gateway.js';
import { graphqlKind } from './graphql-kind.js';
import { grpcKind } from './grpc-kind.js';
import type { Kind, Running } from './kind.js';
import { restKind } from './rest-kind.js';
import { BIG, type Received, Shop } from './shop.js';

/** Each kind of API: one more row is all that another kind takes. */
const KINDS: readonly Kind[] = [restKind, graphqlKind, grpcKind];
const SECRET = 'hunter2:correct-horse';
const HEX = '0af7651916cd43dd8448eb211c80319c';
const TRACE = `00-${HEX}-b7ad6b7169203331-01`;

const binding = (slot: CredentialSlot, name = 'there'): Partial<Offer> => ({ slots: { auth: slot }, credentials: { auth: { from: 'environment', name } }, security: [['auth']] });

describe.each(KINDS)('a backend of kind $kind', ({ kind, start }) => {
  const shop = new Shop();
  const egress = createEgress({ allow: ['127.0.0.1'] });
  let running: Running;
  let gateway: Gateway;
  const nameOf = (operation: string): string => {
    const found = running.document.tools.find(({ operationId }) => operationId?.toLowerCase() === operation.toLowerCase());
    if (!found) throw new Error(`no tool of ${operation}`);
    return found.name;
  };
  const offer = (more: Partial<Offer> = {}): void => {
    const { api, targets } = published({ document: running.document, name: 'shop', baseUrl: running.baseUrl, ...more });
    gateway.fake.catalogue.put('acme', targets, [api]);
  };
  const run = (operation: string, plain: Readonly<Record<string, unknown>>, more: Partial<AuthenticatedCall> = {}) => gateway.runCall(callOf(nameOf(operation), running.args(operation, plain), more));
  const call = async (operation: string, plain: Readonly<Record<string, unknown>>, more: Partial<AuthenticatedCall> = {}): Promise<ToolResult> => toolResult(await run(operation, plain, more));
  const structured = (operation: string, result: ToolResult): unknown => running.plain(operation, JSON.parse(result.structuredJson ?? 'null') as unknown);
  const last = (): Received => { const received = shop.received.at(-1); if (!received) throw new Error('nothing reached the backend'); return received; };

  const annotations = (operation: string): unknown => (JSON.parse(running.document.tools.find(({ name }) => name === nameOf(operation))?.listed ?? '{}') as { annotations?: unknown }).annotations;
  const namesFor = async (caller: string) => (await gateway.app.inject({ url: '/mcp/v1/tools', headers: as(caller) })).json<{ tools: { name: string }[] }>().tools.map(({ name }) => name);
  const refused = async (operation: string, args: unknown): Promise<Denial> => {
    const result = await gateway.runCall(callOf(operation === 'nope' ? 'nope' : nameOf(operation), args));
    expect(shop.received).toEqual([]);
    if (!(result instanceof Denial)) throw new Error('it was called');
    return result;
  };
  const about = (operation: string, more: object): object => ({ door: 'mcp', consumer: 'agent', tenant: 'acme', kind: 'tool', name: nameOf(operation), catalogue: expect.any(Number) as unknown, ...more });
  const targetOf = (operation: string, operationClass: string): object => ({ name: nameOf(operation), class: operationClass, tags: [], api: 'shop', backend: 'any' });
  const overRest = async (operation: string, plain: Readonly<Record<string, unknown>>) => gateway.app.inject({ method: 'POST', url: `/mcp/v1/tools/${nameOf(operation)}/invoke`, payload: { arguments: running.args(operation, plain) }, headers: as('acme-viewer') });
  beforeAll(async () => {
    running = await start(shop);
    const credentials = { resolve: (_tenant: unknown, { name }: SecretReference) => (name === 'missing' ? new Denial({ code: 'CREDENTIAL_MISSING', message: 'the operator has not set it' }) : SECRET) };
    gateway = await gatewayWith(kind, (validator) => running.backend({ outbound: egress, credentials, checkOutput: (target, value) => validator.checkOutput(target, value) }));
  });
  beforeEach(() => { shop.reset(); gateway.forget(); offer(); });
  afterAll(async () => { await gateway.app.close(); await running.close(); await egress.close(); });

  describe('is admitted', () => {
    it('as one tool for each operation, each with a verdict', () => {
      expect(running.document.tools.map(({ operationId }) => operationId?.toLowerCase() ?? '').toSorted((a, b) => a.localeCompare(b))).toEqual(['act', 'additem', 'deleteitem', 'getitem', 'listitems']);
      expect(running.document.ledger.map(({ verdict }) => verdict)).toEqual(['exact', 'exact', 'exact', 'exact', 'exact']);
    });
    it('with classes that policy can stand on', () => {
      expect(['getItem', 'listItems', 'addItem', 'deleteItem', 'act'].map((operation) => running.document.tools.find(({ name }) => name === nameOf(operation))?.operationClass)).toEqual(['read', 'read', 'write', 'destructive', 'write']);
    });
    it('with an input and an output schema, closed against unknown arguments, and a self-contained entry for lists', () => {
      for (const { inputSchema, outputSchema, listed } of running.document.tools) {
        expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
        expect(outputSchema).toBeDefined();
        expect(JSON.parse(listed)).toMatchObject({ inputSchema: { type: 'object' }, outputSchema: { type: 'object' } });
      }
    });
    it('with annotations that follow from its class', () => {
      expect(annotations('getItem')).toMatchObject({ readOnlyHint: true });
      expect(annotations('deleteItem')).toMatchObject({ readOnlyHint: false, destructiveHint: true });
    });
    it('and listed to its tenant, and to nobody else', async () => {
      expect(await namesFor('acme-viewer')).toContain(nameOf('getItem'));
      expect(await namesFor('globex-viewer')).not.toContain(nameOf('getItem'));
      expect(shop.received).toEqual([]);
    });
  });

  describe('answers', () => {
    it('what was asked for, as text and as structured content that keeps its output schema', async () => {
      const result = await call('getItem', { id: 'i2' });
      expect(result).toMatchObject({ isError: false });
      expect(textOf(result)).toBe(result.structuredJson);
      expect(structured('getItem', result)).toMatchObject({ id: 'i2', name: 'Näme 2 🐕', tags: ['ä', '日本', 'plain'] });
      expect(last()).toMatchObject({ operation: 'getItem', args: { id: 'i2' } });
    });
    it.each(['i1', 'ö/ä', 'a b', 'a%2Fb', '日本', '🐕', "';--", 'a&b=c', '#frag', 'x..y', 'a+b'])('with the argument %j as it was given', async (id) => {
      await run('getItem', { id });
      expect(last().args['id']).toBe(id);
    });
    it('text beyond ASCII both ways', async () => {
      const result = await call('addItem', { name: 'Ünïcödé 日本 🐕 \u0000'.slice(0, -1), tags: ['ß', 'ﷺ', '\u{1f9d1}\u200d\u{1f680}'] });
      expect(structured('addItem', result)).toMatchObject({ name: 'Ünïcödé 日本 🐕 ', tags: ['ß', 'ﷺ', '\u{1f9d1}\u200d\u{1f680}'] });
    });
    it('text with every character that JSON must escape', async () => {
      const name = '"\\\b\f\n\r\t\u2028</script>{{x}}';
      expect(structured('addItem', await call('addItem', { name }))).toMatchObject({ name });
    });
    it('an integer beyond 2^53 with all its digits', async () => {
      const result = await call('getItem', { id: 'i1' });
      expect(result.structuredJson).toContain(BIG);
      expect(textOf(result)).toContain(BIG);
    });
    it('empty text and empty lists as such', async () => { expect(structured('addItem', await call('addItem', { name: '', tags: [] }))).toMatchObject({ name: '', tags: [] }); });
    it('null as null, or leaves it out', async () => {
      const item = structured('addItem', await call('addItem', { name: 'n', note: null })) as { note?: unknown };
      expect(item.note ?? null).toBeNull();
      expect(last().args['note'] ?? null).toBeNull();
    });
    it('empty text apart from null', async () => {
      expect(structured('addItem', await call('addItem', { name: 'n', note: '' }))).toMatchObject({ note: '' });
      expect(last().args['note']).toBe('');
    });
    it('a list in its order', async () => {
      expect(structured('listItems', await call('listItems', { limit: 3 }))).toMatchObject({ items: [{ id: 'i1' }, { id: 'i2' }, { id: 'i3' }], next: 'i3' });
    });
    it('a list page by page, to its end', async () => {
      const seen: string[] = [];
      for (let after: string | undefined, pages = 0; pages < 10; pages += 1) {
        const page = structured('listItems', await call('listItems', { limit: 2, ...(after === undefined ? {} : { after }) })) as { items: { id: string }[]; next?: string | null };
        seen.push(...page.items.map(({ id }) => id));
        if (typeof page.next !== 'string') break;
        after = page.next;
      }
      expect(seen).toEqual(['i1', 'i2', 'i3', 'i4', 'i5']);
    });
    it('an empty list as a list', async () => { expect(structured('listItems', await call('listItems', { limit: 0 }))).toMatchObject({ items: [] }); });
    it('a write, once', async () => {
      expect(structured('deleteItem', await call('deleteItem', { id: 'i1' }))).toEqual({ done: true });
      expect(shop.received).toHaveLength(1);
    });
    it('many calls at once without mixing them up', async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => call('act', { how: `call ${at}` })));
      expect(answers.map((result) => (structured('act', result) as { text: string }).text)).toEqual(Array.from({ length: 50 }, (_, at) => `call ${at}`));
    });
  });

  describe('is not asked', () => {
    it('with an argument of the wrong type, and says which', async () => { expect(await refused('listItems', { limit: 'three' })).toMatchObject({ code: 'INVALID_ARGUMENTS', issues: [{ pointer: '/limit' }] }); });
    it('with an argument that it does not know', async () => { expect(await refused('getItem', { id: 'i1', nope: 1 })).toMatchObject({ code: 'INVALID_ARGUMENTS', message: expect.stringContaining('nope') as unknown }); });
    it('with a wrong element deep in the arguments', async () => {
      const denial = await refused('addItem', running.args('addItem', { name: 'n', tags: ['a', 5] }));
      expect(denial).toMatchObject({ code: 'INVALID_ARGUMENTS', issues: [{ pointer: expect.stringMatching(/\/tags\/1$/) as unknown }] });
    });
    it('with arguments that are no object', async () => { expect(await refused('getItem', ['i1'])).toMatchObject({ code: 'INVALID_ARGUMENTS' }); });
    it('for a tool that nobody offers', async () => { expect(await refused('nope', {})).toMatchObject({ code: 'NOT_FOUND', message: 'Tool not found: nope' }); });
    it('for another tenant, which learns nothing of it', async () => {
      const denial = await gateway.runCall(callOf(nameOf('getItem'), { id: 'i1' }, { principal: { ...callOf('', {}).principal, tenant: 'globex' as never } }));
      expect([denial, shop.received]).toMatchObject([{ code: 'NOT_FOUND', message: `Tool not found: ${nameOf('getItem')}` }, []]);
    });
    it('when policy says no', async () => {
      gateway.refuse.policy = nameOf('getItem');
      expect(await refused('getItem', { id: 'i1' })).toMatchObject({ code: 'FORBIDDEN' });
    });
    it('when a limit is spent', async () => {
      gateway.refuse.limit = nameOf('getItem');
      expect(await refused('getItem', { id: 'i1' })).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 7 });
    });
    it('at an address that the operator did not allow', async () => {
      offer({ baseUrl: running.at('127.0.0.2', 9) });
      expect(await call('getItem', { id: 'i1' })).toMatchObject({ isError: true, meta: { error_code: 'EGRESS_REFUSED' } });
    });
  });

  describe('fails', () => {
    it('with its own words in a tool error', async () => {
      const result = await call('act', { how: 'error' });
      expect(result).toMatchObject({ isError: true, meta: { error_code: 'BACKEND_ERROR' } });
      expect([textOf(result), result.structuredJson]).toEqual([expect.stringContaining('the till is jammed'), undefined]);
    });
    it('when it has not what was asked for, with its own words', async () => {
      const result = await call('getItem', { id: 'nobody' });
      expect([result.isError, textOf(result)]).toEqual([true, expect.stringContaining('there is no item nobody')]);
    });
    it('when its answer does not keep the output schema; what it said is not structured content', async () => {
      const result = await call('act', { how: 'wrong' });
      expect(result).toMatchObject({ isError: true, meta: { error_code: 'BACKEND_CONTRACT_VIOLATION' } });
      expect(result.structuredJson).toBeUndefined();
    });
    it('when its answer is larger than it may be', async () => { expect(await call('act', { how: 'large' })).toMatchObject({ isError: true, meta: { error_code: 'BACKEND_RESPONSE_TOO_LARGE' } }); });
    it('when nobody listens there, without naming addresses that the caller does not know', async () => {
      offer({ baseUrl: running.at('127.0.0.1', 9) });
      expect(await call('getItem', { id: 'i1' })).toMatchObject({ isError: true, meta: { error_code: 'BACKEND_UNREACHABLE' } });
    });
    it('at its deadline, and is told to stop', async () => {
      offer({ timeoutMs: 100 });
      expect(await call('act', { how: 'hang' })).toMatchObject({ isError: true, meta: { error_code: 'BACKEND_TIMEOUT' } });
      await expect.poll(() => shop.aborted).toBe(1);
    });
    it('of a failure that is over, so that the next call is answered', async () => {
      for (const how of ['error', 'wrong', 'large', 'fine']) await run('act', { how });
      expect(structured('act', await call('act', { how: 'fine' }))).toEqual({ text: 'fine' });
    });
  });

  describe('is cancelled', () => {
    it('when the caller gives up, and is told to stop', async () => {
      const client = new AbortController();
      const pending = run('act', { how: 'hang' }, { exchange: { signal: client.signal, clientCapabilities: {}, supportsInputRequired: false } });
      await expect.poll(() => shop.received.length).toBe(1);
      client.abort();
      expect(await pending).toMatchObject({ code: 'CANCELLED' });
      await expect.poll(() => shop.aborted).toBe(1);
    });
    it('before it is asked, when the caller had gone', async () => {
      const client = new AbortController();
      client.abort();
      expect(await run('act', { how: 'hang' }, { exchange: { signal: client.signal, clientCapabilities: {}, supportsInputRequired: false } })).toMatchObject({ code: 'CANCELLED' });
      expect(shop.aborted).toBe(shop.received.length);
    });
  });

  describe('is told', () => {
    it('the request id, the tenant and the tool', async () => {
      await call('getItem', { id: 'i1' }, { requestId: 'r-77' });
      expect(last().headers).toMatchObject({ 'x-request-id': 'r-77', 'x-stoa-tenant-id': 'acme', 'x-stoa-tool-name': nameOf('getItem') });
    });
    it('the trace that the caller is in', async () => {
      await call('getItem', { id: 'i1' }, { traceparent: TRACE, tracestate: 'vendor=1' });
      expect(last().headers).toMatchObject({ traceparent: expect.stringContaining(HEX) as unknown, tracestate: 'vendor=1' });
    });
    it('who calls it: this product', async () => {
      await call('getItem', { id: 'i1' });
      expect(last().headers['user-agent']).toMatch(/^stoa\/1\b/);
    });
    it('nothing of a credential where it asks for none', async () => {
      await call('getItem', { id: 'i1' });
      expect(JSON.stringify(last())).not.toContain('hunter2');
      expect(last().headers).not.toHaveProperty('authorization');
    });
  });

  describe('is proved to', () => {
    const basic = `Basic ${Buffer.from(SECRET).toString('base64')}`;
    it.each<[string, CredentialSlot, (received: Received) => unknown, string]>([
      ['a bearer token', { type: 'bearer' }, ({ headers }) => headers['authorization'], `Bearer ${SECRET}`],
      ['a user and a password', { type: 'basic' }, ({ headers }) => headers['authorization'], basic],
      ['a key in a header', { type: 'apiKey', in: 'header', name: 'X-Shop-Key' }, ({ headers }) => headers['x-shop-key'], SECRET],
      ['a key in the query', { type: 'apiKey', in: 'query', name: 'shop_key' }, ({ headers, query }) => (running.http ? query : headers)['shop_key'], SECRET],
      ['a key in a cookie', { type: 'apiKey', in: 'cookie', name: 'shop' }, ({ headers }) => (running.http ? headers['cookie'] : `shop=${headers['shop']}`), `shop=${SECRET}`],
    ])('by %s, where it wants it', async (_name, slot, where, value) => {
      offer(binding(slot));
      const result = await call('act', { how: 'fine' });
      expect(result.isError).toBe(false);
      expect(where(last())).toBe(value);
    });
    it('by a secret that it cannot hand to the caller', async () => {
      offer(binding({ type: 'apiKey', in: 'header', name: 'X-Shop-Key' }));
      const result = await call('act', { how: 'quote' });
      expect(last().headers['x-shop-key']).toBe(SECRET);
      expect(JSON.stringify(result)).not.toContain('hunter2');
      expect(textOf(result)).toContain('[redacted]');
    });
    it('by nothing, where credentials are optional and none is bound', async () => {
      offer({ slots: { auth: { type: 'bearer' } }, credentials: {}, security: [['auth'], []] });
      expect((await call('act', { how: 'fine' })).isError).toBe(false);
      expect(last().headers).not.toHaveProperty('authorization');
    });
    it('by the first alternative that is bound', async () => {
      offer({ slots: { auth: { type: 'bearer' }, key: { type: 'apiKey', in: 'header', name: 'X-Shop-Key' } }, credentials: { key: { from: 'environment', name: 'there' } }, security: [['auth'], ['key']] });
      await call('act', { how: 'fine' });
      expect([last().headers['authorization'], last().headers['x-shop-key']]).toEqual([undefined, SECRET]);
    });
    it.each([['is not bound', { slots: { auth: { type: 'bearer' } }, credentials: {}, security: [['auth']] }], ['cannot be read', { slots: { auth: { type: 'bearer' } }, credentials: { auth: { from: 'environment', name: 'missing' } }, security: [['auth']] }]] as const)('not at all where its credential %s: it is not called', async (_name, given) => {
      offer(given);
      expect(await run('act', { how: 'fine' })).toMatchObject({ code: 'CREDENTIAL_MISSING' });
      expect(shop.received).toEqual([]);
    });
    it('but not believed: its refusal is a tool error without the secret', async () => {
      shop.prove = () => `${SECRET} is not known`;
      offer(binding({ type: 'bearer' }));
      const result = await call('act', { how: 'fine' });
      expect([result.isError, textOf(result).includes('hunter2')]).toEqual([true, false]);
    });
  });

  describe('is governed like every other kind', () => {
    const allowed = { effect: 'allow', ruleId: 'rule.yes', revision: 'p1' };
    it('by policy, limit and redaction, each asked once and in this order', async () => {
      const args = running.args('addItem', { name: 'ada@example.org' });
      const result = await call('addItem', { name: 'ada@example.org' });
      expect(gateway.told).toEqual([
        { stage: 'policy', name: nameOf('addItem'), class: 'write', tags: [], arguments: args }, { stage: 'limit', name: nameOf('addItem'), class: 'write', tags: [] }, { stage: 'redact', name: nameOf('addItem'), class: 'write', tags: [] },
      ]);
      expect(JSON.stringify(result)).not.toContain('ada@');
      expect(structured('addItem', result)).toMatchObject({ name: '[mail]' });
    });
    it('with one record of a success', async () => {
      await call('getItem', { id: 'i1' }, { traceparent: TRACE, idempotencyKey: 'k1' });
      expect(gateway.records()).toEqual([about('getItem', { target: targetOf('getItem', 'read'), decision: allowed, traceId: HEX, idempotencyKey: 'k1', outcome: 'success', invoked: true, responded: true, attempts: 1 })]);
    });
    it.each([
      ['error', 'error', { outcome: 'error', invoked: true, attempts: 1 }], ['wrong', 'a broken contract', { outcome: 'error', invoked: true, attempts: 1 }], ['large', 'too large an answer', { outcome: 'error', invoked: true, attempts: 1 }],
    ])('with one record of %s', async (how, _name, ended) => {
      await call('act', { how });
      expect(gateway.records()).toEqual([{ ...about('act', { target: targetOf('act', 'write'), decision: allowed, ...ended }), responded: expect.any(Boolean) as unknown }]);
    });
    it('with one record of a timeout', async () => {
      offer({ timeoutMs: 60 });
      await call('act', { how: 'hang' });
      expect(gateway.records()).toEqual([about('act', { target: targetOf('act', 'write'), decision: allowed, outcome: 'timeout', invoked: true, responded: false, attempts: 1 })]);
    });
    it('with one record of a call that its caller gave up', async () => {
      const client = new AbortController();
      const ended = run('act', { how: 'hang' }, { exchange: { signal: client.signal, clientCapabilities: {}, supportsInputRequired: false } });
      await expect.poll(() => shop.received.length).toBe(1);
      client.abort();
      await ended;
      expect(gateway.records()).toEqual([about('act', { target: targetOf('act', 'write'), decision: allowed, outcome: 'cancelled', code: 'CANCELLED', invoked: true, responded: false, attempts: 1 })]);
    });
    it('with one record of a refusal by policy', async () => {
      gateway.refuse.policy = nameOf('deleteItem');
      await run('deleteItem', { id: 'i1' });
      expect(gateway.records()).toEqual([about('deleteItem', { target: targetOf('deleteItem', 'destructive'), decision: { effect: 'deny', ruleId: 'rule.no', revision: 'p1' }, outcome: 'denied', code: 'FORBIDDEN', invoked: false, responded: false, attempts: 0 })]);
    });
    it('with one record of a spent limit, of wrong arguments, and of a missing credential, which no backend saw', async () => {
      gateway.refuse.limit = nameOf('deleteItem');
      await run('deleteItem', { id: 'i1' });
      await run('getItem', { id: 'i1', nope: 1 });
      offer({ slots: { auth: { type: 'bearer' } }, credentials: {}, security: [['auth']] });
      await run('getItem', { id: 'i1' });
      expect(gateway.records().map(({ outcome, code, invoked }) => [outcome, code, invoked])).toEqual([['rate_limited', 'RATE_LIMITED', false], ['rejected', 'INVALID_ARGUMENTS', false], ['unavailable', 'CREDENTIAL_MISSING', false]]);
      expect(shop.received).toEqual([]);
    });
  });

  describe('is reached through each door alike', () => {
    it('with one answer', async () => {
      const direct = await call('getItem', { id: 'i1' });
      const rest = (await overRest('getItem', { id: 'i1' })).json<{ result: { content: unknown } }>();
      await gateway.app.listen(0, '127.0.0.1');
      const { port } = gateway.app.getHttpServer().address() as { port: number };
      const mcp = await modern(`http://127.0.0.1:${port}/mcp`, 'tools/call', { name: nameOf('getItem'), arguments: running.args('getItem', { id: 'i1' }) }, as('acme-viewer'));
      expect(rest.result.content).toEqual(direct.content);
      expect((mcp.json.result as { content: unknown }).content).toEqual(direct.content);
      expect(mcp.text).toContain(BIG);
    });
    it('with the same status for the same failure', async () => {
      offer({ timeoutMs: 80 });
      const statuses = [];
      for (const how of ['error', 'wrong', 'large', 'hang']) statuses.push((await overRest('act', { how })).statusCode);
      statuses.push((await overRest('listItems', { limit: 'x' })).statusCode);
      expect(statuses).toEqual([502, 502, 502, 504, 422]);
    });
  });
});
