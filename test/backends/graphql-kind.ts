import { buildSchema, execute, GraphQLError, GraphQLScalarType, parse } from 'graphql';
import { GraphqlBackend } from '#libs/backends/graphql/graphql-backend.js';
import { convertGraphql } from '#libs/backends/graphql/convert-graphql.js';
import { type Kind, MAX_BYTES } from './kind.js';
import { bodyOf, headersOf, listen } from './rest-kind.js';
import { json } from './shop.js';

const SDL = `
  scalar Long
  type Item { id: String! name: String! note: String tags: [String!]! count: Long! }
  type Items { items: [Item!]! next: String }
  type Done { done: Boolean! }
  type Text { text: String! }
  type Query { getItem(id: String!): Item! listItems(limit: Int!, after: String): Items! }
  type Mutation { addItem(name: String, note: String, tags: [String!], count: Int): Item! deleteItem(id: String!): Done! act(how: String!): Text! }
`;
const schema = buildSchema(SDL);
const long = schema.getType('Long');
if (long instanceof GraphQLScalarType) long.serialize = String;

const at = (host: string, port: number): string => `http://${host}:${port}/graphql`;

export const graphqlKind: Kind = {
  kind: 'graphql',
  async start(shop) {
    const server = await listen(shop, async (request, response) => {
      const headers = headersOf(request);
      const query = Object.fromEntries(new URL(request.url ?? '', 'http://h').searchParams);
      const body = JSON.parse(await bodyOf(request)) as { readonly query: string; readonly variables: Record<string, unknown> };
      let silent = false;
      let wrong = false;
      const resolver = (operation: string) => (args: Record<string, unknown>): unknown => {
        const reply = shop.ask({ operation, args, headers, query });
        if ('value' in reply) return reply.value;
        if (reply.fault === 'hang') silent = true;
        if (reply.fault === 'wrong') { wrong = true; return { text: '' }; }
        throw new GraphQLError(reply.message, { extensions: { code: reply.fault === 'unproved' ? 'UNAUTHENTICATED' : reply.fault } });
      };
      const rootValue = Object.fromEntries(['getItem', 'listItems', 'addItem', 'deleteItem', 'act'].map((name) => [name, resolver(name)]));
      const answer = await execute({ schema, document: parse(body.query), rootValue, variableValues: body.variables });
      if (silent) return;
      const status = answer.errors?.some(({ extensions }) => extensions['code'] === 'UNAUTHENTICATED') === true ? 401 : 200;
      response.writeHead(status, { 'content-type': 'application/json' }).end(wrong ? '{"data":{"act":{"text":5}}}' : json(answer));
    });
    const baseUrl = at('127.0.0.1', server.port);
    return {
      document: convertGraphql(Buffer.from(SDL), { baseUrl }), at, baseUrl, http: true, close: server.close,
      backend: (given) => new GraphqlBackend({ ...given, version: '1', maxResponseBytes: MAX_BYTES }),
      args: (_operation, plain) => plain,
      plain: (operation, structured) => (structured as Record<string, unknown>)[operation],
    };
  },
};
