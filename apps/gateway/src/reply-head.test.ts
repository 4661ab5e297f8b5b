import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { modern } from '../../../test/conformance/raw-client.js';
import { as, type FakeGateway, fakeGateway, fakeTarget } from '../../../test/fake-gateway.js';
import { createGateway } from './create-gateway.js';

let app: NestFastifyApplication;
let fake: FakeGateway;
let url: string;
beforeEach(async () => {
  fake = fakeGateway({
    mcp: { allowedOrigins: ['https://console.test'], cursorKey: Buffer.alloc(32, 7) },
    cors: { origins: ['https://console.test'], methods: ['POST'], allowHeaders: ['authorization'], exposeHeaders: ['mcp-session-id'], maxAge: 60 },
  });
  app = await createGateway(fake.parts);
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet')]);
  await app.listen(0, '127.0.0.1');
  url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}/mcp`;
});
afterEach(() => app.close());

const fixed = { 'x-request-id': 'r-1', 'x-content-type-options': 'nosniff', 'content-security-policy': "default-src 'none'; frame-ancestors 'none'", 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' };
const cors = { vary: 'Origin', 'access-control-allow-origin': 'https://console.test', 'access-control-expose-headers': 'mcp-session-id' };
const asked = { 'x-request-id': 'r-1', origin: 'https://console.test' };
const headersOf = (reply: { readonly headers: Headers }): Record<string, string> => Object.fromEntries(reply.headers);

it('an answer that the hot route writes itself has every header that a hook gave it, and the length of its bytes', async () => {
  const reply = await modern(url, 'tools/call', { name: 'getPet', arguments: {} }, { ...as('acme-viewer'), ...asked });
  expect(reply.status).toBe(200);
  expect(headersOf(reply)).toMatchObject({ ...fixed, ...cors, 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(reply.text)) });
});
it.each([
  { name: 'no token', method: 'tools/list', more: {}, status: 401 },
  { name: 'an unknown method', method: 'tools/nothing', more: as('acme-viewer'), status: 404 },
])('a refusal has them too, whoever writes it, and the id in its body: $name', async ({ method, more, status }) => {
  const reply = await modern(url, method, {}, { ...more, ...asked });
  expect(reply.status).toBe(status);
  expect(headersOf(reply)).toMatchObject({ ...fixed, ...cors });
  expect(JSON.stringify(reply.json)).toContain('"correlation_id":"r-1"');
});
it('a list is the prepared page byte for byte, also where it is not ASCII', async () => {
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'getPet', { listed: '{"name":"getPet","description":"Größe – 尺寸 🐾","inputSchema":{"type":"object"}}' })]);
  const reply = await modern(url, 'tools/list', {}, { ...as('acme-viewer'), ...asked });
  expect(reply.text).toContain('Größe – 尺寸 🐾');
  expect(headersOf(reply)).toMatchObject({ ...fixed, 'content-length': String(Buffer.byteLength(reply.text)) });
});
it('the connection is closed after an answer while the process drains', async () => {
  fake.parts.lifecycle.beginDrain();
  const reply = await modern(url, 'tools/call', { name: 'getPet', arguments: {} }, { ...as('acme-viewer'), ...asked });
  expect([reply.status, reply.headers.get('connection')]).toEqual([200, 'close']);
});
