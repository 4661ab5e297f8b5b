import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdmissionError } from '#libs/core/admission.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { KafkaBinding, KafkaPayload } from '#libs/core/kafka-binding.js';
import { OutboundFailure } from '#libs/core/outbound.js';
import { AvroCodec } from '#libs/backends/kafka/avro-payload.js';
import { convertKafka } from '#libs/backends/kafka/convert-kafka.js';
import { DeadlinePassed, faultOf } from '#libs/backends/kafka/faults.js';
import { JsonSchemaPool } from '#libs/backends/kafka/json-schema-pool.js';
import { PayloadCodecs } from '#libs/backends/kafka/payload-codec.js';
import { compileProtoText, messagesIn, ProtobufCodec } from '#libs/backends/kafka/protobuf-payload.js';
import { cursorOf, readRequest } from '#libs/backends/kafka/read-messages.js';
import { RegistryProblem, SchemaRegistry } from '#libs/backends/kafka/registry.js';
import { topicRefusal } from '#libs/backends/kafka/topic-rules.js';
import { readConnection } from '#libs/backends/kafka/connection.js';

const convert = (text: string, options: Parameters<typeof convertKafka>[1] = {}): ConvertedDocument => convertKafka(Buffer.from(text), { fileName: 'orders.yaml', ...options });
const verdicts = ({ ledger }: ConvertedDocument): readonly string[] => ledger.map(({ method, path, verdict, reasons }) => [method, path, verdict, ...reasons.map(({ code }) => code)].join(' '));
const bindingOf = (document: ConvertedDocument, name: string): KafkaBinding => document.tools.find((tool) => tool.name === name)?.backend as KafkaBinding;
function refusalOf(make: () => unknown): string {
  try { make(); } catch (error) { if (error instanceof AdmissionError) return `${error.code}: ${error.message}`; throw error; }
  throw new Error('admitted');
}
const ajv = new Ajv2020({ strict: false, validateFormats: false });
const fits = (schema: JsonSchema, definitions: object, value: unknown): boolean => ajv.compile({ ...schema as object, $defs: definitions })(value);

describe('names of topics', () => {
  const rules = { topics: ['orders.*', 'pay', '*.public.*'], topicPrefix: undefined };
  it.each([['orders.created', undefined], ['pay', undefined], ['eu.public.x', undefined], ['pay2', 'topic-outside-allow-list'], ['orders', 'topic-outside-allow-list'], ['ordersXcreated', 'topic-outside-allow-list'], ['__consumer_offsets', 'topic-internal'], ['gw.x', 'topic-internal'], ['stoa.audit.events', 'topic-internal'], ['a b', 'topic-name'], ['..', 'topic-name'], ['orders.\n', 'topic-name'], ['o'.repeat(250), 'topic-name']])('%s: %s', (topic, code) => {
    expect(topicRefusal(topic, { topics: rules.topics })?.code).toBe(code);
  });
  it('never pass a prefix by anything but beginning with it, however wide the allow-list', () => {
    fc.assert(fc.property(fc.string(), (topic) => { expect(topicRefusal(topic, { topics: ['*'], topicPrefix: 'acme.' }) === undefined).toBe(/^acme\.[a-zA-Z0-9._-]{0,244}$/.test(topic) && !topic.includes('\n')); }));
  });
});

describe('a connection', () => {
  const good = { brokers: ['k:9092'], topics: ['a.*'] };
  it.each([
    [{ ...good, brokers: ['k'] }, 'connection-invalid: connection.brokers[0]: k is not host:port'],
    [{ ...good, topics: ['a b'] }, 'connection-invalid: connection.topics[0]: "a b" is no topic name or pattern'],
    [{ ...good, topics: ['*****'] }, 'connection-invalid: connection.topics[0]'],
    [{ ...good, topics: ['b'], tenantPrefix: 'a.' }, 'topic-outside-prefix: connection.topics[0]: "b" is outside the tenant\'s prefix'],
    [{ ...good, tenantPrefix: 'b.' }, 'topic-outside-prefix: connection.tenantPrefix: must begin with "a.", which the operator set for this tenant'],
    [{ ...good, sasl: { mechanism: 'plain', password: 'x' } }, 'connection-invalid: connection.sasl.password: does not belong here'],
    [{ ...good, sasl: { mechanism: 'gssapi' } }, 'connection-invalid: connection.sasl.mechanism: must be one of plain, scram-sha-256, scram-sha-512, oauthbearer'],
    [{ ...good, registry: 'http://u:p@r' }, 'connection-invalid: connection.registry: must be the http or https URL'],
    [{ ...good, headers: { authorization: 'x' } }, 'connection-invalid: connection.headers.authorization: cannot be set here'],
    [{ ...good, group: 'x' }, 'connection-invalid: connection.group: is not known'],
  ])('%o is refused by member and fix', (given, says) => { expect(refusalOf(() => readConnection(given, 'a.'))).toContain(says); });
});

const ASYNCAPI2 = `
asyncapi: 2.6.0
info: { title: Orders, version: 2.0.0, description: All of them }
defaultContentType: application/json
servers:
  prod: { url: 'kafka.example.com:9093', protocol: kafka-secure, security: [{ login: [] }], bindings: { kafka: { schemaRegistryUrl: 'https://registry.example.com/' } } }
  web: { url: 'ws.example.com', protocol: ws }
channels:
  orders.created:
    publish:
      operationId: createOrder
      tags: [{ name: orders }]
      traits: [{ $ref: '#/components/operationTraits/described' }]
      message: { $ref: '#/components/messages/created' }
    subscribe: { operationId: watchOrders, message: { $ref: '#/components/messages/created' } }
  orders.avro: { publish: { message: { schemaFormat: 'application/vnd.apache.avro;version=1.9.0', payload: { type: record, name: A, fields: [{ name: id, type: long }] }, bindings: { kafka: { schemaIdLocation: payload } } } } }
  orders.broken: { publish: { message: { schemaFormat: 'application/vnd.apache.avro;version=1.9.0', payload: { type: record, name: A, fields: [{ name: id, type: lnog }] } } } }
  orders.proto: { publish: { message: { schemaFormat: 'application/vnd.google.protobuf;version=3', payload: 'syntax = "proto3"; message P { int64 id = 1; } message Q {}' } } }
  orders.{region}: { publish: { operationId: regional } }
  orders.bound: { bindings: { kafka: { topic: real-topic } }, subscribe: { message: { payload: { type: string }, contentType: text/plain } } }
  orders.several: { publish: { message: { oneOf: [{ payload: { type: object, required: [a] } }, { payload: { type: object, required: [b] } }] } } }
  orders.raml: { publish: { message: { schemaFormat: 'application/raml+yaml;version=1.0', payload: {} } } }
  orders.elsewhere: { publish: { message: { $ref: 'https://elsewhere.example/messages.yaml#/x' } } }
  _internal: { publish: { message: { payload: true } } }
  chat: { servers: [web], subscribe: { message: { payload: {} } } }
components:
  securitySchemes: { login: { type: scramSha512 } }
  operationTraits: { described: { description: Places one order. } }
  messages:
    created:
      name: OrderCreated
      headers: { type: object, properties: { trace: { type: string }, authorization: { type: string } }, required: [trace] }
      payload: { type: object, properties: { id: { type: integer, exclusiveMinimum: 0 }, next: { $ref: '#/components/schemas/Order' } }, required: [id] }
      bindings: { kafka: { key: { type: string, minLength: 3 } } }
  schemas: { Order: { type: object, properties: { parent: { $ref: '#/components/schemas/Order' }, pair: { type: array, items: [{ type: string }], additionalItems: false } } } }
`;

describe('an AsyncAPI 2 document', () => {
  const document = convert(ASYNCAPI2);
  it('has one verdict for each operation; what its application takes is written, what it sends is read', () => {
    expect(document).toMatchObject({ format: 'asyncapi-2', title: 'Orders', version: '2.0.0', description: 'All of them', slots: { sasl: { type: 'basic' } } });
    expect(verdicts(document)).toEqual([
      'PUBLISH orders.created exact', 'CONSUME orders.created exact', 'PUBLISH orders.avro exact', 'PUBLISH orders.broken refused schema-unusable', 'PUBLISH orders.proto exact', 'PUBLISH orders.{region} refused topic-parameter',
      'CONSUME real-topic exact', 'PUBLISH orders.several exact', 'PUBLISH orders.raml refused schema-unusable', 'PUBLISH orders.elsewhere refused schema-unusable', 'PUBLISH _internal refused topic-internal', 'CONSUME chat refused not-kafka',
    ]);
    expect(document.ledger[3]?.reasons[0]).toMatchObject({ message: expect.stringContaining('lnog') as unknown, pointer: '/channels/orders.broken/publish/message/payload' });
    expect(document.ledger[4]?.notes[0]).toMatchObject({ code: 'first-message' });
  });
  it('gives tools whose arguments are key, headers and body by definition, and nothing else', () => {
    const tool = document.tools.find(({ name }) => name === 'createorder');
    expect(tool).toMatchObject({ description: 'Places one order.', operationClass: 'write', tags: ['orders'] });
    const schema = tool?.inputSchema ?? false;
    expect(fits(schema, document.definitions, { key: 'abc', headers: { trace: 't' }, body: { id: 1, next: { parent: { pair: ['x'] } } } })).toBe(true);
    for (const bad of [{ key: 'ab' }, { headers: { trace: 't', authorization: 'x' } }, { headers: {} }, { body: { id: 0 } }, { body: { id: 1, next: { pair: ['x', 'y'] } } }, { topic: 'other' }, { partition: 1 }]) {
      expect(fits(schema, document.definitions, { key: 'abc', headers: { trace: 't' }, body: { id: 1 }, ...bad })).toBe(false);
    }
  });
  it('is reached where its first Kafka server is, or by base URL', () => {
    expect(bindingOf(document, 'createorder').cluster).toMatchObject({ brokers: ['kafka.example.com:9093'], tls: true, sasl: 'scram-sha-512', registry: 'https://registry.example.com', topics: expect.arrayContaining(['orders.created']) as unknown });
    expect(bindingOf(convert(ASYNCAPI2, { baseUrl: 'kafka://127.0.0.1:9092' }), 'createorder').cluster).toMatchObject({ brokers: ['127.0.0.1:9092'], tls: false });
  });
  it('loses what lies outside the tenant\'s prefix', () => {
    expect(verdicts(convert(ASYNCAPI2, { topicPrefix: 'orders.' })).filter((one) => one.includes('prefix'))).toEqual(['CONSUME real-topic refused topic-outside-prefix', 'CONSUME chat refused topic-outside-prefix']);
  });
  it('is the same as JSON, byte for byte of its tools', () => {
    const again = convert(ASYNCAPI2);
    expect(again.tools).toEqual(document.tools);
  });
  it.each([
    ['asyncapi: 2.6.0\nchannels: {a: {publish: {}}}', 'missing-server: orders.yaml: has no server of protocol kafka or kafka-secure; give its brokers as base URL, kafka://host:port'],
    ['asyncapi: 1.2.0', 'not-asyncapi: orders.yaml: asyncapi is "1.2.0"; versions 2.x and 3.x are read'],
    ['asyncapi: 2.6.0\n  x: [', 'not-asyncapi: orders.yaml, line 1, column 11'],
    ['openapi: 3.0.0', 'not-asyncapi: orders.yaml: is neither an AsyncAPI document'],
    ['asyncapi: 2.6.0\nservers: {a: {url: "k:1", protocol: kafka, security: [{x: []}]}}\ncomponents: {securitySchemes: {x: {type: gssapi}}}', 'unsupported-security: /servers/a/security: asks for gssapi'],
    ['asyncapi: 2.6.0\nservers: {a: {url: "k:1", protocol: kafka}}\nchannels: {a: {$ref: "#/nowhere"}}', 'not-asyncapi: orders.yaml: /nowhere refers to /nowhere, which is not there'],
  ])('that is wrong is refused with its place: %j', (text, says) => { expect(refusalOf(() => convert(text))).toContain(says); });
});

const ASYNCAPI3 = (reply: string): string => `
asyncapi: 3.0.0
info: { title: Quotes, version: '1' }
servers: { main: { host: k.example.com, protocol: kafka } }
channels:
  ask: { address: quotes.ask, messages: { m: { payload: { schemaFormat: 'application/schema+json;version=draft-07', schema: { type: object } }, headers: { type: object, properties: { cid: { type: string } }, required: [cid] }, correlationId: { location: '$message.header#/cid' } } } }
  answer: { address: quotes.answer, messages: { m: { payload: { type: object } } } }
operations:
  quote: { action: receive, channel: { $ref: '#/channels/ask' }${reply} }
  heard: { action: send, channel: { $ref: '#/channels/answer' } }
`;

describe('an AsyncAPI 3 document', () => {
  it('makes a request of an operation with a reply; the correlation id is ours, not the caller\'s', () => {
    const document = convert(ASYNCAPI3(', reply: { channel: { $ref: "#/channels/answer" }, address: { location: "$message.header#/reply-to" } }'));
    expect(verdicts(document)).toEqual(['REQUEST quotes.ask exact', 'CONSUME quotes.answer exact']);
    expect(bindingOf(document, 'quote')).toMatchObject({ action: 'request', cluster: { brokers: ['k.example.com:9092'] }, callerHeaders: [], reply: { topic: 'quotes.answer', correlationHeader: 'cid', replyToHeader: 'reply-to' } });
    expect(document.tools[0]?.inputSchema).toMatchObject({ required: ['body'] });
  });
  it.each([
    [', reply: { }', 'reply-without-channel'], [', reply: { channel: { $ref: "#/channels/ask" } }', 'reply-without-topic'],
  ])('says that a reply is not waited for where it cannot be known: %s', (reply, code) => { expect(verdicts(convert(ASYNCAPI3(reply)))[0]).toBe(`PUBLISH quotes.ask degraded ${code}`); });
});

describe('Avro', () => {
  it('takes what fits and gives it back, whatever the value', () => {
    const codec = new AvroCodec(JSON.stringify({ type: 'record', name: 'R', fields: [
      { name: 'l', type: 'long' }, { name: 'i', type: 'int' }, { name: 'd', type: 'double' }, { name: 's', type: 'string' }, { name: 'b', type: 'bytes' }, { name: 'f', type: { type: 'fixed', name: 'F', size: 2 } }, { name: 'a', type: { type: 'array', items: ['null', 'R'] } }, { name: 'm', type: { type: 'map', values: 'boolean' } },
      { name: 'u', type: ['int', 'string', 'null'] },
    ] }));
    const definitions = {};
    const schema = codec.jsonSchema('t', definitions);
    const leaf = { l: '-9223372036854775808', i: -1, d: 'NaN', s: '', b: '', f: 'AAE=', a: [], m: {}, u: null };
    const value = fc.record({ l: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => (n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : String(n))), i: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), d: fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0), s: fc.string({ unit: 'grapheme' }), b: fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')), f: fc.constant('AAE='), a: fc.array(fc.constantFrom(null, leaf)), m: fc.dictionary(fc.string(), fc.boolean(), { noNullPrototype: true }).filter((map) => !Object.hasOwn(map, '__proto__')), u: fc.constantFrom(null, { int: 3 }, { string: 'x' }) });
    fc.assert(fc.property(value, (given) => {
      expect(fits(schema, definitions, given)).toBe(true);
      expect(codec.decode(codec.encode(given))).toEqual(given);
    }));
  });
  it.each([['{"type":"array","items":"null"}', /items take no bytes/], ['{"type":"record","name":"E","fields":[{"name":"x","type":{"type":"array","items":{"type":"record","name":"N","fields":[]}}}]}', /items take no bytes/], ['{', /is no Avro schema/], ['{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}', /is no Avro schema/]])('%s is refused', (schema, says) => { expect(() => new AvroCodec(schema)).toThrow(says); });
});

describe('Protobuf', () => {
  it('counts messages as their text does, whatever stands in comments, texts, options and imports of the same package', () => {
    const text = '// message No {\nsyntax = "proto3"; /* message Nor { } */ package a.b; import "x.proto"; option java_package = "message Neither {"; enum E { Z = 0; } message First { message Inner { string s = 1; } } message Second { X x = 1; First.Inner i = 2; }';
    expect(messagesIn(text)).toEqual(['a.b.First', 'a.b.Second']);
    const codec = new ProtobufCodec(compileProtoText(text, [{ name: 'x.proto', schema: 'syntax = "proto3"; package a.b; message X { int32 n = 1; }' }], 'text'), true, messagesIn(text));
    expect(codec.decode(codec.encode('a.b.Second', [1], { x: { n: 1 }, i: { s: 'ü' } }))).toEqual({ x: { n: 1 }, i: { s: 'ü' } });
    expect([...codec.encode('a.b.First', [0], {})]).toEqual([0]);
    expect([...codec.encode('a.b.Second', [1], {})].slice(0, 2)).toEqual([2, 2]);
    expect(codec.decode(Buffer.from([4, 0, 0, 10, 1, 65]))).toEqual({ s: 'A' });
    for (const bad of [[], [255, 255, 255, 255, 255, 255], [2, 40], [1]]) expect(() => codec.decode(Buffer.from(bad))).toThrow(/is no Protobuf message|no such message|premature|invalid/i);
  });
  it('names an import that is missing, and takes none that leads out of its folder', () => {
    expect(refusalOf(() => compileProtoText('syntax = "proto3"; import "gone.proto";', [], 'x'))).toMatch(/^missing-import: x: imports gone.proto/);
    expect(() => compileProtoText('syntax = "proto3";', [{ name: '../../etc/x.proto', schema: '' }], 'x')).toThrow(/no relative path/);
  });
});

describe('JSON Schemas of other drafts', () => {
  it('say the same in the dialect of tools', () => {
    const pool = new JsonSchemaPool({});
    const root = { $schema: 'http://json-schema.org/draft-04/schema#', id: 'x', type: 'object', properties: { n: { minimum: 1, exclusiveMinimum: true }, t: { items: [{ type: 'string' }], additionalItems: { type: 'integer' } }, self: { $ref: '#' } }, dependencies: { n: ['t'], t: { required: ['n'] } }, definitions: { unused: {} } };
    const schema = pool.translate(root, { root }, 'x');
    expect(fits(schema, pool.definitions, { n: 2, t: ['a', 1], self: { n: 2, t: [] } })).toBe(true);
    for (const bad of [{ n: 1, t: [] }, { t: [] }, { n: 2 }, { n: 2, t: ['a', 'b'] }, { self: { n: 1, t: [] } }]) expect(fits(schema, pool.definitions, bad)).toBe(false);
  });
});

const registry = (answer: (path: string) => { readonly status: number; readonly body: string }): SchemaRegistry => new SchemaRegistry({ request: async ({ url }) => { const { status, body } = answer(new URL(url).pathname); return { status, headers: {}, body: Buffer.from(body) }; } }, 'stoa/1');
const framed = (id: number, ...bytes: readonly number[]): Buffer => Buffer.from([0, 0, 0, 0, id, ...bytes]);
describe('values', () => {
  const access = { url: 'http://r' };
  it.each([
    { name: 'no schema of that id', bytes: framed(9, 1), read: { json: '"AAAAAAkB"', encoding: 'base64' } },
    { name: 'bytes that are not what their schema says', bytes: framed(1, 255), read: { json: '"AAAAAAH/"', encoding: 'base64' } },
    { name: 'a schema that is none', bytes: framed(2, 1), read: { json: '"AAAAAAIB"', encoding: 'base64' } },
    { name: 'text', bytes: Buffer.from('héllo'), read: { json: '"héllo"', encoding: 'text' } },
    { name: 'JSON, with all digits of its numbers', bytes: Buffer.from(' {"a":1.10,"b":123456789012345678901} '), read: { json: '{"a":1.10,"b":123456789012345678901}', encoding: 'json' } },
  ])('with $name are told as they are', async ({ bytes, read }) => {
    const codecs = new PayloadCodecs(registry((path) => (path.endsWith('/9') ? { status: 404, body: '{}' } : { status: 200, body: JSON.stringify({ schema: path.endsWith('/2') ? '{' : '"string"' }) })));
    expect(await codecs.decode(undefined, bytes, access, 't')).toEqual(read);
  });
  it.each([
    { name: 'answers an error', answer: { status: 500, body: '{"message":"down"}' }, says: 'the schema registry answered 500: down' },
    { name: 'answers no JSON', answer: { status: 200, body: '<html>' }, says: 'the schema registry answered 200 with something that is no JSON' },
    { name: 'answers no schema', answer: { status: 200, body: '{"id":1}' }, says: 'the schema registry answered with something that is no schema' },
    { name: 'refers to itself without end', answer: { status: 200, body: '{"id":1,"schema":"\\"int\\"","references":[{"name":"x","subject":"x","version":1.5}]}' }, says: 'the schema registry answered with a reference that is none' },
  ])('are not guessed where the registry $name', async ({ answer, says }) => {
    const codecs = new PayloadCodecs(registry(() => answer));
    await expect(codecs.decode(undefined, framed(1, 0), access, 't')).rejects.toThrow(new RegistryProblem(says, answer.status));
  });
  it('wait for their schema\'s id in the registry, once; a schema that is not there is named', async () => {
    let asked = 0;
    const payload: KafkaPayload = { format: 'avro', framed: true, schema: '"int"', subject: 't-value' };
    const codecs = new PayloadCodecs(registry(() => { asked += 1; return { status: 200, body: '{"id":258}' }; }));
    expect([...await codecs.encode(payload, 1, access, 't')]).toEqual([0, 0, 0, 1, 2, 2]);
    await codecs.encode(payload, 2, access, 't');
    expect(asked).toBe(1);
    await expect(new PayloadCodecs(registry(() => ({ status: 404, body: '{}' }))).encode(payload, 1, access, 't')).rejects.toThrow('does not have this schema under the subject t-value');
  });
});

describe('reading', () => {
  it.each([[{ cursor: 'x' }, '/cursor'], [{ cursor: cursorOf('other', new Map()) }, '/cursor'], [{ cursor: Buffer.from('["t",[0,"-1"]]').toString('base64url') }, '/cursor'], [{ cursor: Buffer.from('["t",[0,"99999999999999999999"]]').toString('base64url') }, '/cursor'], [{ offset: 1 }, '/partition'], [{ offset: '9223372036854775808', partition: 0 }, '/offset'], [{ from: 'latest', timestamp: '2026-01-01T00:00:00Z' }, '/timestamp']])('%o is refused where it is wrong', (input, pointer) => {
    expect(() => readRequest(input, 't')).toThrow(expect.objectContaining({ pointer }) as Error);
  });
  it('goes on from its own cursor', () => {
    expect(readRequest({ cursor: cursorOf('t', new Map([[3, 7n], [0, 2n ** 62n]])) }, 't').start).toEqual(new Map([[0, 2n ** 62n], [3, 7n]]));
  });
});

const kafkaError = (name: string, more: object = {}): Error => Object.assign(new Error('broker 10.0.0.5:9092 said no'), { name, ...more });
describe('what goes wrong', () => {
  it.each([
    [new DeadlinePassed('late'), 'BACKEND_TIMEOUT', 'late'],
    [new OutboundFailure('timeout', 'slow'), 'BACKEND_TIMEOUT', 'Request to the schema registry failed: slow'],
    [kafkaError('KafkaJSNumberOfRetriesExceeded', { cause: Object.assign(new Error('This server does not host this topic-partition'), { name: 'KafkaJSProtocolError', type: 'UNKNOWN_TOPIC_OR_PARTITION' }) }), 'BACKEND_ERROR', 'UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition'],
    [kafkaError('KafkaJSConnectionError', { code: 'ECONNREFUSED' }), 'BACKEND_UNREACHABLE', 'Request to backend failed: the brokers cannot be reached'],
    [kafkaError('KafkaJSSASLAuthenticationError'), 'BACKEND_ERROR', 'the brokers do not accept the credential in slot sasl'],
    [kafkaError('KafkaJSRequestTimeoutError'), 'BACKEND_TIMEOUT', 'The brokers did not answer in time'],
  ])('is told in Kafka\'s own word, without an address: %s', (failure, code, text) => { expect(faultOf(failure)).toMatchObject({ code, text }); });
});
