import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DoorApp, startDoor } from '../../../../test/conformance/door-app.js';

let app: DoorApp;
beforeAll(async () => { app = await startDoor(); });
afterAll(() => app.close());

const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 't', version: '0' }, 'io.modelcontextprotocol/clientCapabilities': {} };
const post = (method: string, params: Record<string, unknown> = {}, headers: Record<string, string> = {}): Promise<Response> => fetch(app.url, {
  method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta: META, ...params } }),
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}), ...headers },
});

describe('POST /mcp of 2026-07-28', () => {
  it('lists tools', async () => {
    const reply = await post('tools/list');
    expect(reply.status).toBe(200);
    const { result } = await reply.json() as { result: { tools: { name: string }[]; resultType: string; ttlMs: number; cacheScope: string } };
    expect(result).toMatchObject({ resultType: 'complete', cacheScope: 'private', ttlMs: 60_000 });
    expect(result.tools.map(({ name }) => name)).toContain('test_simple_text');
  });
  it('calls a tool', async () => {
    const reply = await post('tools/call', { name: 'test_simple_text', arguments: {} });
    expect(await reply.json()).toEqual({ jsonrpc: '2.0', id: 1, result: { content: [{ type: 'text', text: 'This is a simple text response for testing.' }], resultType: 'complete', _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'stoa', version: '0' } } } });
  });
});
