import { describe, expect, it } from 'vitest';
import type { Io } from './io.js';
import { requestCommand } from './request.js';

const DOCUMENT = JSON.stringify({
  openapi: '3.0.3', info: { title: 'Pets', version: '1' }, servers: [{ url: '/v1' }],
  paths: {
    '/pets/{id}': {
      put: {
        operationId: 'putPet',
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }, { name: 'dry', in: 'query', schema: { type: 'boolean' } }, { name: 'X-Tag', in: 'header', schema: { type: 'string' } }],
        requestBody: { required: true, content: { 'application/json': { schema: { type: 'object', properties: { n: { type: 'integer' } } } } } },
        responses: { 200: { description: 'ok' } },
      },
    },
  },
});
async function run(...args: string[]): Promise<unknown> {
  const lines: string[] = [];
  const io: Io = { out: (line) => { lines.push(line); }, err: () => undefined, stdin: () => Buffer.from(DOCUMENT), env: {} };
  expect(await requestCommand(['-', ...args], io)).toBe(0);
  return JSON.parse(lines.join('\n'));
}

describe('stoa request', () => {
  it('prints the request of a call as one line of JSON', async () => {
    expect(await run('putpet', '--base-url', 'http://127.0.0.1:9/api/', '--arguments', '{"id":"a/b c","dry":false,"X-Tag":"t","body":{"n":0}}')).toEqual({
      method: 'PUT', url: 'http://127.0.0.1:9/api/pets/a%2Fb%20c?dry=false', headers: [['accept', expect.any(String)], ['X-Tag', 't'], ['content-type', 'application/json']], bodyBase64: Buffer.from('{"n":0}').toString('base64'),
    });
  });

  it.each([
    { name: 'arguments that do not fit', args: ['putpet', '--base-url', 'http://x', '--arguments', '{"id":5}'], message: '/id must be string' },
    { name: 'arguments that are not JSON', args: ['putpet', '--arguments', '{'], message: '--arguments is not JSON' },
    { name: 'a value that would leave its path', args: ['putpet', '--base-url', 'http://x', '--arguments', '{"id":"..","body":{}}'], message: '/id has a dot segment' },
    { name: 'a tool that is not there', args: ['nope'], message: 'no tool nope' },
    { name: 'a document without a server', args: ['putpet', '--arguments', '{"id":"1","body":{}}'], message: '--base-url' },
    { name: 'no tool', args: [], message: 'needs a document and a tool name' },
  ])('refuses $name', async ({ args, message }) => { await expect(run(...args)).rejects.toThrow(message); });
});
