import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { convertCommand } from '#apps/cli/src/convert.js';

const fixture = (name: string) => fileURLToPath(new URL(`../../../test/fixtures/openapi/${name}`, import.meta.url));
async function run(args: string[], stdin = '') {
  const out: string[] = [];
  const err: string[] = [];
  const code = await convertCommand(args, { out: (line) => out.push(line), err: (line) => err.push(line), stdin: () => new TextEncoder().encode(stdin), env: {} });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
interface Row { name: string; verdict: string; reasons: unknown[]; inputSchema: object; outputSchema: object | null }
interface Printed { document: object; operations: number; tools: Row[]; refused: object[] }
const document = JSON.stringify({
  openapi: '3.0.0', info: { title: 'T', version: '1' }, servers: [{ url: 'https://a.test' }],
  paths: { '/a': { get: { operationId: 'a', responses: {} }, post: { requestBody: { $ref: 'x.json' }, responses: {} } }, '/b/{c}': { get: { operationId: 'b', tags: ['t'], responses: {} } } },
});

describe('stoa convert', () => {
  it('prints exactly the promised JSON, with schemas that stand on their own', async () => {
    const { code, out } = await run([fixture('doqs.json'), '--json']);
    const printed = JSON.parse(out) as Printed;
    expect(code).toBe(0);
    expect(Object.keys(printed)).toEqual(['document', 'operations', 'tools', 'refused']);
    expect(printed.document).toMatchObject({ file: 'doqs.json', format: 'openapi-3.0' });
    expect(printed.tools).toHaveLength(printed.operations);
    for (const tool of printed.tools) {
      expect(Object.keys(tool)).toEqual(['name', 'method', 'path', 'operationId', 'verdict', 'reasons', 'inputSchema', 'outputSchema']);
      const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
      ajv.compile(tool.inputSchema);
      if (tool.outputSchema) ajv.compile(tool.outputSchema);
    }
  });

  it('prints refusals with reason and pointer', async () => {
    const { out } = await run(['-', '--json'], document);
    expect(JSON.parse(out)).toMatchObject({
      operations: 3, tools: [{ name: 'a', verdict: 'exact', reasons: [] }, { name: 'b', verdict: 'degraded', reasons: [{ code: 'path-parameter-undeclared', pointer: '/paths/~1b~1{c}' }] }],
      refused: [{ method: 'POST', path: '/a', reason: expect.stringMatching(/^remote-ref: /) as string, pointer: '/paths/~1a/post/requestBody/$ref' }],
    });
  });

  it('prints the same for people', async () => {
    const { out } = await run(['-', '--notes', '--prefix', 'x_', '--tag', 't'], document);
    expect(out).toMatch(/^T 1 \(openapi-3\.0\): 3 operations, 1 tools\n/);
    expect(out).toContain('x_b');
    expect(out).not.toContain('x_a');
    expect(out).toMatch(/1 exact, 1 degraded, 1 refused$/);
  });

  it('takes a URL, against which relative servers are resolved', async () => {
    const server = createServer((_request, response) => { response.end('{"openapi":"3.0.0","info":{},"servers":[{"url":"/v1"}],"paths":{"/a":{"get":{"responses":{}}}}}'); });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { code, out } = await run([`${url}/openapi.json`, '--notes']);
    server.close();
    expect(code).toBe(0);
    expect(out).not.toContain('no-server');
    expect((await run([`${url}/openapi.json`])).err).toMatch(/cannot be fetched/);
  });

  it.each([
    { name: 'no argument', args: [], code: 2, err: /needs one document/ },
    { name: 'no such file', args: ['/nowhere/x.json'], code: 1, err: /^stoa convert: .*\/nowhere\/x\.json/ },
    { name: 'not OpenAPI', args: [fixture('SOURCES.yaml')], code: 1, err: /^stoa convert: SOURCES\.yaml: not an OpenAPI document/ },
    { name: 'a prefix that is not legal', args: [fixture('urlbox.json'), '--prefix', 'A-'], code: 1, err: /naming\.prefix/ },
    { name: 'not valid when validation is asked for', args: ['-', '--validate'], stdin: '{"openapi":"3.0.0","paths":{}}', code: 1, err: /specification/ },
  ])('ends with $code for $name', async ({ args, code, err, stdin = '' }) => {
    const result = await run(args, stdin);
    expect(result.code).toBe(code);
    expect(result.err).toMatch(err);
    expect(result.out).toBe('');
  });
});
