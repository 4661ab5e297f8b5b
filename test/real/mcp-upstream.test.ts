import { join } from 'node:path';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importCommand } from '#apps/cli/src/import.js';
import { StandaloneConfig } from '#apps/standalone/src/config.js';
import { writeHandover } from '#apps/standalone/src/handover.js';
import { type Standalone, startStandalone } from '#apps/standalone/src/start.js';
import { readConfig } from '#libs/configuration/read-config.js';
import { freshHome } from '../standalone/product.js';
import { EVERYTHING, type Everything, startEverything } from './services/everything.js';

const { home, remove } = freshHome();
const TOKEN = { authorization: 'Bearer demo-token' };
let product: Standalone;
let http: Everything;
let sse: Everything;
const environment = {
  STOA_HOME: join(home, 'data'), STOA_PORT: '0', LOG_LEVEL: 'silent', DRAIN_SECONDS: '1', DEBUG: 'true', STATIC_TOKENS: 'demo-agent@acme:tenant-admin=demo-token',
  MCP_SERVERS: JSON.stringify({ mcpServers: { everything: { command: process.execPath, args: [EVERYTHING, 'stdio'], env: { GREETING: 'from the list' } } } }),
};
beforeAll(async () => {
  [product, http, sse] = await Promise.all([startStandalone(readConfig(StandaloneConfig, environment), environment), startEverything('streamableHttp'), startEverything('sse')]);
  await writeHandover(environment.STOA_HOME, product);
});
afterAll(async () => { await product.stop(); await Promise.all([http.stop(), sse.stop()]); remove(); });

async function imported(...args: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const code = await importCommand([...args, '--tenant', 'acme'], { out: (line) => { lines.push(line); }, err: (line) => { lines.push(line); }, stdin: () => new Uint8Array(), env: { STOA_HOME: environment.STOA_HOME } });
  return `${code}\n${lines.join('\n')}`;
}
/** A client of the 2025 revisions that can be asked. */
async function legacyClient(): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { sampling: {}, elicitation: {} } });
  client.setRequestHandler(CreateMessageRequestSchema, () => ({ model: 'm', role: 'assistant' as const, content: { type: 'text' as const, text: 'sampled here' } }));
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { name: 'Ada', check: true } }));
  await client.connect(new StreamableHTTPClientTransport(new URL(`${product.url}/mcp`), { requestInit: { headers: TOKEN } }));
  return client;
}
const textOf = (result: unknown): string => (result as { content: { text?: string }[] }).content.map(({ text }) => text ?? '').join('|');

describe.each([
  { way: 'Streamable HTTP', name: 'http', args: () => ['--mcp', http.url], mark: 'h_' },
  { way: 'HTTP+SSE', name: 'sse', args: () => ['--mcp', sse.url], mark: 's_' },
  { way: 'stdio', name: 'stdio', args: () => ['--stdio', 'everything'], mark: 'p_' },
])('the everything server over $way', ({ name, args, mark }) => {
  it('is imported by one command, and called by clients of each era and by REST', async () => {
    const said = await imported(...args(), '--name', name, '--prefix', mark);
    expect(said).toMatch(/^0\n/);
    expect(said).toContain(`${mark}get-sum`);

    const modern = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    await modern.connect(new ModernTransport(new URL(`${product.url}/mcp`), { requestInit: { headers: TOKEN } }));
    // A publication reaches the data plane in a moment.
    await expect.poll(async () => (await modern.listTools({}, { cacheMode: 'refresh' })).tools.filter((tool) => tool.name.startsWith(mark)).length, { timeout: 5000 }).toBeGreaterThan(8);
    expect(textOf(await modern.callTool({ name: `${mark}get-sum`, arguments: { a: 2, b: 40 } }))).toContain('42');
    expect((await modern.callTool({ name: `${mark}get-structured-content`, arguments: { location: 'New York' } })).structuredContent).toHaveProperty('temperature');
    expect((await modern.getPrompt({ name: `${mark}args-prompt`, arguments: { city: 'Köln' } })).messages[0]).toMatchObject({ content: { text: expect.stringContaining('Köln') as unknown } });
    const { resources } = await modern.listResources();
    const document = resources.find(({ uri }) => uri.startsWith('demo://resource/static'));
    expect((await modern.readResource({ uri: document?.uri ?? '' })).contents[0]?.uri).toBe(document?.uri);
    expect((await modern.readResource({ uri: 'demo://resource/dynamic/text/7' })).contents[0]).toMatchObject({ text: expect.stringContaining('Resource 7') as unknown });
    expect((await modern.complete({ ref: { type: 'ref/prompt', name: `${mark}completable-prompt` }, argument: { name: 'department', value: 'S' } })).completion.values).toEqual(['Sales', 'Support']);
    await modern.close();

    const legacy = await legacyClient();
    const progress: number[] = [];
    expect(textOf(await legacy.callTool({ name: `${mark}trigger-long-running-operation`, arguments: { duration: 0.4, steps: 4 } }, undefined, { onprogress: (at) => { progress.push(at.progress); } }))).toContain('completed');
    expect(progress.length).toBeGreaterThan(1);
    await legacy.close();

    const rest = await fetch(`${product.url}/mcp/v1/tools/${mark}echo/invoke`, { method: 'POST', headers: { ...TOKEN, 'content-type': 'application/json' }, body: JSON.stringify({ arguments: { message: 'grüß dich' } }) });
    expect(await rest.json()).toMatchObject({ result: { content: [{ text: expect.stringContaining('grüß dich') as unknown }] } });
  }, 60_000);
});

it('asks the caller in the middle of its call, and shows a process nothing of the gateway\'s environment', async () => {
  const legacy = await legacyClient();
  for (const mark of ['h_', 'p_', 's_']) expect(textOf(await legacy.callTool({ name: `${mark}trigger-sampling-request`, arguments: { prompt: 'hello', maxTokens: 10 } }))).toContain('sampled here');
  const env = JSON.parse(textOf(await legacy.callTool({ name: 'p_get-env', arguments: {} }))) as Record<string, string>;
  expect(Object.keys(env).toSorted()).toEqual(['GREETING', 'PATH']);
  await legacy.close();
});

it('a server that is gone makes its own calls fail, by name, and no list and no other server', async () => {
  await http.stop();
  const legacy = await legacyClient();
  expect((await legacy.listTools()).tools.length).toBeGreaterThan(20);
  expect(await legacy.callTool({ name: 'h_echo', arguments: { message: 'x' } })).toMatchObject({ isError: true });
  expect(textOf(await legacy.callTool({ name: 'p_echo', arguments: { message: 'still here' } }))).toContain('still here');
  await legacy.close();
  http = await startEverything('streamableHttp');
});
