import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ConformanceServer, startConformanceServer } from './server.js';

// The official TypeScript clients, against the whole gateway.
let server: ConformanceServer;
beforeAll(async () => { server = await startConformanceServer({}); });
afterAll(() => server.close());

const capabilities = { sampling: {}, elicitation: {}, roots: {} };
const SIMPLE = [{ type: 'text', text: 'This is a simple text response for testing.' }];

describe.each([
  { name: 'the current client on 2026-07-28', mode: 'auto', era: '2026-07-28' },
  { name: 'the current client on 2025-11-25', mode: 'legacy', era: '2025-11-25' },
] as const)('$name', ({ mode, era }) => {
  let client: Client;
  beforeAll(async () => {
    client = new Client({ name: 'interop', version: '0' }, { capabilities, versionNegotiation: { mode } });
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada', response: 'Ada', ok: true } }));
    await client.connect(new StreamableHTTPClientTransport(new URL(server.url)));
  });
  afterAll(() => client.close());

  it('negotiates the revision', () => { expect(client.getNegotiatedProtocolVersion()).toBe(era); });
  it('lists tools, prompts, resources and templates', async () => {
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['stoa_platform_info', 'test_simple_text']));
    expect((await client.listPrompts()).prompts.map(({ name }) => name)).toContain('test_simple_prompt');
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toContain('test://static-text');
    expect((await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual(['test://template/{id}/data']);
  });
  it('calls a tool', async () => { expect((await client.callTool({ name: 'test_simple_text', arguments: {} })).content).toEqual(SIMPLE); });
  it('calls a tool of the platform and gets structured content', async () => {
    expect((await client.callTool({ name: 'stoa_platform_info', arguments: {} })).structuredContent).toBeTypeOf('object');
  });
  it('reads wrong arguments as a tool error', async () => {
    const result = await client.callTool({ name: 'test_elicitation', arguments: { message: 7 } });
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain('/message');
  });
  it('hears progress', async () => {
    const heard: number[] = [];
    await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, { onprogress: ({ progress }) => { heard.push(progress); } });
    expect(heard).toEqual([0, 50, 100]);
  });
  it('reads resources and gets prompts', async () => {
    expect((await client.readResource({ uri: 'test://template/7/data' })).contents).toMatchObject([{ uri: 'test://template/7/data' }]);
    expect((await client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } })).messages).toHaveLength(1);
  });
  it('is told what does not exist', async () => {
    await expect(client.callTool({ name: 'nope', arguments: {} })).rejects.toMatchObject({ code: -32602 });
    await expect(client.readResource({ uri: 'test://nope' })).rejects.toThrow('Resource not found');
  });
  it('is asked for input', async () => {
    const tool = era === '2026-07-28' ? 'test_input_required_result_elicitation' : 'test_elicitation';
    expect(JSON.stringify((await client.callTool({ name: tool, arguments: era === '2026-07-28' ? {} : { message: 'Who?' } })).content)).toContain('Ada');
  });
  it('completes', async () => {
    expect((await client.complete({ ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument: { name: 'arg1', value: 'x' } })).completion.values).toEqual([]);
  });
  it('hears that the tools changed', async () => {
    const heard = Promise.withResolvers<void>();
    client.setNotificationHandler('notifications/tools/list_changed', () => { heard.resolve(); });
    const subscription = era === '2026-07-28' ? await client.listen({ toolsListChanged: true }) : undefined;
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} });
    await heard.promise;
    await subscription?.close();
    expect((await client.listTools(undefined, { cacheMode: 'reload' } as never)).tools.some(({ name }) => /^test_simple_text_\d+$/.test(name))).toBe(true);
  });
});

describe('the v1 client', () => {
  let client: ClientV1;
  let transport: TransportV1;
  beforeAll(async () => {
    client = new ClientV1({ name: 'interop', version: '0' }, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { response: 'Ada' } }));
    transport = new TransportV1(new URL(server.url));
    await client.connect(transport);
  });
  afterAll(() => client.close());

  it('connects, lists, calls, reads and gets prompts', async () => {
    expect(transport.protocolVersion).toBe('2025-11-25');
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('test_simple_text');
    expect((await client.callTool({ name: 'test_simple_text', arguments: {} })).content).toEqual(SIMPLE);
    expect((await client.callTool({ name: 'stoa_platform_info', arguments: {} })).structuredContent).toBeTypeOf('object');
    expect((await client.readResource({ uri: 'test://static-text' })).contents).toHaveLength(1);
    expect((await client.getPrompt({ name: 'test_simple_prompt' })).messages).toHaveLength(1);
    expect(JSON.stringify(await client.callTool({ name: 'test_elicitation', arguments: { message: 'Who?' } }))).toContain('Ada');
    await client.subscribeResource({ uri: 'test://template/7/data' });
    await expect(client.subscribeResource({ uri: 'test://template//data' })).rejects.toMatchObject({ code: -32002 });
    await client.setLoggingLevel('warning');
    await client.ping();
  });
  it('hears that the tools changed', async () => {
    const heard = Promise.withResolvers<void>();
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => { heard.resolve(); });
    await client.callTool({ name: 'test_trigger_tool_change', arguments: {} });
    await expect(heard.promise).resolves.toBeUndefined();
  });
  it('ends its session', async () => {
    await transport.terminateSession();
    await expect(client.ping()).rejects.toThrow('Session');
  });
});

describe('the conformance profile', () => {
  it.each(['OIDC_ISSUER', 'KEYCLOAK_URL', 'JWKS_URL'])('does not start where %s is set', async (name) => {
    await expect(startConformanceServer({ [name]: 'https://issuer.test' })).rejects.toThrow(`Unset ${name}`);
  });
});
