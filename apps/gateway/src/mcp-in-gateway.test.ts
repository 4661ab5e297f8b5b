import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Listener, modern } from '../../../test/conformance/raw-client.js';
import { as, type FakeGateway, fakeGateway, fakeTarget } from '../../../test/fake-gateway.js';
import { createGateway } from './create-gateway.js';
import { drain } from './drain.js';

let app: NestFastifyApplication;
let fake: FakeGateway;
let url: string;
beforeEach(async () => {
  fake = fakeGateway({ mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 7) } });
  app = await createGateway(fake.parts);
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet')]);
  fake.catalogue.put('globex', [fakeTarget('globex', 'tool', 'secretTool')]);
  await app.listen(0, '127.0.0.1');
  url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/mcp`;
});
afterEach(() => app.close());
const viewer = as('acme-viewer');

it('the MCP door stands behind the same authentication, lists the same things and runs the same line as REST', async () => {
  expect((await modern(url, 'tools/list')).status).toBe(401);
  const { json } = await modern(url, 'tools/list', {}, viewer);
  const names = (json.result as { tools: { name: string }[] }).tools.map(({ name }) => name);
  expect(names).toEqual(['stoa_platform_info', 'stoa_platform_health', 'stoa_tools', 'stoa_catalog', 'stoa_api_spec', 'getPet']);
  const rest = await app.inject({ url: '/mcp/v1/tools', headers: viewer });
  expect(rest.json<{ tools: { name: string }[] }>().tools.map(({ name }) => name)).toEqual(names);
  for (const name of names) expect((await modern(url, 'tools/list', {}, as('globex-viewer'))).text.includes(`"${name}"`)).toBe(name !== 'getPet');
});

it('a call over MCP is counted and logged once, under the id of its answer', async () => {
  const reply = await modern(url, 'tools/call', { name: 'getPet', arguments: {} }, { ...viewer, 'x-request-id': 'over-mcp' });
  expect([reply.status, reply.headers.get('x-request-id'), reply.headers.get('x-content-type-options')]).toEqual([200, 'over-mcp', 'nosniff']);
  const metrics = (await app.inject('/metrics')).body;
  expect(metrics).toContain('mcp_tool_invocations_total{tool_name="getPet",status="success"} 1');
  expect(metrics).toContain('http_requests_total{method="POST",endpoint="/mcp",status_code="200"} 1');
  await expect.poll(() => fake.logs().filter((line) => line['request_id'] === 'over-mcp' && line['level'] === 'info')).toEqual([expect.objectContaining({ msg: 'call', door: 'mcp', tenant: 'acme', name: 'getPet', status: 'success' })]);
});

it('a deprecated name works over MCP and warns in _meta', async () => {
  const { json } = await modern(url, 'tools/call', { name: 'stoa_list_tools', arguments: {} }, viewer);
  expect(json.result).toMatchObject({ _meta: { _deprecation_warning: { use_instead: 'stoa_tools' } } });
});

it('a drain ends open event streams instead of cutting them', async () => {
  const listener = await Listener.modern(url, { toolsListChanged: true }, viewer);
  await listener.message();
  const drained = drain(app, fake.parts.lifecycle, { seconds: 10, delaySeconds: 0 });
  while (await listener.next() !== undefined) { /* to its end */ }
  expect(await drained).toEqual({ cut: false });
});
