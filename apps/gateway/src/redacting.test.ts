import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from 'vitest';
import type { BackendAnswer, Ending, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import { RedactionModule } from '#libs/redaction/redaction.module.js';
import { as, type FakeGateway, fakeGateway, fakeTarget } from '../../../test/fake-gateway.js';
import { createGateway } from './create-gateway.js';
import type { GatewayParts } from './parts.js';

let app: NestFastifyApplication;
let fake: FakeGateway;
afterEach(() => app.close());

const MAIL = 'ada.lovelace@example.com';
const answers = (result: Partial<Extract<BackendAnswer['result'], { type: 'tool' }>>): BackendAnswer => ({ result: { type: 'tool', content: [], isError: false, ...result }, outcome: 'success', latencyMs: 1, bytes: 1 });
async function start(answer: (call: ValidatedCall) => Promise<BackendAnswer | Denial>, more: Partial<GatewayParts> = {}): Promise<void> {
  fake = fakeGateway({ redactor: undefined, mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1) }, ...more }, answer);
  app = await createGateway(fake.parts, RedactionModule.with({ budgetMs: 1000 }));
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'get_pet'), fakeTarget('acme', 'resource', 'acme://note', { backend: { kind: 'inline', mimeType: 'text/plain', text: MAIL } }),
    fakeTarget('acme', 'prompt', 'greet', { backend: { kind: 'prompt', messages: [{ role: 'user', text: `Write to ${MAIL}` }] } })]);
}
const META = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {}, 'io.modelcontextprotocol/logLevel': 'debug', progressToken: 'p' };
const mcp = (method: string, params: Record<string, unknown>) => app.inject({
  method: 'POST', url: '/mcp', payload: { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } },
  headers: { ...as('acme-viewer'), accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': method, 'mcp-name': String(params['name'] ?? params['uri']) },
});
const rest = (args: object = {}) => app.inject({ method: 'POST', url: '/mcp/v1/tools/get_pet/invoke', headers: as('acme-viewer'), payload: { arguments: args } });
const call = (args: object = {}) => mcp('tools/call', { name: 'get_pet', arguments: args });

describe('an address of a person', () => {
  it('leaves as [redacted-email] at every door, in structure and text, and the log tells the count alone', async () => {
    const json = JSON.stringify({ owner: MAIL });
    await start(async () => answers({ content: [{ type: 'text', text: json }], structuredJson: json }));
    for (const reply of [await rest(), await call()]) {
      expect(reply.statusCode).toBe(200);
      expect(reply.body).toContain('[redacted-email]');
      expect(reply.body).not.toContain(MAIL);
    }
    expect(fake.logs().filter(({ msg, message }) => [msg, message].includes('redacted')).map((line) => line['redacted'])).toEqual([{ email: 1 }, { email: 1 }]);
    expect(fake.rawLogs()).not.toContain(MAIL);
  });
  it('leaves no resource and no prompt', async () => {
    await start(async () => answers({}));
    for (const reply of [await mcp('resources/read', { uri: 'acme://note' }), await mcp('prompts/get', { name: 'greet', arguments: {} })]) {
      expect(reply.body).toContain('[redacted-email]');
      expect(reply.body).not.toContain(MAIL);
    }
  });
  it('is in no error, whether the backend or the gateway words it, nor in the log of it', async () => {
    await start(async () => new Denial({ code: 'BACKEND_ERROR', message: `no account ${MAIL}`, reason: `row of ${MAIL}` }));
    for (const reply of [await rest(), await call()]) { expect(reply.body).toContain('no account [redacted-email]'); expect(reply.body).not.toContain(MAIL); }
    expect(fake.rawLogs()).not.toContain(MAIL);
  });
  it('is in no record and no log line where it was written for the name of a tool or the address of a resource', async () => {
    const settled: Ending[] = [];
    await start(async () => answers({}), { meter: { intent: () => 'call-1', settle: (ending) => { settled.push(ending); } } });
    await app.inject({ method: 'POST', url: `/mcp/v1/tools/${encodeURIComponent(MAIL)}/invoke`, headers: as('acme-viewer'), payload: { arguments: {} } });
    await mcp('tools/call', { name: MAIL, arguments: {} });
    await mcp('resources/read', { uri: `acme://note/${MAIL}` });
    expect(settled.map(({ reached }) => reached.name)).toEqual(['[redacted-email]', '[redacted-email]', expect.stringContaining('[redacted-email]')]);
    expect(fake.rawLogs()).not.toContain(MAIL);
  });
  it('is in no progress and no log message', async () => {
    await start(async ({ exchange }) => { exchange.progress?.(1, 2, `at ${MAIL}`); exchange.log?.('info', { who: [MAIL] }); return answers({}); });
    const { body } = await call();
    expect(body.match(/\[redacted-email\]/g)).toHaveLength(2);
    expect(body).not.toContain(MAIL);
  });
  it('reaches the backend that needs it, unless requests are redacted too', async () => {
    await start(async () => answers({}));
    await rest({ id: MAIL });
    expect(fake.calls.at(-1)?.input).toEqual({ id: MAIL });
    await app.close();
    await start(async () => answers({}), { redactRequests: true });
    await rest({ id: MAIL });
    expect(fake.calls.at(-1)?.input).toEqual({ id: '[redacted-email]' });
  });
});

it('a redactor that fails turns the call into an error without a byte of the answer', async () => {
  fake = fakeGateway({ redactor: { redact: () => { throw new Error(`cannot ${MAIL}`); }, redactText: () => { throw new Error('broken'); } }, mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 1) } }, async () => answers({ content: [{ type: 'text', text: MAIL }] }));
  app = await createGateway(fake.parts);
  fake.catalogue.put('acme', [fakeTarget('acme', 'tool', 'get_pet')]);
  const reply = await rest();
  expect(reply.statusCode).toBe(500);
  expect(reply.body + (await call()).body).not.toContain(MAIL);
});
