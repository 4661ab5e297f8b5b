import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Denial, type DenialFacts, Unavailable } from '#libs/core/errors.js';
import { type DoorApp, startDoor } from '../../../../test/conformance/door-app.js';
import { legacy, type LegacyClient, modern, modernBody, modernHeaders, type Reply, send } from '../../../../test/conformance/raw-client.js';

/** What the next call is refused with, after its target was found. */
let refusal: DenialFacts | undefined;
let app: DoorApp;
let client: LegacyClient;
beforeAll(async () => {
  app = await startDoor({ stages: { authorize: (call) => (refusal ? new Denial(refusal) : Object.assign(call, { decision: { ruleId: 'open', policyRevision: '0' } })) } });
  client = await legacy(app.url, '2025-06-18');
});
afterAll(() => app.close());

const CURSOR = { cursor: 'bm90IG91cnM' };
interface Row { readonly situation: string; readonly ask: [method: string, params: Record<string, unknown>]; readonly refused?: DenialFacts; readonly modern: readonly [number, number | 'tool error']; readonly legacy: readonly [number, number | 'tool error']; readonly headers?: Record<string, string> }
const simple: Row['ask'] = ['tools/call', { name: 'test_simple_text', arguments: {} }];
const ROWS: readonly Row[] = [
  { situation: 'an unknown method', ask: ['tools/destroy', {}], modern: [404, -32601], legacy: [200, -32601] },
  { situation: 'an unknown tool', ask: ['tools/call', { name: 'nope' }], modern: [200, -32602], legacy: [200, -32602] },
  { situation: 'a tool call without a name', ask: ['tools/call', {}], modern: [200, -32602], legacy: [200, -32602] },
  { situation: 'arguments that fail the schema', ask: ['tools/call', { name: 'test_sampling', arguments: { prompt: 7 } }], modern: [200, 'tool error'], legacy: [200, 'tool error'] },
  { situation: 'an unknown argument', ask: ['tools/call', { name: 'test_simple_text', arguments: { more: 1 } }], modern: [200, 'tool error'], legacy: [200, 'tool error'] },
  { situation: 'a missing resource', ask: ['resources/read', { uri: 'test://nope' }], modern: [200, -32602], legacy: [200, -32002] },
  { situation: 'an unknown prompt', ask: ['prompts/get', { name: 'nope' }], modern: [200, -32602], legacy: [200, -32602] },
  { situation: 'a missing prompt argument', ask: ['prompts/get', { name: 'test_prompt_with_arguments', arguments: { arg1: 'x' } }], modern: [200, -32602], legacy: [200, -32602] },
  { situation: 'a cursor that is not ours', ask: ['tools/list', CURSOR], modern: [200, -32602], legacy: [200, -32602] },
  { situation: 'an empty cursor', ask: ['prompts/list', { cursor: '' }], modern: [200, -32602], legacy: [200, -32602] },
  { situation: 'a cursor that is no text', ask: ['resources/list', { cursor: 1 }], modern: [200, -32602], legacy: [200, -32602] },
  { situation: 'policy denies a visible tool', ask: simple, refused: { code: 'FORBIDDEN', message: 'Not allowed.' }, modern: [200, 'tool error'], legacy: [200, 'tool error'] },
  { situation: 'rate limited', ask: simple, refused: { code: 'RATE_LIMITED', message: 'Slow down.', retryAfterSeconds: 7 }, modern: [429, -31001], legacy: [429, -31001], headers: { 'retry-after': '7' } },
  { situation: 'no valid token for the call', ask: simple, refused: { code: 'UNAUTHENTICATED', message: 'Token ended.' }, modern: [401, -31005], legacy: [401, -31005], headers: { 'www-authenticate': 'Bearer' } },
  { situation: 'a scope is missing', ask: simple, refused: { code: 'INSUFFICIENT_SCOPE', message: 'More scope.', missingScopes: ['stoa:write'] }, modern: [403, -31006], legacy: [403, -31006], headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="stoa:write"' } },
  { situation: 'the policy engine is absent', ask: simple, refused: { code: 'UNAVAILABLE', message: 'Later.', retryAfterSeconds: 2 }, modern: [503, -31004], legacy: [503, -31004], headers: { 'retry-after': '2' } },
  { situation: 'the backend timed out', ask: simple, refused: { code: 'BACKEND_TIMEOUT', message: 'Too slow.' }, modern: [200, 'tool error'], legacy: [200, 'tool error'] },
  { situation: 'the backend answered 500', ask: simple, refused: { code: 'BACKEND_ERROR', message: 'It failed.', backendStatus: 500 }, modern: [200, 'tool error'], legacy: [200, 'tool error'] },
];

function outcome(reply: Reply): [number, number | string] {
  const result = reply.json.result;
  return [reply.status, reply.json.error ? reply.json.error.code : result?.['isError'] === true ? 'tool error' : 'result'];
}
/** Every error carries the request id. */
function correlation(reply: Reply): unknown {
  const meta = reply.json.result?.['_meta'] as Record<string, Record<string, unknown>> | undefined;
  return reply.json.error?.data?.['correlation_id'] ?? meta?.['dev.gostoa/error']?.['correlation_id'];
}

describe('the golden error table', () => {
  it.each(ROWS)('2026-07-28: $situation', async ({ ask, refused, modern: expected, headers }) => {
    refusal = refused;
    const reply = await modern(app.url, ...ask);
    refusal = undefined;
    expect(outcome(reply)).toEqual(expected);
    expect(correlation(reply)).toBeTypeOf('string');
    expect(Object.fromEntries(reply.headers)).toMatchObject(headers ?? {});
    expect(reply.json.id).toBe(1);
  });
  it.each(ROWS)('2025-06-18: $situation', async ({ ask, refused, legacy: expected, headers }) => {
    refusal = refused;
    const reply = await client.request(...ask);
    refusal = undefined;
    expect(outcome(reply)).toEqual(expected);
    expect(correlation(reply)).toBeTypeOf('string');
    expect(Object.fromEntries(reply.headers)).toMatchObject(headers ?? {});
    expect(reply.text).not.toContain('resultType');
  });

  it.each([
    { situation: 'a version that we do not have', version: 'v9', meta: { 'io.modelcontextprotocol/protocolVersion': 'v9' }, status: 400, code: -32022, data: { supported: ['2026-07-28'], requested: 'v9' } },
    { situation: 'a version header that differs from the body', version: '2026-07-28', meta: { 'io.modelcontextprotocol/protocolVersion': 'v9' }, status: 400, code: -32020 },
    { situation: 'no version in the body', version: '2026-07-28', meta: { 'io.modelcontextprotocol/protocolVersion': undefined }, status: 400, code: -32602 },
    { situation: 'no client capabilities', version: '2026-07-28', meta: { 'io.modelcontextprotocol/clientCapabilities': undefined }, status: 400, code: -32602 },
    { situation: 'a log level that does not exist', version: '2026-07-28', meta: { 'io.modelcontextprotocol/logLevel': 'loud' }, status: 400, code: -32602 },
  ])('2026-07-28: $situation', async ({ version, meta, status, code, data }) => {
    const reply = await modern(app.url, 'server/discover', { _meta: meta }, { 'mcp-protocol-version': version });
    expect([reply.status, reply.json.error?.code]).toEqual([status, code]);
    expect(reply.json.error?.data).toMatchObject(data ?? {});
  });
  it('refuses a request without any version, which no revision allows', async () => {
    const reply = await send(app.url, '{"jsonrpc":"2.0","id":1,"method":"tools/list"}');
    expect([reply.status, reply.json.error?.code]).toEqual([400, -32020]);
  });
  it('asks for the capability that a tool needs and the client did not declare', async () => {
    const reply = await modern(app.url, 'tools/call', { name: 'test_missing_capability' });
    expect([reply.status, reply.json.error?.code]).toEqual([400, -32021]);
    expect(reply.json.error?.data?.['requiredCapabilities']).toEqual({ sampling: {} });
  });

  it('2025: names the version it would speak when it is asked for another', async () => {
    for (const [asked, given] of [['2025-11-25', '2025-11-25'], ['2025-06-18', '2025-06-18'], ['1999-01-01', '2025-11-25'], ['2026-07-28', '2025-11-25']]) {
      const reply = await send(app.url, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: asked, capabilities: {}, clientInfo: { name: 't', version: '0' } } }));
      expect(reply.json.result?.['protocolVersion']).toBe(given);
    }
  });
  it.each([
    { situation: 'a session that is unknown', headers: { 'mcp-session-id': 'nope', 'mcp-protocol-version': '2025-11-25' }, status: 404 },
    { situation: 'no session', headers: { 'mcp-protocol-version': '2025-11-25' }, status: 400 },
  ])('2025: $situation', async ({ headers, status }) => {
    expect((await send(app.url, '{"jsonrpc":"2.0","id":1,"method":"ping"}', headers as unknown as Record<string, string>)).status).toBe(status);
  });
  it('2025: a version header that we do not have', async () => {
    expect((await send(app.url, '{"jsonrpc":"2.0","id":1,"method":"ping"}', { ...client.headers, 'mcp-protocol-version': '1999-01-01' })).status).toBe(400);
  });
});

const region = (value: unknown, headers: Record<string, string>, extra: Record<string, unknown> = {}): Promise<Reply> => {
  const params = { name: 'test_x_mcp_header', arguments: { ...(value === undefined ? {} : { region: value }), ...extra } };
  return send(app.url, modernBody('tools/call', params), { ...modernHeaders('tools/call', params), ...headers });
};
const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

describe('a failure', () => {
  it.each([
    { name: 'an absent catalogue', error: new Unavailable('catalogue'), status: 503, code: -31004, told: 0 },
    { name: 'a defect of ours', error: new TypeError('x is not a function'), status: 500, code: -32603, told: 1 },
  ])('of $name is answered with the id of the request, and the process lives', async ({ error, status, code, told }) => {
    const failures: unknown[] = [];
    const broken = await startDoor({ onFailure: (failure) => { failures.push(failure); }, listing: { list: () => Promise.reject(error), find: () => { throw error; } } });
    for (const [method, params] of [['tools/list', {}], ['tools/call', { name: 'test_simple_text' }]] as const) {
      const reply = await modern(broken.url, method, params);
      expect([reply.status, reply.json.error?.code, reply.json.id]).toEqual([status, code, 1]);
      expect(reply.text).not.toContain('not a function');
    }
    expect(failures).toHaveLength(told * 2);
    await broken.close();
  });
});

describe('mirrored headers of 2026-07-28', () => {
  it.each([
    { name: 'plain', value: 'eu', headers: { 'mcp-param-region': 'eu' }, ok: true },
    { name: 'encoded', value: 'Hello, 世界', headers: { 'mcp-param-region': base64('Hello, 世界') }, ok: true },
    { name: 'what looks encoded, encoded', value: '=?base64?x?=', headers: { 'mcp-param-region': base64('=?base64?x?=') }, ok: true },
    { name: 'what looks encoded, plain', value: '=?base64?eA==?=', headers: { 'mcp-param-region': '=?base64?eA==?=' }, ok: false },
    { name: 'another value', value: 'eu', headers: { 'mcp-param-region': 'us' }, ok: false },
    { name: 'no header for a value', value: 'eu', headers: {}, ok: false },
    { name: 'a header for no value', value: undefined, headers: { 'mcp-param-region': 'eu' }, ok: false },
    { name: 'an integer written otherwise', value: undefined, extra: { priority: 42 }, headers: { 'mcp-param-priority': '42.0' }, ok: true },
    { name: 'another integer', value: undefined, extra: { priority: 42 }, headers: { 'mcp-param-priority': '43' }, ok: false },
    { name: 'a boolean', value: undefined, extra: { verbose: false }, headers: { 'mcp-param-verbose': 'false' }, ok: true },
    { name: 'a header that no parameter asks for', value: undefined, headers: { 'mcp-param-other': 'x' }, ok: true },
  ])('Mcp-Param-*: $name', async ({ value, headers, extra, ok }) => {
    const reply = await region(value, headers as unknown as Record<string, string>, extra);
    expect([reply.status, reply.json.error?.code]).toEqual(ok ? [200, undefined] : [400, -32020]);
  });
  it.each([
    { name: 'Mcp-Method missing', headers: { 'mcp-method': '' } },
    { name: 'Mcp-Method of another case', headers: { 'mcp-method': 'Tools/Call' } },
    { name: 'Mcp-Name of another tool', headers: { 'mcp-name': 'test_image_content' } },
    { name: 'Mcp-Name in broken base64', headers: { 'mcp-name': '=?base64?dGVzdA?=' } },
  ])('refuses $name', async ({ headers }) => {
    const reply = await modern(app.url, 'tools/call', { name: 'test_simple_text' }, headers as unknown as Record<string, string>);
    expect([reply.status, reply.json.error?.code]).toEqual([400, -32020]);
  });
  it('takes Mcp-Name in base64', async () => {
    expect((await modern(app.url, 'tools/call', { name: 'test_simple_text' }, { 'mcp-name': base64('test_simple_text') })).status).toBe(200);
  });
});
