import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { buildSchema, execute, getIntrospectionQuery, graphqlSync, parse, validate } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdmissionError } from '#libs/core/admission.js';
import type { ValidatedCall } from '#libs/core/call.js';
import type { ConvertedTool } from '#libs/core/conversion.js';
import type { Denial } from '#libs/core/errors.js';
import type { GraphqlBinding } from '#libs/core/graphql-binding.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress } from '#libs/egress/egress.js';
import { convertGraphql } from '#libs/backends/graphql/convert-graphql.js';
import { GraphqlAdmission } from '#libs/backends/graphql/graphql-admission.js';
import { GraphqlBackend } from '#libs/backends/graphql/graphql-backend.js';
import { memberText } from '#libs/backends/http/member-text.js';

const SDL = `
  "A shop." schema { query: Query mutation: Mutation subscription: Subscription }
  directive @stoa(select: String, hide: Boolean, class: String) on FIELD_DEFINITION
  scalar Money  scalar DateTime
  enum Size { S M L }
  input Page { first: Int = 10, after: String }
  input Filter { name: String, sizes: [Size!], and: [Filter!], page: Page }
  interface Node { id: ID! }
  type Owner implements Node { id: ID! name: String pets(first: Int): [Pet!]! best: Pet }
  type Pet implements Node { id: ID! name: String! born: DateTime price: Money owner: Owner tags: [String!]! photo(width: Int!): String old: String @deprecated }
  type Toy implements Node { id: ID! size: Size! price: Float }
  union Thing = Pet | Toy
  type PetEdge { node: Pet cursor: String! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type PetConnection { edges: [PetEdge!]! pageInfo: PageInfo! totalCount: Int! }
  type Empty { of(x: Int!): Int }
  type Query {
    "One pet." pet(id: ID!): Pet
    pets(filter: Filter, first: Int, after: String): PetConnection!
    node(id: ID!): Node
    things: [Thing!]!
    count: Int!
    large: Money
    fails: Pet
    nothing: Empty
    internal: Int @stoa(hide: true)
    chosen(id: ID!): Pet @stoa(select: "label: name owner { pets(first: 1) { id } }")
  }
  type Mutation { addPet(name: String!, size: Size): Pet! deletePet(id: ID!): Boolean! archive(id: ID!): Boolean! @stoa(class: "destructive") }
  type Subscription { petAdded: Pet }
`;
const schema = buildSchema(SDL);
const document = convertGraphql(Buffer.from(SDL), { baseUrl: 'http://127.0.0.1/graphql', fileName: 'shop.graphql' });
const tool = (name: string): ConvertedTool => {
  const found = document.tools.find((one) => one.operationId === name);
  if (!found) throw new Error(`no tool ${name}`);
  return found;
};
const bindingOf = (name: string): GraphqlBinding => tool(name).backend as GraphqlBinding;

const answering = (response: ServerResponse) => (value: unknown, status = 200): void => { response.writeHead(status, { 'content-type': 'application/json' }).end(typeof value === 'string' ? value : JSON.stringify(value)); };

describe('a GraphQL schema becomes tools', () => {
  it('one for each query and mutation field, every root field with a verdict', () => {
    expect(document.tools.map(({ name }) => name)).toEqual(['pet', 'pets', 'node', 'things', 'count', 'large', 'fails', 'chosen', 'addpet', 'deletepet', 'archive']);
    expect(document.ledger).toHaveLength(14);
    expect(Object.fromEntries(document.ledger.filter(({ verdict }) => verdict === 'refused').map(({ path, reasons }) => [path, reasons[0]?.code])))
      .toEqual({ 'Query.nothing': 'nothing-to-select', 'Query.internal': 'hidden', 'Subscription.petAdded': 'subscription' });
  });
  it('whose documents are valid, fixed, and take variables only', () => {
    for (const { backend } of document.tools) {
      const { document: text } = backend as GraphqlBinding;
      expect(validate(schema, parse(text))).toEqual([]);
    }
    expect(bindingOf('pet').document).toBe('query pet($id: ID!) { pet(id: $id) { id name born price owner { id name } tags } }');
    expect(bindingOf('pets').document).toContain('edges { node { id name');
    expect(bindingOf('things').document).toBe('query things { things { __typename ... on Pet { id name born price_Pet: price owner_Pet: owner { id name } tags } ... on Toy { id size price_Toy: price } } }');
    expect(bindingOf('chosen').document).toBe('query chosen($id: ID!) { chosen(id: $id) { label: name owner { pets(first: 1) { id } } } }');
  });
  it('with classes that policy can stand on, and arguments typed with shared definitions', () => {
    expect(document.tools.map(({ operationId, operationClass }) => [operationId, operationClass]).slice(-4)).toEqual([['chosen', 'read'], ['addPet', 'write'], ['deletePet', 'destructive'], ['archive', 'destructive']]);
    const ajv = new Ajv2020({ strict: false });
    const check = ajv.compile({ ...tool('pets').inputSchema as object, $defs: document.definitions });
    expect(check({ filter: { name: null, sizes: ['S'], and: [{ and: [] }], page: { first: 3 } }, first: 5 })).toBe(true);
    for (const wrong of [{ filter: { sizes: ['XL'] } }, { filter: { size: 'S' } }, { first: 2 ** 31 }, { first: 1.5 }, { nope: 1 }]) expect(check(wrong)).toBe(false);
  });
  it('the same from introspection as from its language', () => {
    const introspection = graphqlSync({ schema, source: getIntrospectionQuery() });
    const other = convertGraphql(Buffer.from(JSON.stringify(introspection)), { baseUrl: 'http://127.0.0.1/graphql' });
    expect(other.tools.find(({ name }) => name === 'pet')?.backend).toMatchObject({ document: bindingOf('pet').document });
    expect(other.tools.find(({ name }) => name === 'pets')?.inputSchema).toEqual(tool('pets').inputSchema);
  });
  it('never deeper or wider than the rule, on schemas with cycles', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 30 }), (types, leaves) => {
      const text = `type Query { t0: T0 } ${Array.from({ length: types }, (_, i) => `type T${i} { ${Array.from({ length: leaves }, (__, leaf) => `f${leaf}: Int`).join(' ')} ${Array.from({ length: types }, (__, to) => `to${to}: T${to}`).join(' ')} }`).join(' ')}`;
      const made = convertGraphql(Buffer.from(text), { baseUrl: 'http://h/' });
      const [query = ''] = made.tools.map(({ backend }) => (backend as GraphqlBinding).document);
      expect(validate(buildSchema(text), parse(query))).toEqual([]);
      expect((query.match(/f\d+/g) ?? []).length).toBeLessThanOrEqual(150);
      let depth = 0;
      const depths = query.split('').map((character) => (depth += character === '{' ? 1 : character === '}' ? -1 : 0));
      expect(Math.max(...depths)).toBeLessThanOrEqual(6);
    }), { numRuns: 40 });
  });
  it.each([
    ['text that is no schema', 'type Query {', /line 1, column/], ['JSON without a schema', '{"a":1}', /__schema/], ['bytes that are not UTF-8', '\u{fffd}', /Syntax Error|Unexpected/],
  ])('refuses %s, naming the place', (_name, text, message) => { expect(() => convertGraphql(Buffer.from(text), { baseUrl: 'http://h/' })).toThrow(message); });
  it.each([
    ['an unknown member', { nope: 1 }, /connection\.nope/], ['a URL of another scheme', { url: 'ftp://x' }, /connection\.url/], ['a header that is the gateway\'s', { headers: { Authorization: 'x' } }, /connection\.headers\.Authorization/],
    ['a selection of a field that is not there', { select: { pet: '{ id nope }' } }, /Pet has no field nope/], ['a selection for no field', { select: { dog: '{ id }' } }, /connection\.select\.dog/],
    ['a selection without end', { select: { pet: '{ id' } }, /the selection of Query\.pet/], ['variables in a selection', { select: { pet: '{ photo(width: $w) }' } }, /variable/], ['credentials of no kind', { auth: { type: 'magic' } }, /connection\.auth/],
  ])('refuses %s, naming the member', (_name, connection, message) => { expect(() => convertGraphql(Buffer.from(SDL), { baseUrl: 'http://h/', connection })).toThrow(message); });
});

describe('a GraphQL backend', () => {
  const requests: { readonly headers: Readonly<Record<string, unknown>>; readonly body: { readonly query?: string; readonly variables?: unknown; readonly extensions?: { readonly persistedQuery: { readonly sha256Hash: string } } } }[] = [];
  const known = new Set<string>();
  let introspects = true;
  let server: Server;
  let url = '';
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const pet = { __typename: 'Pet', id: 'ü-1', name: 'Rex 🐕', born: null, tags: ['a', 'b'], owner: { id: '2', name: null, pets: () => [{ id: '1' }] } };
  const rootValue = {
    pet: ({ id }: { id: string }) => (id === '404' ? null : { ...pet, id }), count: () => 3, things: () => [pet, { __typename: 'Toy', id: 't', size: 'M', price: 1.5 }], chosen: () => pet,
    fails: () => ({ ...pet, name: () => { throw new Error('name is away'); } }), addPet: ({ name }: { name: string }) => ({ ...pet, name }), node: () => pet,
    pets: () => ({ edges: [{ node: pet, cursor: 'c' }], pageInfo: { hasNextPage: false, endCursor: null }, totalCount: 1 }), deletePet: () => true,
  };
  beforeAll(async () => {
    server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => { chunks.push(chunk); });
      request.on('end', () => { void (async () => {
        const body = JSON.parse(Buffer.concat(chunks).toString()) as (typeof requests)[number]['body'];
        requests.push({ headers: request.headers, body });
        const reply = answering(response);
        const hash = body.extensions?.persistedQuery.sha256Hash;
        if (body.query === undefined && (hash === undefined || !known.has(hash))) return reply({ errors: [{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }] });
        if (hash !== undefined) known.add(hash);
        const query = body.query ?? bindingOf('count').document;
        if (query.includes('__schema') && !introspects) return reply({ errors: [{ message: 'GraphQL introspection is not allowed' }] }, 400);
        if (query.includes('query large')) return reply('{"errors":null, "data": {"large": 9007199254740993.10} }');
        return reply(await execute({ schema, document: parse(query), rootValue, variableValues: body.variables as Record<string, unknown> }));
      })(); });
    });
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
  });
  afterAll(async () => { await egress.close(); server.close(); });

  const ajv = new Ajv2020({ strict: false });
  const backend = new GraphqlBackend({
    outbound: egress, version: '1', credentials: { resolve: () => 'hunter2-hunter2' },
    checkOutput: ({ outputSchema = true }, value) => { const check = ajv.compile({ ...outputSchema as object, $defs: document.definitions }); return check(value) ? undefined : ajv.errorsText(check.errors); },
  });
  function call(name: string, input: Readonly<Record<string, unknown>>, binding: Partial<GraphqlBinding> = {}): ValidatedCall {
    const { inputSchema, outputSchema, listed } = tool(name);
    const target: Target = {
      kind: 'tool', name, tenant: 'acme' as TenantSlug, apiId: 'shop', description: '', operationClass: 'read', tags: [], category: undefined, version: '1', inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }),
      definitions: document.definitions, backend: { ...bindingOf(name), ...binding }, timeoutMs: 5000, hash: '', listed,
    };
    return {
      requestId: 'r-1', door: 'mcp', principal: { tenant: 'acme' as TenantSlug, issuer: 'i', subject: 's', clientId: 'c', roles: new Set(), scopes: new Set(), expiresAt: 0 }, kind: 'tool', name, arguments: input, consumer: 'unknown',
      exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false }, traceparent: undefined, tracestate: undefined, startedAt: 0, target, input, decision: { ruleId: '', policyRevision: '' }, quota: undefined,
      api: { id: 'shop', tenant: 'acme' as TenantSlug, name: 'shop', version: '1', title: '', description: '', kind: 'graphql', status: 'active', category: undefined, tags: [], specHash: '', baseUrl: url, definitions: {}, slots: { auth: { type: 'bearer' } }, credentials: { auth: { from: 'environment', name: 'X' } } },
    };
  }

  it.each([['pet', { id: 'ü-1' }, { pet: { id: 'ü-1', name: 'Rex 🐕' } }], ['pet', { id: '404' }, { pet: null }], ['count', {}, { count: 3 }], ['things', {}, { things: [{ __typename: 'Pet' }, { price_Toy: 1.5 }] }], ['node', { id: '1' }, { node: { __typename: 'Pet', id: 'ü-1' } }],
    ['pets', { first: 1 }, { pets: { totalCount: 1 } }], ['chosen', { id: '1' }, { chosen: { label: 'Rex 🐕', owner: { pets: [{ id: '1' }] } } }], ['addPet', { name: '"; { pets { id } }' }, { addPet: { name: '"; { pets { id } }' } }]] as const)('answers %s with structured content that keeps its output schema', async (name, input, expected) => {
    const answer = await backend.invoke(call(name, input));
    expect(answer).toMatchObject({ outcome: 'success', result: { isError: false } });
    const { result } = answer as Exclude<typeof answer, Denial>;
    expect(JSON.parse((result as { structuredJson: string }).structuredJson)).toMatchObject(expected);
    expect(requests.at(-1)?.body.query).toBe(bindingOf(name).document);
  });
  it('sends the caller\'s correlation and no other document than the fixed one', () => {
    expect(requests.at(-1)?.headers).toMatchObject({ 'x-request-id': 'r-1', 'x-stoa-tenant-id': 'acme', 'content-type': 'application/json' });
    const hashes = new Set(document.tools.map((one) => (one.backend as GraphqlBinding).documentHash));
    expect(hashes.size).toBe(document.tools.length);
  });
  it('makes errors a tool error and keeps the partial data', async () => {
    const answer = await backend.invoke(call('fails', {}));
    expect(answer).toMatchObject({ outcome: 'error', result: { isError: true, content: [{ text: expect.stringMatching(/name is away.*"data":\{"fails":null\}|"data":\{"fails":null\}/) as unknown }] } });
  });
  it('keeps every digit of a number beyond 2^53', async () => {
    expect(await backend.invoke(call('large', {}))).toMatchObject({ result: { structuredJson: '{"large": 9007199254740993.10}' } });
  });
  it('sends a persisted document by its hash, and whole when the server does not know it', async () => {
    requests.length = 0;
    expect(await backend.invoke(call('count', {}, { persisted: true }))).toMatchObject({ result: { isError: false } });
    expect(requests.map(({ body }) => body.query === undefined)).toEqual([true, false]);
    await backend.invoke(call('count', {}, { persisted: true }));
    expect(requests.map(({ body }) => body.query === undefined)).toEqual([true, false, true]);
  });
  it('sends the credential as its slot says, and never shows it', async () => {
    const answer = await backend.invoke(call('count', {}, { security: [['auth']] }));
    expect(requests.at(-1)?.headers['authorization']).toBe('Bearer hunter2-hunter2');
    expect(JSON.stringify(answer)).not.toContain('hunter2');
  });

  const admission = new GraphqlAdmission({ outbound: egress, version: '1', credentials: { resolve: () => 'hunter2-hunter2' } });
  const context = { tenant: 'acme' as TenantSlug, credentials: {} };
  it('describes itself by introspection, with the same bytes each time, and is converted off the thread that serves', async () => {
    introspects = true;
    const [first, second] = await Promise.all([admission.describe({ url }, context), admission.describe({ url }, context)]);
    expect(Buffer.from(first.bytes).equals(second.bytes)).toBe(true);
    const made = await admission.convert(first.bytes, { connection: { url } });
    expect(made.tools).toHaveLength(12);
    await expect(admission.convert(Buffer.from('type Query {'), { connection: { url } })).rejects.toThrow(AdmissionError);
  });
  it('that does not answer introspection is refused with the way out', async () => {
    introspects = false;
    await expect(admission.describe({ url }, context)).rejects.toMatchObject({ code: 'introspection-disabled', fault: 'backend', message: expect.stringContaining('as a document') as unknown });
    await expect(admission.describe({ url, auth: { type: 'bearer' } }, context)).rejects.toMatchObject({ code: 'missing-credential' });
    await expect(admission.describe({ url: 'http://169.254.169.254/graphql' }, context)).rejects.toMatchObject({ code: 'backend-refused-address', fault: 'input' });
  });
});

describe('a member cut out of JSON text', () => {
  it('is what JSON.parse finds, for any object', () => {
    fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), fc.nat(3), (object, name, space) => {
      const text = JSON.stringify(object, undefined, space);
      const found = memberText(text, name);
      expect(found === undefined ? undefined : JSON.parse(found)).toEqual(Object.hasOwn(object, name) ? JSON.parse(JSON.stringify(object[name])) : undefined);
    }), { numRuns: 500 });
  });
});
