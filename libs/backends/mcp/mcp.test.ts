import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BackendAnswer, Exchange, ValidatedCall } from '#libs/core/call.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { CallResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress, type Egress } from '#libs/egress/egress.js';
import { canonicalJson } from '#libs/core/canonical-json.js';
import { readConnection } from '#libs/backends/mcp/connection.js';
import { convertMcp } from '#libs/backends/mcp/convert-mcp.js';
import { bytesOf } from '#libs/backends/mcp/described.js';
import { type FakeServer, json, modern, startFake } from '#libs/backends/mcp/fake-server.contract.js';
import { Lines, serverSentEvents } from '#libs/backends/mcp/lines.js';
import { McpAdmission } from '#libs/backends/mcp/mcp-admission.js';
import { McpBackend } from '#libs/backends/mcp/mcp-backend.js';
import { readOperatorList } from '#libs/backends/mcp/operator-list.js';
import { Upstreams } from '#libs/backends/mcp/upstreams.js';

const ACME = 'acme' as TenantSlug;
const TOOL = { name: 'add', description: 'Adds.', inputSchema: { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }, annotations: { readOnlyHint: true } };
const LISTS = { 'tools/list': { tools: [TOOL] } };

let egress: Egress;
beforeAll(() => { egress = createEgress({ allow: ['127.0.0.1'] }); });
afterAll(() => egress.close());
const open: { close(): Promise<void> }[] = [];
afterEach(async () => { for (const one of open.splice(0)) await one.close(); });

const upstreamsOf = (list = '', maxBytes = 65_536): Upstreams => {
  const upstreams = new Upstreams({ streams: egress, list: readOperatorList(list), version: '0', maxBytes });
  open.push(upstreams);
  return upstreams;
};
const fakeOf = async (answer: Parameters<typeof startFake>[0]): Promise<FakeServer> => { const fake = await startFake(answer); open.push(fake); return fake; };
const describeBy = async (upstreams: Upstreams, connection: Readonly<Record<string, unknown>>): Promise<ConvertedDocument> => {
  const { bytes } = await new McpAdmission({ upstreams, credentials: { resolve: () => 'secret-of-acme' } }).describe(connection, { tenant: ACME, credentials: { auth: { from: 'environment', name: 'x' } } });
  return convertMcp(bytes, { connection });
};
const toolTarget = (document: ConvertedDocument, name: string, more: Partial<Target> = {}): Target => {
  const tool = document.tools.find((one) => one.name === name);
  if (!tool) throw new Error(`no tool ${name} of ${document.tools.map((one) => one.name).join(', ')}`);
  return { kind: 'tool', name, tenant: ACME, apiId: 'a', description: '', operationClass: tool.operationClass, tags: [], category: undefined, version: '1', inputSchema: tool.inputSchema, ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }), definitions: document.definitions, backend: tool.backend, timeoutMs: 5_000, hash: tool.hash, listed: tool.listed, ...more };
};
const callOf = (target: Target, input: Readonly<Record<string, unknown>>, exchange: Partial<Exchange> = {}, subject = 'ann'): ValidatedCall => ({
  target, input, name: target.name, kind: target.kind, arguments: input, requestId: 'r', door: 'mcp', consumer: 'unknown', startedAt: 0, traceparent: undefined, tracestate: undefined,
  principal: { tenant: ACME, issuer: 'i', subject, clientId: 'c', roles: new Set<string>(), scopes: new Set<string>(), expiresAt: 0 },
  exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: true, ...exchange },
  api: { credentials: { auth: { from: 'environment', name: 'x' } }, slots: { auth: { type: 'bearer' } }, tenant: ACME, name: 'up', baseUrl: undefined }, decision: {}, quota: undefined,
} as unknown as ValidatedCall);
const backendOf = (upstreams: Upstreams): McpBackend => new McpBackend({ upstreams, credentials: { resolve: () => 'secret-of-acme' } });
const answered = async (answer: Promise<BackendAnswer | Denial>): Promise<CallResult> => { const got = await answer; if (got instanceof Denial) throw new Error(got.message); return got.result; };
const paramsOf = (body: Record<string, unknown> | undefined): Record<string, unknown> => (body?.['params'] ?? {}) as Record<string, unknown>;
const saidBy = (result: CallResult): string => (result.type === 'tool' ? result.content.map((block) => (block.type === 'text' ? block.text : block.type)).join('|') : JSON.stringify(result));

describe('a connection', () => {
  it.each([
    { name: 'takes a url', given: { url: 'https://x.example/mcp' }, wrong: undefined },
    { name: 'takes a name of the list', given: { stdio: 'files' }, wrong: undefined },
    { name: 'never takes a command', given: { stdio: 'files', command: 'sh' }, wrong: /connection\.command: cannot be given here/ },
    { name: 'is in one place', given: { url: 'https://x.example/', unix: '/run/x' }, wrong: /give one of url, stdio and unix/ },
    { name: 'does not climb out of a folder', given: { unix: '/run/mcp/../docker.sock' }, wrong: /without \.\./ },
    { name: 'sets no header of the protocol', given: { url: 'https://x.example/', headers: { 'Mcp-Session-Id': 'x' } }, wrong: /headers\.Mcp-Session-Id/ },
    { name: 'sets no credential as a header', given: { url: 'https://x.example/', headers: { authorization: 'Bearer x' } }, wrong: /headers\.authorization/ },
    { name: 'has no member that nobody reads', given: { url: 'https://x.example/', retries: 3 }, wrong: /connection\.retries: is not known/ },
  ])('$name', ({ given, wrong }) => {
    const read = (): string => { try { return `headers ${JSON.stringify(readConnection(given).headers)}`; } catch (failure) { return String(failure); } };
    expect(read()).toMatch(wrong ?? /^headers \{\}$/);
  });
});

describe('frames', () => {
  it('are cut alike however the bytes come', () => {
    const bytes = Buffer.from('{"ü":1}\r\n\n{"b":2}\nrest');
    for (let at = 0; at <= bytes.length; at += 1) {
      const lines = new Lines(100);
      expect([...lines.push(bytes.subarray(0, at)), ...lines.push(bytes.subarray(at)), lines.rest()]).toEqual(['{"ü":1}', '', '{"b":2}', 'rest']);
    }
  });
  it('that are too long are refused before they are held', () => {
    const lines = new Lines(1000);
    lines.push(Buffer.alloc(999, 120));
    expect(() => lines.push(Buffer.alloc(2, 120))).toThrow('more than 1000 bytes');
  });
  it('of an event stream keep data of many lines together', async () => {
    const body = (async function* () { yield Buffer.from(': hello\nevent: endpoint\ndata: /a\n\nid: 1\ndata: x\nda'); yield Buffer.from('ta: y\n\n'); })();
    const events = [];
    for await (const event of serverSentEvents(body, 100)) events.push(event);
    expect(events).toEqual([{ event: 'endpoint', data: '/a' }, { event: 'message', data: 'x\ny' }]);
  });
});

const described = (...tools: Record<string, unknown>[]): Uint8Array => bytesOf({ mcp: 1, server: { name: 's', version: '1' }, tools, prompts: [{ name: 'p' }], resources: [], resourceTemplates: [] });

describe('what was approved', () => {
  const full = { ...TOOL, title: 'Add', outputSchema: { type: 'object' } };
  const connection = { url: 'https://x.example/mcp' };
  const { pins } = convertMcp(described(full), { connection });

  it('stays what it is, in whatever order the server says it', () => {
    const turned = Object.fromEntries(Object.entries(full).toReversed());
    expect(convertMcp(described(turned), { connection, approved: pins ?? {} }).tools.map(({ name }) => name)).toEqual(['add']);
    expect(canonicalJson({ b: [1, { d: 1, c: undefined }], a: 'x' })).toBe('{"a":"x","b":[1,{"d":1}]}');
  });
  it.each([
    { field: 'title', value: 'Add!' }, { field: 'description', value: 'Adds. ' }, { field: 'inputSchema', value: { ...full.inputSchema, required: [] } },
    { field: 'outputSchema', value: { type: 'object', properties: {} } }, { field: 'annotations', value: { readOnlyHint: false } },
  ])('is quarantined when the server changes its $field, and is back when it takes the change back or somebody approves it', ({ field, value }) => {
    const changed = described({ ...full, [field]: value });
    const held = convertMcp(changed, { connection, approved: pins ?? {} });
    expect(held.tools).toEqual([]);
    expect(held.ledger[0]).toMatchObject({ path: 'add', verdict: 'refused', reasons: [{ code: 'definition-changed' }] });
    expect(held.contents?.map(({ name }) => name)).toEqual(['p']);
    expect(convertMcp(changed, { connection, approved: held.pins ?? {} }).tools).toHaveLength(1);
    expect(convertMcp(described(full), { connection, approved: pins ?? {} }).tools).toHaveLength(1);
  });
  it('does not take in what the server adds later', () => {
    const { tools, ledger } = convertMcp(described(full, { ...full, name: 'exec' }), { connection, approved: pins ?? {} });
    expect(tools.map(({ name }) => name)).toEqual(['add']);
    expect(ledger.find(({ path }) => path === 'exec')?.reasons[0]?.code).toBe('not-approved');
  });
});

const toolsOf = (inputSchema: unknown): ConvertedDocument => convertMcp(described({ name: 'get-Thing', inputSchema }), { connection: { url: 'https://x.example/' } });

describe('definitions', () => {
  it('keep their own names and bring their own $defs', () => {
    const document = toolsOf({ type: 'object', properties: { n: { $ref: '#/$defs/N' } }, $defs: { N: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/N' }] } } });
    expect(document.tools[0]?.name).toBe('get-Thing');
    expect(document.tools[0]?.inputSchema).toEqual({ type: 'object', properties: { n: { $ref: '#/$defs/get-Thing.in.N' } } });
    expect(document.definitions).toEqual({ 'get-Thing.in.N': { anyOf: [{ type: 'null' }, { $ref: '#/$defs/get-Thing.in.N' }] } });
  });
  it('never lead to the network: the place takes anything, and the ledger says so', () => {
    const { tools, ledger } = toolsOf({ type: 'object', properties: { x: { $ref: 'http://169.254.169.254/x.json' } } });
    expect(tools[0]?.inputSchema).toEqual({ type: 'object', properties: { x: true } });
    expect(ledger[0]).toMatchObject({ verdict: 'degraded', reasons: [{ code: 'unresolvable-ref' }] });
  });
  it.each([
    { name: 'a number', properties: { n: { type: 'number', 'x-mcp-header': 'N' } } }, { name: 'no token', properties: { n: { type: 'string', 'x-mcp-header': 'a b' } } },
    { name: 'twice', properties: { n: { type: 'string', 'x-mcp-header': 'N' }, m: { type: 'string', 'x-mcp-header': 'n' } } }, { name: 'in a list', properties: { n: { type: 'array', items: { type: 'string', 'x-mcp-header': 'N' } } } },
  ])('that mirror what cannot be mirrored are refused: $name', ({ properties }) => { expect(toolsOf({ type: 'object', properties }).ledger[0]).toMatchObject({ verdict: 'refused', reasons: [{ code: 'mirrored-header' }] }); });
  it('of what is no object are refused alone', () => { expect(toolsOf({ type: 'string' }).ledger[0]).toMatchObject({ verdict: 'refused', reasons: [{ code: 'input-schema' }] }); });
});

describe('the operator\'s list', () => {
  it('names what is wrong with it', () => {
    expect(() => readOperatorList('{"mcpServers":{"x":{"command":""}}}')).toThrow('mcpServers.x.command must be a program');
    expect(() => readOperatorList('{"mcpServers":{"x":{"command":"a","shell":true}}}')).toThrow('mcpServers.x.shell is not known');
    expect(() => readOperatorList('{"sockets":["run/x"]}')).toThrow('absolute paths');
  });
  it('is all that a tenant can start, and another tenant\'s entry is one that is not there', async () => {
    const upstreams = upstreamsOf('{"mcpServers":{"theirs":{"command":"true","tenants":["globex"]}}}');
    const said = async (stdio: string): Promise<string> => describeBy(upstreams, { stdio }).then(() => '', (failure: Error) => failure.message.replace(stdio, 'X'));
    expect(await said('theirs')).toMatch(/has no server "X" for this tenant/);
    expect(await said('theirs')).toBe(await said('nowhere'));
  });
});

describe('a server of 2026-07-28 over HTTP', () => {
  it('is told who asks in headers and body that agree, with its credential and without the caller\'s', async () => {
    const fake = await fakeOf(modern(LISTS, ({ body }, response) => { json(response, { jsonrpc: '2.0', id: body?.['id'], result: { resultType: 'complete', content: [{ type: 'text', text: '12345678901234567890' }], structuredContent: { n: 1 } } }); }));
    const upstreams = upstreamsOf();
    const document = await describeBy(upstreams, { url: fake.url, auth: { type: 'bearer' } });
    const result = await answered(backendOf(upstreams).invoke(callOf(toolTarget(document, 'add'), { a: 1 }, { clientCapabilities: { elicitation: {}, tasks: {} } })));
    expect(result).toMatchObject({ type: 'tool', isError: false, structuredJson: '{"n":1}' });
    const sent = fake.seen.at(-1);
    expect(sent?.headers).toMatchObject({ 'mcp-method': 'tools/call', 'mcp-name': 'add', 'mcp-protocol-version': '2026-07-28', authorization: 'Bearer secret-of-acme' });
    expect(sent?.body).toMatchObject({ method: 'tools/call', params: { name: 'add', arguments: { a: 1 }, _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } } } });
  });
  it.each([
    { name: 'says what is no JSON-RPC', answer: 'hello', code: 'BACKEND_ERROR', text: /no JSON-RPC message: "hello"/ },
    { name: 'answers another question', answer: '{"jsonrpc":"2.0","id":4711,"result":{}}', code: 'BACKEND_ERROR', text: /a question that was not asked/ },
    { name: 'sends a result that is none', answer: '{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"script"}]}}', code: 'BACKEND_ERROR', text: /\/content\/0/ },
    { name: 'sends more than anybody reads', answer: `{"x":"${'x'.repeat(70_000)}"}`, code: 'BACKEND_RESPONSE_TOO_LARGE', text: /larger than 65536 bytes/ },
    { name: 'quotes its credential', answer: '{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"bad token secret-of-acme"}}', code: 'BACKEND_ERROR', text: /^(?!.*secret-of-acme).*\[redacted\]/ },
  ])('that $name makes a tool error that says so', async ({ answer, code, text }) => {
    const fake = await fakeOf(modern(LISTS, ({ body }, response) => { response.writeHead(200, { 'content-type': 'application/json' }).end(answer.replace('ID', String(body?.['id']))); }));
    const upstreams = upstreamsOf();
    const document = await describeBy(upstreams, { url: fake.url, auth: { type: 'bearer' } });
    const result = await answered(backendOf(upstreams).invoke(callOf(toolTarget(document, 'add'), { a: 1 })));
    expect(result).toMatchObject({ isError: true, meta: { error_code: code } });
    expect(saidBy(result)).toMatch(text);
  });
  it('tells progress to its own call, and stops when the caller goes', async () => {
    let gone: (() => void) | undefined;
    const closed = new Promise<void>((resolve) => { gone = resolve; });
    const fake = await fakeOf(modern(LISTS, ({ body }, response) => {
      const token = paramsOf(body)['_meta'] as { progressToken: number };
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { ...token, progress: 1, total: 2, message: 'half' } })}\n\n`);
      response.on('close', () => { gone?.(); });
    }));
    const upstreams = upstreamsOf();
    const document = await describeBy(upstreams, { url: fake.url });
    const controller = new AbortController();
    const told: unknown[] = [];
    const running = backendOf(upstreams).invoke(callOf(toolTarget(document, 'add'), { a: 1 }, { signal: controller.signal, progress: (...given) => { told.push(given); controller.abort(); } }));
    expect(await running).toMatchObject({ code: 'CANCELLED' });
    await closed;
    expect(told).toEqual([[1, 2, 'half']]);
  });
  it('that needs input sends a caller of its own era back, and asks a caller of the older ones in the middle', async () => {
    const fake = await fakeOf(modern(LISTS, ({ body }, response) => {
      const { inputResponses, requestState } = paramsOf(body) as { inputResponses?: { who?: { content?: { name?: string } } }; requestState?: string };
      const name = inputResponses?.who?.content?.name;
      json(response, { jsonrpc: '2.0', id: body?.['id'], result: name === undefined ? { resultType: 'input_required', inputRequests: { who: { method: 'elicitation/create', params: { message: 'Who?' } } }, requestState: 's1' } : { resultType: 'complete', content: [{ type: 'text', text: `${name} ${requestState}` }] } });
    }));
    const upstreams = upstreamsOf();
    const target = toolTarget(await describeBy(upstreams, { url: fake.url, era: 'modern' }), 'add');
    const capabilities = { clientCapabilities: { elicitation: {} } };
    const first = await answered(backendOf(upstreams).invoke(callOf(target, { a: 1 }, capabilities)));
    expect(first).toMatchObject({ type: 'input_required', requestState: 's1', inputRequests: { who: { method: 'elicitation/create' } } });
    const second = await answered(backendOf(upstreams).invoke(callOf(target, { a: 1 }, { ...capabilities, requestState: 's1', inputResponses: { who: { action: 'accept', content: { name: 'Ann' } } } })));
    expect(saidBy(second)).toBe('Ann s1');
    const asked: unknown[] = [];
    const legacy = await answered(backendOf(upstreams).invoke(callOf(target, { a: 1 }, { ...capabilities, supportsInputRequired: false, request: (method, params) => { asked.push([method, params]); return Promise.resolve({ action: 'accept', content: { name: 'Bob' } }); } })));
    expect(saidBy(legacy)).toBe('Bob s1');
    expect(asked).toEqual([['elicitation/create', { message: 'Who?' }]]);
  });
});

/** Asks in the middle of each call, and answers with what it was told. */
const asking = (): Parameters<typeof startFake>[0] => {
  let sessions = 0;
  let finish: ((text: string) => void) | undefined;
  return ({ body, headers, method }, response) => {
    if (method === 'DELETE') { response.writeHead(200).end(); return; }
    if (body?.['method'] === 'server/discover') { json(response, { jsonrpc: '2.0', error: { code: -32600, message: 'send initialize first' } }, 400); return; }
    if (body?.['method'] === 'initialize') { json(response, { jsonrpc: '2.0', id: body['id'], result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'old', version: '1' } } }, 200, { 'mcp-session-id': `s${++sessions}` }); return; }
    if (body?.['method'] === 'tools/list') { json(response, { jsonrpc: '2.0', id: body['id'], result: LISTS['tools/list'] }); return; }
    if (body?.['method'] === 'tools/call') {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: 'q1', method: 'elicitation/create', params: { message: 'Who?' } })}\n\n`);
      finish = (text) => { response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: body['id'], result: { content: [{ type: 'text', text: `${String(headers['mcp-session-id'])} ${text}` }] } })}\n\n`); };
      return;
    }
    if (body?.['id'] === 'q1') finish?.(JSON.stringify(body['result'] ?? body['error']));
    if (typeof body?.['method'] === 'string' && body['id'] !== undefined) json(response, { jsonrpc: '2.0', id: body['id'], error: { code: -32601, message: 'no' } }, 200);
    else response.writeHead(202).end();
  };
};

describe('a server with sessions over HTTP', () => {
  it('asks a caller with sessions in the middle, and sends a caller of 2026-07-28 away with the question until the answer comes', async () => {
    const fake = await fakeOf(asking());
    const upstreams = upstreamsOf();
    const target = toolTarget(await describeBy(upstreams, { url: fake.url }), 'add');
    const backend = backendOf(upstreams);
    const capable = { clientCapabilities: { elicitation: {} } };
    const legacy = await answered(backend.invoke(callOf(target, { a: 1 }, { ...capable, supportsInputRequired: false, request: () => Promise.resolve({ action: 'accept', content: { name: 'Bob' } }) })));
    expect(saidBy(legacy)).toMatch(/Bob/);
    const away = await answered(backend.invoke(callOf(target, { a: 1 }, capable)));
    if (away.type !== 'input_required') throw new Error(JSON.stringify(away));
    expect(away.inputRequests).toEqual({ input: { method: 'elicitation/create', params: { message: 'Who?' } } });
    const back = await answered(backend.invoke(callOf(target, { a: 1 }, { ...capable, requestState: away.requestState ?? '', inputResponses: { input: { action: 'accept', content: { name: 'Ann' } } } })));
    expect(saidBy(back)).toMatch(/Ann/);
    expect(await backend.invoke(callOf(target, { a: 1 }, { ...capable, requestState: away.requestState ?? '', inputResponses: { input: {} } }))).toMatchObject({ code: 'BACKEND_ERROR' });
  });
  it('gives each caller a session of its own', async () => {
    const fake = await fakeOf(asking());
    const upstreams = upstreamsOf();
    const target = toolTarget(await describeBy(upstreams, { url: fake.url }), 'add');
    const said = async (subject: string): Promise<string> => saidBy(await answered(backendOf(upstreams).invoke(callOf(target, { a: 1 }, { supportsInputRequired: false }, subject))));
    const [ann, again, bob] = [await said('ann'), await said('ann'), await said('bob')];
    expect(ann.split(' ')[0]).toBe(again.split(' ')[0]);
    expect(bob.split(' ')[0]).not.toBe(ann.split(' ')[0]);
  });
});

/** A server of the older revisions on standard input; its tools tell of the process itself. */
const PROGRAM = `
const send = (m) => process.stdout.write(JSON.stringify(m) + '\\n');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const result = (r) => send({ jsonrpc: '2.0', id, result: r });
  if (method === 'initialize') { process.stdout.write('listening\\n'); result({ protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 'p', version: '1' } }); }
  else if (method === 'tools/list') result({ tools: ['crash', 'flood', 'tell', 'spawn'].map((name) => ({ name, inputSchema: { type: 'object' } })) });
  else if (method === 'tools/call' && params.name === 'crash') { process.stderr.write('out of luck\\n'); process.exit(3); }
  else if (method === 'tools/call' && params.name === 'flood') process.stdout.write('x'.repeat(100000000));
  else if (method === 'tools/call' && params.name === 'spawn') { const child = require('node:child_process').spawn('sleep', ['600']); result({ content: [{ type: 'text', text: process.pid + ' ' + child.pid }] }); }
  else if (method === 'tools/call') result({ content: [{ type: 'text', text: JSON.stringify([process.argv.slice(2), Object.keys(process.env).sort()]) }] });
  else if (id !== undefined) send({ jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } });
});`;
/** A grandchild that is dead and waits for init to take note is no process any more. */
const alive = (pid: number): boolean => { try { return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')); } catch { return false; } };

describe('a server that is a process', () => {
  let folder: string;
  let list: string;
  const ARGS = ['a;b', '$(id)', 'x\ny', '`w`'];
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stoa-mcp-'));
    await writeFile(join(folder, 'server.cjs'), PROGRAM);
    list = JSON.stringify({ mcpServers: { own: { command: process.execPath, args: [join(folder, 'server.cjs'), ...ARGS], env: { GIVEN: '1' } } } });
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('gets its arguments as they stand and nothing of the environment but what its entry gives', async () => {
    const upstreams = upstreamsOf(list);
    const document = await describeBy(upstreams, { stdio: 'own' });
    expect(JSON.parse(saidBy(await answered(backendOf(upstreams).invoke(callOf(toolTarget(document, 'tell'), {})))))).toEqual([ARGS, ['GIVEN', 'PATH']]);
  });
  it('is named when it falls over, and is there again after a while', async () => {
    let now = 0;
    const upstreams = upstreamsOf(list);
    const document = await describeBy(upstreams, { stdio: 'own' });
    const { ChannelUpstream } = await import('#libs/backends/mcp/channel-upstream.js');
    const { openProcess } = await import('#libs/backends/mcp/stdio-channel.js');
    const { allowedServer } = await import('#libs/backends/mcp/operator-list.js');
    const upstream = new ChannelUpstream({ open: async (events) => openProcess(allowedServer(readOperatorList(list), 'own', 'acme'), 65_536, events), version: '0', now: () => now });
    open.push(upstream);
    const backend = new McpBackend({ upstreams: { use: (_address, work) => work(upstream) }, credentials: { resolve: () => 'x' } });
    const call = (name: string): Promise<CallResult> => answered(backend.invoke(callOf(toolTarget(document, name), {})));
    expect(saidBy(await call('crash'))).toMatch(/exit code 3\), last words: out of luck/);
    expect(saidBy(await call('tell'))).toMatch(/keeps failing .* tried again in 1 s/);
    now += 300;
    expect(await call('tell')).toMatchObject({ isError: false });
  });
  it('that sends a line of 100 MB is cut off, at no more than the bound held', async () => {
    const upstreams = upstreamsOf(list);
    const document = await describeBy(upstreams, { stdio: 'own' });
    expect(saidBy(await answered(backendOf(upstreams).invoke(callOf(toolTarget(document, 'flood'), {}))))).toMatch(/a line of more than 65536 bytes/);
  });
  it('dies with everything that it started', async () => {
    const upstreams = upstreamsOf(list);
    const document = await describeBy(upstreams, { stdio: 'own' });
    const pids = saidBy(await answered(backendOf(upstreams).invoke(callOf(toolTarget(document, 'spawn'), {})))).split(' ').map(Number);
    expect(pids.map(alive)).toEqual([true, true]);
    await upstreams.close();
    await expect.poll(() => pids.map(alive)).toEqual([false, false]);
  });
});

describe('a server on a Unix socket', () => {
  let folder: string;
  let server: Server;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stoa-sock-'));
    server = createServer((socket) => {
      socket.on('data', (data) => {
        for (const line of data.toString().trim().split('\n')) {
          const { id, method } = JSON.parse(line) as { id?: number; method: string };
          if (id === undefined) continue;
          const result = method === 'initialize' ? { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'sock', version: '1' } } : method === 'tools/list' ? LISTS['tools/list'] : method === 'tools/call' ? { content: [{ type: 'text', text: 'from the socket' }] } : undefined;
          socket.write(`${JSON.stringify(result === undefined ? { jsonrpc: '2.0', id, error: { code: -32601, message: 'no' } } : { jsonrpc: '2.0', id, result })}\n`);
        }
      });
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => { server.listen(join(folder, 'a.sock'), resolve); });
    await symlink(join(folder, 'a.sock'), join(folder, 'link.sock'));
  });
  afterAll(async () => { server.close(); await rm(folder, { recursive: true }); });
  const list = (): string => JSON.stringify({ sockets: [folder] });

  it('answers', async () => {
    const upstreams = upstreamsOf(list());
    const document = await describeBy(upstreams, { unix: join(folder, 'a.sock') });
    expect(saidBy(await answered(backendOf(upstreams).invoke(callOf(toolTarget(document, 'add'), { a: 1 }))))).toBe('from the socket');
  });
  it.each([
    { name: 'that is a link is refused', path: () => join(folder, 'link.sock'), said: /symbolic link/ },
    { name: 'that is not on the list is refused', path: () => '/run/docker.sock', said: /not on the operator's list/ },
    { name: 'that is not there is named', path: () => join(folder, 'none.sock'), said: /There is no socket/ },
  ])('$name', async ({ path, said }) => { await expect(describeBy(upstreamsOf(list()), { unix: path() })).rejects.toThrow(said); });
});

it('what a server says of itself has the same bytes whatever the order', async () => {
  const tools = [TOOL, { ...TOOL, name: 'zz' }];
  const hashes = [];
  for (const order of [tools, tools.toReversed()]) {
    const fake = await fakeOf(modern({ 'tools/list': { tools: order } }, () => undefined));
    const { bytes } = await new McpAdmission({ upstreams: upstreamsOf() }).describe({ url: fake.url }, { tenant: ACME, credentials: {} });
    hashes.push(createHash('sha256').update(bytes).digest('hex'));
  }
  expect(hashes[0]).toBe(hashes[1]);
});
