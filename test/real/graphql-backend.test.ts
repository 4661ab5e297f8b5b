import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConvertedTool } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress } from '#libs/egress/egress.js';
import { GraphqlAdmission } from '#libs/backends/graphql/graphql-admission.js';
import { GraphqlBackend } from '#libs/backends/graphql/graphql-backend.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { callOf } from './call-of.js';
import { type PythonServer, startPython } from './services/python.js';

const context = { tenant: 'acme' as TenantSlug, credentials: {} };

describe('a GraphQL server that is not ours', () => {
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const validator = createArgumentValidator();
  const backend = new GraphqlBackend({ outbound: egress, version: '1', credentials: { resolve: () => 'none' }, checkOutput: (target, value) => validator.checkOutput(target, value) });
  let server: PythonServer;
  let tools: ReadonlyMap<string, ConvertedTool>;
  let definitions = {};
  beforeAll(async () => {
    server = await startPython('graphql_server.py');
    const admission = new GraphqlAdmission({ outbound: egress, version: '1' });
    const connection = { url: `http://127.0.0.1:${server.port}/` };
    const { bytes } = await admission.describe(connection, context);
    const made = await admission.convert(bytes, { connection });
    definitions = made.definitions;
    tools = new Map(made.tools.map((tool) => [tool.name, tool]));
  });
  afterAll(async () => { await egress.close(); await server.stop(); });

  async function call(name: string, args: Readonly<Record<string, unknown>>): Promise<{ readonly isError: boolean; readonly text: string }> {
    const made = callOf(tools.get(name), definitions, args);
    const verdict = validator.validate(made.target, args);
    if (!('input' in verdict)) return { isError: true, text: JSON.stringify(verdict.issues) };
    const answer = await backend.invoke(made);
    if (answer instanceof Denial || answer.result.type !== 'tool') throw new Error('no answer');
    return { isError: answer.result.isError, text: answer.result.structuredJson ?? (answer.result.content[0] as { readonly text: string }).text };
  }

  it('introspects into a tool for each field', () => {
    expect([...tools.keys()]).toEqual(['pet', 'pets', 'things', 'node', 'broken', 'echo', 'addpet', 'deletepet']);
  });
  it('answers queries, lists, unions, interfaces and mutations with what their output schemas say', async () => {
    expect(JSON.parse((await call('pet', { id: '1' })).text)).toMatchObject({ pet: { id: '1', name: 'Pet 1', size: 'M', owner: { name: 'Ada 🐕' } } });
    expect((await call('pet', { id: '1' })).text).toContain('9007199254740994');
    expect(JSON.parse((await call('pet', { id: 'none' })).text)).toEqual({ pet: null });
    expect(JSON.parse((await call('pets', { filter: { sizes: ['L'] } })).text)).toMatchObject({ pets: [{ id: '2', size: 'L' }] });
    expect(JSON.parse((await call('things', {})).text)).toMatchObject({ things: [{ __typename: 'Pet' }, { __typename: 'Toy', label: null }] });
    expect(JSON.parse((await call('node', { id: 'o1' })).text)).toMatchObject({ node: { __typename: 'Owner', id: 'o1' } });
    expect(JSON.parse((await call('addpet', { name: '"}) { id } } #', size: 'S' })).text)).toMatchObject({ addPet: { name: '"}) { id } } #' } });
    expect(JSON.parse((await call('deletepet', { id: '4' })).text)).toEqual({ deletePet: true });
  });
  it('tells the server\'s own errors, and refuses what the schema refuses before asking', async () => {
    expect(await call('broken', {})).toMatchObject({ isError: true, text: expect.stringContaining('the shelf is away') as unknown });
    expect(await call('pets', { filter: { sizes: ['XL'] } })).toMatchObject({ isError: true, text: expect.stringContaining('/filter/sizes/0') as unknown });
  });
  it('without introspection is refused with the way out', async () => {
    const closed = await startPython('graphql_server.py', '--no-introspection');
    const admission = new GraphqlAdmission({ outbound: egress, version: '1' });
    await expect(admission.describe({ url: `http://127.0.0.1:${closed.port}/` }, context)).rejects.toMatchObject({ code: 'introspection-disabled' });
    await closed.stop();
  });
});
