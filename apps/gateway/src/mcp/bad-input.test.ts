import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DoorApp, startDoor } from '../../../../test/conformance/door-app.js';
import { legacy, modern, modernBody, modernHeaders, send } from '../../../../test/conformance/raw-client.js';

let app: DoorApp;
beforeAll(async () => { app = await startDoor(); });
afterAll(() => app.close());

const call = (args: string): string => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_simple_text","arguments":${args},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}`;
const MODERN = modernHeaders('tools/call', { name: 'test_simple_text' });

describe('bad input at /mcp', () => {
  it.each([
    { name: 'not JSON', body: '{"jsonrpc":', status: 400, code: -32700 },
    { name: 'an empty body', body: '', status: 400, code: -32700 },
    { name: 'a batch', body: `[${call('{}')}]`, status: 400, code: -32600 },
    { name: 'an empty batch', body: '[]', status: 400, code: -32600 },
    { name: 'a text', body: '"hello"', status: 400, code: -32600 },
    { name: 'another JSON-RPC version', body: call('{}').replace('"2.0"', '"1.0"'), status: 400, code: -32600 },
    { name: 'a response', body: '{"jsonrpc":"2.0","id":1,"result":{}}', status: 400, code: -32600 },
    { name: 'an id that is null', body: call('{}').replace('"id":1', '"id":null'), status: 400, code: -32600 },
    { name: 'params that are a list', body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}', status: 400, code: -32602 },
    { name: '500,000 levels of arguments', body: call('['.repeat(500_000) + ']'.repeat(500_000)), status: 400, code: -32600 },
    { name: 'a repeated argument', body: call('{"a":1,"a":2}'), status: 400, code: -32600 },
    { name: '__proto__', body: call('{"__proto__":{"polluted":1}}'), status: 400, code: -32600 },
    { name: 'a lone surrogate', body: call('{"a":"\\ud800"}'), status: 400, code: -32600 },
    { name: 'a number beyond 2^53', body: call('{"id":9007199254740993}'), status: 400, code: -32600, says: '/params/arguments/id' },
    { name: 'an overflowing number', body: call('{"id":1e400}'), status: 400, code: -32600, says: '/params/arguments/id' },
    { name: 'one byte more than 1 MiB', body: call('{}').padEnd(1_048_577), status: 413, code: -32001 },
  ])('refuses $name and lives', async ({ body, status, code, says }) => {
    const reply = await send(app.url, body, MODERN);
    expect(reply.status).toBe(status);
    expect(reply.json.error?.code).toBe(code);
    expect(reply.json.error?.data?.['correlation_id']).toBeTypeOf('string');
    expect(reply.json.error?.message).toContain(says ?? '');
    expect((await modern(app.url, 'tools/call', { name: 'test_simple_text' })).json.result?.['content']).toHaveLength(1);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('takes a body of exactly 1 MiB', async () => {
    expect((await send(app.url, call('{}').padEnd(1_048_576), MODERN)).status).toBe(200);
  });
  it('says how large a body may be', async () => {
    expect((await send(app.url, ' '.repeat(1_048_577))).json.error?.data?.['max_size_kb']).toBe(1024);
  });
  it('refuses bytes that are not UTF-8', async () => {
    const reply = await send(app.url, Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":1,"method":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]), MODERN);
    expect([reply.status, reply.json.error?.code]).toEqual([400, -32700]);
  });
  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx'])('refuses Content-Type %s', async (type) => {
    expect((await send(app.url, call('{}'), { ...MODERN, 'content-type': type })).status).toBe(415);
  });
  it('takes a Content-Type with parameters', async () => {
    expect((await send(app.url, call('{}'), { ...MODERN, 'content-type': 'application/json; charset=utf-8' })).status).toBe(200);
  });
  it('refuses an Accept that names neither of its two forms', async () => {
    expect((await send(app.url, call('{}'), { ...MODERN, accept: 'text/html' })).status).toBe(406);
  });
  it('takes a notification with 202 and no body', async () => {
    const reply = await send(app.url, modernBody('notifications/x').replace('"id":1,', ''), modernHeaders('notifications/x'));
    expect([reply.status, reply.text]).toEqual([202, '']);
  });
  it('refuses a body in a legacy session by the same rules', async () => {
    const client = await legacy(app.url);
    for (const [body, code] of [['{', -32700], ['[]', -32600], ['{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1,"a":2}}', -32600]] as const) {
      const reply = await send(app.url, body, client.headers);
      expect([reply.status, reply.json.error?.code]).toEqual([400, code]);
    }
  });
  it('never calls the backend for any of them', () => {
    expect(app.catalogue.calls.every(({ arguments: args }) => JSON.stringify(args) === '{}')).toBe(true);
  });
});

describe('where a request comes from', () => {
  it.each(['http://evil.example.com', 'null', 'http://localhost.evil.test', 'https://localhost:8080', 'http://localhost:8080.evil.test'])('refuses Origin %s', async (origin) => {
    expect((await modern(app.url, 'server/discover', {}, { origin })).status).toBe(403);
  });
  it.each(['http://localhost:1234', 'HTTP://LOCALHOST:1234', 'http://127.0.0.1'])('takes Origin %s', async (origin) => {
    expect((await modern(app.url, 'server/discover', {}, { origin })).status).toBe(200);
  });
});
