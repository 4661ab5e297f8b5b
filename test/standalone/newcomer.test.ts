import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { built, freshHome, gone, type Product, refused, startProduct, stoa } from './product.js';

const { home, remove } = freshHome();
const seen: Pick<IncomingMessage, 'method' | 'url' | 'headers'>[] = [];
let backend: Server;
let product: Product;

beforeAll(async () => {
  built();
  backend = createServer((request, response) => {
    seen.push({ method: request.method, url: request.url, headers: request.headers });
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ greeting: 'hello' }));
  });
  await new Promise<void>((resolve) => { backend.listen(0, '127.0.0.1', resolve); });
  writeFileSync(join(home, 'greeter.yaml'), `openapi: 3.1.0
info: {title: Greeter, version: '1'}
servers: [{url: 'http://127.0.0.1:${(backend.address() as AddressInfo).port}/api'}]
paths:
  /greet/{name}:
    get:
      operationId: greet
      parameters:
        - {name: name, in: path, required: true, schema: {type: string}}
        - {name: loud, in: query, schema: {type: boolean}}
      responses: {'200': {description: A greeting., content: {application/json: {schema: {type: object, required: [greeting], properties: {greeting: {type: string}}}}}}}
  /broken:
    get:
      operationId: broken
      parameters: [{name: x, in: query, schema: {$ref: '#/components/schemas/Missing'}}]
      responses: {'200': {description: Never.}}
`);
  product = await startProduct(home);
}, 90_000);
afterAll(async () => {
  await product.stop('SIGKILL');
  await gone(product.url);
  backend.close();
  remove();
});

const firstText = (content: unknown): string => (content as { text: string }[])[0]?.text ?? '';
const server = (name: string): { url: string; headers: Record<string, string> } => (JSON.parse(readFileSync(join(home, 'client-config.json'), 'utf8')) as { mcpServers: Record<string, { url: string; headers: Record<string, string> }> }).mcpServers[name] ?? { url: '', headers: {} };

describe('what a newcomer does', { timeout: 60_000 }, () => {
  it('is told within ten lines where things are, the last of them for scripts', () => {
    const lines = product.output.slice(0, product.output.indexOf('Stoa is ready')).split('\n').filter((line) => !line.startsWith('{'));
    expect(lines.length).toBeLessThanOrEqual(10);
    for (const told of [`${product.url}/mcp`, `${product.url}/admin/v1/docs`, 'acme', 'globex', 'npx stoa call list_pets --tenant acme', 'client-config.json', 'loopback: allowed', 'destructive tools ask first']) expect(product.output).toContain(told);
  });

  it.runIf(process.platform === 'linux')('stays within 600 MiB, the first start included', () => {
    const [, peakKiB] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${product.productPid}/status`, 'utf8')) ?? [];
    expect(Number(peakKiB) / 1024).toBeLessThanOrEqual(600);
  });

  it('gets a bearer token, and nothing else', async () => {
    const { code, stdout, stderr } = await stoa(home, ['token', '--tenant', 'acme', '--role', 'tenant-admin']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  });

  it('calls a demo tool with the line that the start printed', async () => {
    const { code, stdout } = await stoa(home, ['call', 'list_pets', '--tenant', 'acme', '--arg', 'status=available']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ total: 3 });
  });

  it('imports a document and sees the tools made and what is not exact, then calls one and reaches the backend', async () => {
    const { code, stdout } = await stoa(home, ['import', join(home, 'greeter.yaml'), '--tenant', 'acme']);
    expect(code).toBe(0);
    expect(stdout).toContain('GET    /greet/{name}');
    expect(stdout).toMatch(/2 operations: 1 exact, \d degraded, \d refused/);
    expect(stdout).toMatch(/(degraded|refused): GET \/broken\n\s+\/paths\/~1broken/);

    const call = await stoa(home, ['call', 'greet', '--tenant', 'acme', '--arg', 'name=Ada Lovelace', '--arg', 'loud=true']);
    expect({ ...call, stdout: JSON.parse(call.stdout) as unknown }).toEqual({ code: 0, stderr: '', stdout: { greeting: 'hello' } });
    expect(seen.at(-1)).toMatchObject({ method: 'GET', url: '/api/greet/Ada%20Lovelace?loud=true' });
    expect(seen.at(-1)?.headers.authorization).toBeUndefined();
  });

  it('imports from standard input, and is refused with the file\'s name when it is no document', async () => {
    const piped = await stoa(home, ['import', '-', '--tenant', 'globex'], readFileSync(join(home, 'greeter.yaml'), 'utf8'));
    expect(piped.stdout).toMatch(/^greeter: \d tools in tenant globex/);
    const { code, stdout, stderr } = await stoa(home, ['import', join(home, 'cli.json'), '--tenant', 'acme']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^stoa: .*cli\.json: .+\n$/);
  });

  it.each([
    { name: 'an unknown command', args: ['frobnicate'], code: 2, says: 'there is no command frobnicate' },
    { name: 'a missing tenant', args: ['call', 'list_pets'], code: 2, says: '--tenant is missing' },
    { name: 'an unknown option', args: ['call', 'x', '--tennant', 'acme'], code: 2, says: '--tennant' },
    { name: 'a tool that is not there', args: ['call', 'nothing', '--tenant', 'acme'], code: 1, says: 'Tool not found: nothing' },
    { name: 'a tenant that is not there', args: ['tools', '--tenant', 'nobody'], code: 1, says: 'tenant' },
    { name: 'arguments that do not fit', args: ['call', 'get_pet', '--tenant', 'acme', '--arg', 'petId=x'], code: 1, says: 'petId' },
    { name: 'a file that is not there', args: ['import', '/nonexistent.yaml', '--tenant', 'acme'], code: 1, says: 'no such file' },
  ])('is told in words what is wrong with $name', async ({ args, code, says }) => {
    const done = await stoa(home, args);
    expect(done.code).toBe(code);
    expect(done.stderr).toContain(says);
    expect(done.stderr).not.toContain('    at ');
  });

  it('connects an MCP client of either era with the ready configuration', async () => {
    const { url, headers } = server('stoa-acme');
    const modern = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await modern.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    expect((await modern.listTools()).tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['list_pets', 'place_order']));
    expect(firstText((await modern.callTool({ name: 'get_pet', arguments: { petId: 2 } })).content)).toContain('Mina');
    await modern.close();

    const legacy = new LegacyClient({ name: 'test', version: '1' });
    await legacy.connect(new LegacyTransport(new URL(url), { requestInit: { headers } }));
    expect(firstText((await legacy.callTool({ name: 'get_pet', arguments: { petId: 2 } })).content)).toContain('Mina');
    await legacy.close();
  });

  it('keeps what others must not read to itself', async () => {
    for (const file of ['cli.json', 'client-config.json']) expect(statSync(join(home, file)).mode & 0o777).toBe(0o600);
    const { clientSecret } = JSON.parse(readFileSync(join(home, 'cli.json'), 'utf8')) as { clientSecret: string };
    const token = server('stoa-acme').headers['Authorization']?.slice('Bearer '.length) ?? '';
    expect(token.length).toBeGreaterThan(100);
    for (const secret of [clientSecret, token]) expect(product.output).not.toContain(secret);
    const anonymous = await fetch(`${product.url}/admin/v1/tenants`);
    expect(anonymous.status).toBe(401);
  });

  it('finds everything as it was after kill -9 and a restart, with the token of before', async () => {
    const order = await stoa(home, ['call', 'place_order', '--tenant', 'acme', '--arg', 'body.petId=3', '--arg', 'body.customer=Ada']);
    expect(order.code).toBe(0);
    const { headers } = server('stoa-acme');
    const revisions = (await stoa(home, ['tenants'])).stdout;
    process.kill(product.productPid, 'SIGKILL');
    expect(await product.stop('SIGCONT')).toBe(137);
    product = await startProduct(home, { STOA_PORT: new URL(product.url).port });

    expect((await stoa(home, ['call', 'list_orders', '--tenant', 'acme'])).stdout).toContain('"customer":"Ada"');
    expect((await stoa(home, ['call', 'greet', '--tenant', 'acme', '--arg', 'name=Ada'])).stdout).toContain('hello');
    // The demo documents have not changed: importing them again would have raised the revisions.
    expect((await stoa(home, ['tenants'])).stdout).toBe(revisions);
    expect((await fetch(`${product.url}/mcp/v1/tools`, { headers })).status).toBe(200);
  });

  it('is refused a folder that another process owns, and a port that is taken, in one line', async () => {
    const folder = await refused({ STOA_HOME: home, STOA_PORT: '0' });
    expect({ code: folder.code, stdout: folder.stdout }).toEqual({ code: 1, stdout: '' });
    expect(folder.stderr).toMatch(new RegExp(`^stoa: The data folder .* in use by process ${product.productPid}: .+\n$`));
    const { port } = new URL(product.url);
    const busy = await refused({ STOA_HOME: join(home, 'other'), STOA_PORT: port });
    expect({ code: busy.code, stdout: busy.stdout }).toEqual({ code: 1, stdout: '' });
    expect(busy.stderr).toMatch(new RegExp(`^stoa: Port ${port} of 127.0.0.1 is in use: .*STOA_PORT.*\n$`));
  });

  it('stops at SIGTERM with exit code 0, and gives port and folder back', async () => {
    expect(await product.stop('SIGTERM')).toBe(0);
    await gone(product.url);
    product = await startProduct(home, { STOA_DEMO: 'false' });
    expect(product.output).not.toContain('list_pets');
  });

  it('stops when the script that started it dies, however it dies', async () => {
    await product.stop('SIGKILL');
    expect(await gone(product.url)).toBe(true);
  });
});
