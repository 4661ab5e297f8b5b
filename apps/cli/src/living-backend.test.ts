import { describe, expect, it } from 'vitest';
import { CommandError } from './client.js';
import { credentialsOf, livingBackend, type LivingValues } from './living-backend.js';

describe('the flags of stoa import', () => {
  it.each<[string, LivingValues, string | undefined, object | undefined]>([
    ['a document alone', {}, 'petstore.yaml', undefined],
    ['a GraphQL server', { graphql: 'http://127.0.0.1:4000/graphql' }, undefined, { kind: 'graphql', connection: { url: 'http://127.0.0.1:4000/graphql' } }],
    ['a GraphQL schema for a server', { graphql: 'http://127.0.0.1:4000/graphql' }, 'shop.graphql', { kind: 'graphql', file: 'shop.graphql', baseUrl: 'http://127.0.0.1:4000/graphql' }],
    ['a gRPC server with reflection', { grpc: '127.0.0.1:50051', reflection: true }, undefined, { kind: 'grpc', connection: { address: '127.0.0.1:50051' } }],
    ['a descriptor set for a gRPC server', { grpc: 'h:1', descriptor: 'set.bin', tls: true }, undefined, { kind: 'grpc', file: 'set.bin', baseUrl: 'grpcs://h:1' }],
    ['topics of a Kafka cluster', { kafka: 'a:9092, b:9092', topics: 'orders.*' }, undefined, { kind: 'kafka', connection: { brokers: ['a:9092', 'b:9092'], topics: ['orders.*'] } }],
    ['an MCP server by name', { stdio: 'everything' }, undefined, { kind: 'mcp', connection: { stdio: 'everything' } }],
  ])('name %s', (_name, values, positional, expected) => { expect(livingBackend(values, positional)).toEqual(expected); });

  it.each<[string, LivingValues, RegExp]>([
    ['two backends at once', { graphql: 'http://a', mcp: 'http://b' }, /one of --graphql/],
    ['a gRPC server that nothing describes', { grpc: 'h:1' }, /--reflection, --proto FILE and --descriptor/],
    ['a Kafka cluster without topics', { kafka: 'h:1' }, /--topics/],
    ['an MCP server at two places', { mcp: 'http://a', unix: '/s' }, /one of --mcp/],
  ])('refuse %s and name the flag', (_name, values, message) => { expect(() => livingBackend(values, undefined)).toThrow(message); });

  it('name credentials by reference, and refuse anything that could be the secret itself', () => {
    expect(credentialsOf(['key=environment:SHOP_KEY'])).toEqual({ key: { from: 'environment', name: 'SHOP_KEY' } });
    expect(() => credentialsOf(['key=hunter2'])).toThrow(CommandError);
  });
});
