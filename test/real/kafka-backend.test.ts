import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { CompressionTypes, Kafka, logLevel, type Producer } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdmissionError } from '#libs/core/admission.js';
import type { BackendAnswer } from '#libs/core/call.js';
import type { ConvertedDocument, ConvertedTool } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { KafkaBinding } from '#libs/core/kafka-binding.js';
import type { CredentialReference } from '#libs/core/rest-binding.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress } from '#libs/egress/egress.js';
import { KafkaClients } from '#libs/backends/kafka/clients.js';
import { KafkaAdmission } from '#libs/backends/kafka/kafka-admission.js';
import { KafkaBackend } from '#libs/backends/kafka/kafka-backend.js';
import { SchemaRegistry } from '#libs/backends/kafka/registry.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { callOf } from './call-of.js';
import { type KafkaBroker, startKafka } from './services/kafka.js';

const AVRO = JSON.stringify({
  type: 'record', name: 'Order', namespace: 'shop', fields: [
    { name: 'id', type: 'long' }, { name: 'note', type: ['null', 'string'], default: null }, { name: 'size', type: { type: 'enum', name: 'Size', symbols: ['S', 'L'] }, default: 'S' }, { name: 'photo', type: 'bytes', default: '' },
  ],
});
const PROTO = 'syntax = "proto3"; package shop; import "money.proto"; message Payment { int64 id = 1; Money amount = 2; repeated string tags = 3; }';
const MONEY = 'syntax = "proto3"; package shop; message Money { string currency = 1; int64 units = 2; }';
const JSON_SCHEMA = JSON.stringify({ $schema: 'http://json-schema.org/draft-07/schema#', type: 'object', properties: { sku: { $ref: '#/definitions/Sku' }, count: { type: 'integer' } }, required: ['sku'], definitions: { Sku: { type: 'string', minLength: 2 } } });

/** A registry that has these, by the protocol of Confluent's. */
const SCHEMAS = [
  { subject: 'acme.orders.avro-value', id: 11, schema: AVRO }, { subject: 'money.proto', id: 12, schema: MONEY, schemaType: 'PROTOBUF' },
  { subject: 'acme.orders.proto-value', id: 13, schema: PROTO, schemaType: 'PROTOBUF', references: [{ name: 'money.proto', subject: 'money.proto', version: 1 }] }, { subject: 'acme.orders.json-value', id: 14, schema: JSON_SCHEMA, schemaType: 'JSON' },
  { subject: 'acme.broken-value', id: 15, schema: '{"type":"record","name":"X","fields":[{"name":"a","type":"nope"}]}' },
];
let asked = 0;
const registryServer = (): Server => createServer((request, response) => {
  asked += 1;
  let body = '';
  request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
  request.on('end', () => {
    const [, , subject, id] = /^\/(subjects\/([^/]+)(?:\/versions\/\w+)?|schemas\/ids\/(\d+))$/.exec(request.url ?? '') ?? [];
    const schema = (JSON.parse(body === '' ? '{}' : body) as { schema?: string }).schema;
    const found = SCHEMAS.find((one) => (id === undefined ? one.subject === decodeURIComponent(subject ?? '') : String(one.id) === id) && (schema === undefined || one.schema === schema));
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/vnd.schemaregistry.v1+json' }).end(JSON.stringify(found ? { ...found, version: 1 } : { error_code: 40_401, message: 'not found' }));
  });
});

describe('a Kafka 4 broker as a backend', () => {
  const acme = 'acme' as TenantSlug;
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const clients = new KafkaClients({ guard: egress, clientId: 'stoa' });
  const registry = new SchemaRegistry(egress, 'stoa/1');
  const validator = createArgumentValidator();
  const secrets: Readonly<Record<string, string>> = { good: 'alice:correct horse', bad: 'alice:wrong horses' };
  const credentials = { resolve: (_tenant: TenantSlug, reference: CredentialReference) => secrets['name' in reference ? reference.name : ''] ?? new Denial({ code: 'CREDENTIAL_MISSING', message: 'none' }) };
  const backend = new KafkaBackend({ clients, registry, credentials, checkOutput: (target, value) => validator.checkOutput(target, value) });
  const admission = new KafkaAdmission({ clients, registry, credentials });
  const folder = mkdtempSync(join(tmpdir(), 'stoa-kafka-pem-'));
  const server = registryServer();
  let broker: KafkaBroker;
  let pem: { readonly key: string; readonly certificate: string };
  let other: Producer;
  let kafka: Kafka;
  let document: ConvertedDocument;
  let connection: Readonly<Record<string, unknown>>;

  beforeAll(async () => {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=kafka', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')], { stdio: 'ignore' });
    pem = { key: readFileSync(join(folder, 'key.pem'), 'utf8'), certificate: readFileSync(join(folder, 'cert.pem'), 'utf8') };
    broker = await startKafka({ name: 'alice', password: 'correct horse', pem });
    kafka = new Kafka({ brokers: [broker.address], clientId: 'another', logLevel: logLevel.NOTHING });
    const admin = kafka.admin();
    await admin.connect();
    const names = ['acme.orders.avro', 'acme.orders.proto', 'acme.orders.json', 'acme.plain', 'acme.many', 'acme.tx', 'acme.requests', 'acme.replies', 'acme.broken', 'globex.secret', '_hidden', 'stoa.metering.events'];
    await admin.createTopics({ waitForLeaders: true, topics: names.map((topic) => ({ topic, numPartitions: topic === 'acme.many' ? 3 : 1, replicationFactor: 1 })) });
    await admin.disconnect();
    other = kafka.producer({ allowAutoTopicCreation: false });
    await other.connect();
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    connection = { brokers: [broker.address], topics: ['acme.*', 'globex.*', '*'], tenantPrefix: 'acme.', registry: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, callerHeaders: ['trace-tag'], headers: { source: 'gateway' } };
    const { bytes } = await admission.describe(connection, { tenant: acme, credentials: {} });
    document = await admission.convert(bytes, { connection });
  });
  afterAll(async () => {
    await other.disconnect();
    await clients.close();
    await egress.close();
    await new Promise((resolve) => { server.close(resolve); });
    await broker.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const tool = (name: string, from = document): ConvertedTool | undefined => from.tools.find((one) => one.name === name);
  async function invoke(name: string, args: Readonly<Record<string, unknown>>, { from = document, signal, change = {}, api }: { readonly from?: ConvertedDocument; readonly signal?: AbortSignal; readonly change?: Partial<Target>; readonly api?: object } = {}): Promise<BackendAnswer | Denial> {
    const made = callOf(tool(name, from), from.definitions, args, signal);
    return backend.invoke({ ...made, target: { ...made.target, ...change }, ...(api === undefined ? {} : { api: api as never }) });
  }
  async function said(name: string, args: Readonly<Record<string, unknown>>, how: Parameters<typeof invoke>[2] = {}): Promise<Record<string, unknown> & { messages: Record<string, unknown>[]; cursor: string }> {
    const made = callOf(tool(name, how.from), (how.from ?? document).definitions, args);
    const verdict = validator.validate(made.target, args);
    if (!('input' in verdict)) throw new Error(JSON.stringify(verdict.issues));
    const answer = await invoke(name, args, how);
    if (answer instanceof Denial) throw new Error(answer.message);
    if (answer.result.type !== 'tool' || answer.result.isError) throw new Error(JSON.stringify(answer.result));
    return JSON.parse((answer.result as { structuredJson: string }).structuredJson) as never;
  }
  const errorOf = async (name: string, args: Readonly<Record<string, unknown>>, how: Parameters<typeof invoke>[2] = {}): Promise<string> => {
    const answer = await invoke(name, args, how);
    if (answer instanceof Denial) return `${answer.code}: ${answer.message}`;
    if (answer.result.type !== 'tool' || !answer.result.isError) throw new Error('no error');
    return `${String(answer.result.meta?.['error_code'])}: ${(answer.result.content[0] as { text: string }).text}`;
  };
  const refusal = async (change: Readonly<Record<string, unknown>>, how: Partial<Parameters<KafkaAdmission['describe']>[1]> = {}): Promise<string> =>
    admission.describe({ ...connection, ...change }, { tenant: acme, credentials: {}, ...how }).then(() => 'admitted', (error: unknown) => (error instanceof AdmissionError ? `${error.code}: ${error.message}` : `other: ${String(error)}`));

  it('is described by its topics, within allow-list and tenant prefix, with their schemas; the same bytes each time', async () => {
    expect(document.ledger.map(({ method, path, verdict }) => `${method} ${path} ${verdict}`)).toEqual([
      'PUBLISH acme.broken refused', 'CONSUME acme.broken exact', ...['acme.many', 'acme.orders.avro', 'acme.orders.json', 'acme.orders.proto', 'acme.plain', 'acme.replies', 'acme.requests', 'acme.tx'].flatMap((topic) => [`PUBLISH ${topic} exact`, `CONSUME ${topic} exact`]),
      'LIST topics exact', 'DESCRIBE topics/{topic} exact',
    ]);
    expect(document.ledger[0]?.reasons[0]?.message).toMatch(/subject acme.broken-value: is no Avro schema: .*nope/);
    const again = await admission.describe(connection, { tenant: acme, credentials: {} });
    expect((await admission.convert(again.bytes, { connection })).specHash).toBe(document.specHash);
  });
  it('lists and describes those topics and no others', async () => {
    const { topics } = await said('list_topics', {}) as unknown as { topics: { name: string }[] };
    expect(topics.every(({ name }) => name.startsWith('acme.'))).toBe(true);
    expect(await said('describe_topic', { topic: 'acme.many' })).toMatchObject({ name: 'acme.many', partitions: [{ partition: 0, first: '0' }, { partition: 1 }, { partition: 2 }], configs: { 'cleanup.policy': 'delete' } });
    expect(await errorOf('describe_topic', { topic: 'globex.secret' })).toMatch(/^FORBIDDEN: The topic globex.secret is outside the tenant's prefix/);
  });

  it.each([
    { name: 'Avro', topic: 'avro', body: { id: '9223372036854775807', note: 'ü🐕', size: 'L', photo: 'AP8Q' }, encoding: 'avro', schemaId: 11 },
    { name: 'Avro with its defaults', topic: 'avro', body: { id: 7 }, read: { id: 7, note: null, size: 'S', photo: '' }, encoding: 'avro', schemaId: 11 },
    { name: 'Protobuf with an import', topic: 'proto', body: { id: '5', amount: { currency: 'EUR', units: '9007199254740993' }, tags: ['a'] }, encoding: 'protobuf', schemaId: 13 },
    { name: 'JSON Schema', topic: 'json', body: { sku: 'ab', count: 3 }, encoding: 'json', schemaId: 14 },
  ])('$name payloads go out in Confluent wire format and come back as they were', async ({ topic, body, read = body, encoding, schemaId }) => {
    const { partition, offset } = await said(`publish_acme_orders_${topic}`, { body, key: 'k1', headers: { 'trace-tag': 't' } });
    expect({ partition, offset }).toEqual({ partition: 0, offset: expect.stringMatching(/^\d+$/) as unknown });
    const { messages } = await said(`consume_acme_orders_${topic}`, { partition: 0, offset: offset });
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatchObject({ partition: 0, offset, encoding, schemaId, key: 'k1', value: read, headers: { source: 'gateway', 'trace-tag': 't', 'x-request-id': 'request-1', 'x-stoa-tenant-id': 'acme' } });
  });
  it('asks the registry for a schema once, however many messages name it', async () => {
    const before = asked;
    for (let i = 0; i < 20; i++) await said('publish_acme_orders_avro', { body: { id: i } });
    await said('consume_acme_orders_avro', {});
    expect(asked).toBe(before);
  });
  it.each([
    { tool: 'publish_acme_orders_avro', body: { id: 1, size: 'XL' }, says: 'INVALID_ARGUMENTS: Invalid arguments: /body/size must be one of S, L' },
    { tool: 'publish_acme_orders_avro', body: { id: 1, nope: 1 }, says: 'INVALID_ARGUMENTS: Invalid arguments: /body/nope is not in the schema' },
    { tool: 'publish_acme_orders_proto', body: { id: 'x' }, says: /^INVALID_ARGUMENTS: Invalid arguments: \/body .*id/ },
  ])('a value that does not fit its schema is refused by name, and nothing is written: $says', async ({ tool: name, body, says }) => {
    const { cursor } = await said(name.replace('publish', 'consume'), { from: 'latest', waitMs: 0 });
    expect(await errorOf(name, { body })).toMatch(says);
    expect((await said(name.replace('publish', 'consume'), { cursor, waitMs: 0 })).messages).toEqual([]);
  });

  it('is read by a cursor from the beginning to the end, every message once, over partitions, in bounds; nothing is committed and no group appears', async () => {
    await other.send({ topic: 'acme.many', messages: Array.from({ length: 250 }, (_, i) => ({ key: `k${i}`, value: JSON.stringify({ i }) })) });
    const seen: number[] = [];
    let cursor: string | undefined;
    for (let turn = 0; turn < 20; turn++) {
      const lot = await said('consume_acme_many', { ...(cursor === undefined ? {} : { cursor }), maxMessages: 40, waitMs: 0 });
      expect(lot.messages.length).toBeLessThanOrEqual(40);
      seen.push(...lot.messages.map(({ value }) => (value as { i: number }).i));
      cursor = lot.cursor;
      if (lot['atEnd'] === true) break;
    }
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 250 }, (_, i) => i));
    const few = await said('consume_acme_many', { maxBytes: 100, waitMs: 0 });
    expect(few.messages.length).toBeGreaterThan(0);
    expect(few.messages.length).toBeLessThan(15);
    const admin = kafka.admin();
    await admin.connect();
    expect((await admin.listGroups()).groups).toEqual([]);
    await admin.disconnect();
  });
  it('is read from a time, from what comes next, and from an offset; what is nonsense is named', async () => {
    const at = Date.now();
    await other.send({ topic: 'acme.plain', messages: [{ value: 'old', timestamp: String(at - 60_000) }, { value: '{"n":12345678901234567890}', timestamp: String(at) }, { value: Buffer.from([0xff, 0]), timestamp: String(at + 1) }, { value: null, key: 'gone', timestamp: String(at + 2) }] });
    const { messages } = await said('consume_acme_plain', { timestamp: new Date(at).toISOString() });
    expect(messages.map(({ encoding, value }) => [encoding, value])).toEqual([['json', { n: expect.any(Number) as unknown }], ['base64', '/wA='], ['null', null]]);
    const answer = await invoke('consume_acme_plain', { timestamp: new Date(at).toISOString() });
    expect(JSON.stringify(answer)).toContain('12345678901234567890');
    const next = said('consume_acme_plain', { from: 'latest', waitMs: 8000 });
    const sent = setInterval(() => { void other.send({ topic: 'acme.plain', messages: [{ value: '"new"' }] }); }, 200);
    expect((await next).messages[0]).toMatchObject({ value: 'new' });
    clearInterval(sent);
    expect(await errorOf('consume_acme_plain', { offset: 1 })).toBe('INVALID_ARGUMENTS: Invalid arguments: /partition is needed with offset: offsets count within one partition');
    expect(await errorOf('consume_acme_plain', { partition: 9 })).toMatch(/\/partition is 9; acme.plain has partitions 0 to 0/);
    expect(await errorOf('consume_acme_plain', { partition: 0, offset: '999999999' })).toMatch(/^BACKEND_ERROR: OFFSET_OUT_OF_RANGE/);
    expect(await errorOf('consume_acme_plain', { cursor: (await said('consume_acme_many', { waitMs: 0 })).cursor })).toMatch(/\/cursor is a cursor of another topic/);
  });
  it('shows what was committed in a transaction, and never what was aborted', async () => {
    const producer = kafka.producer({ transactionalId: 't', idempotent: true, maxInFlightRequests: 1, retry: { initialRetryTime: 20 } });
    await producer.connect();
    for (const [value, good] of [['a', true], ['b', false], ['c', true]] as const) {
      const transaction = await producer.transaction();
      await transaction.send({ topic: 'acme.tx', messages: [{ value }] });
      await (good ? transaction.commit() : transaction.abort());
    }
    await producer.disconnect();
    const { messages, atEnd } = await said('consume_acme_tx', { waitMs: 0 }) as never as { messages: { value: string }[]; atEnd: boolean };
    expect(messages.map(({ value }) => value)).toEqual(['a', 'c']);
    expect(atEnd).toBe(true);
  });
  it('reads gzip', async () => {
    const { cursor } = await said('consume_acme_plain', { from: 'latest', waitMs: 0 });
    await other.send({ topic: 'acme.plain', compression: CompressionTypes.GZIP, messages: [{ value: 'x'.repeat(1000) }] });
    expect((await said('consume_acme_plain', { cursor })).messages[0]).toMatchObject({ value: 'x'.repeat(1000), encoding: 'text' });
  });

  it('puts nothing outside the prefix and the allow-list, whatever a definition or an argument says (SEC-09)', async () => {
    const binding = tool('publish_acme_plain')?.backend as KafkaBinding;
    const strange = fc.oneof(fc.constantFrom('globex.secret', '_hidden', 'stoa.metering.events', 'acme', 'ACME.x', 'acme.x/../globex.secret', '', '.', 'acme.\u0000', '__consumer_offsets'), fc.string({ maxLength: 30 }).filter((name) => !name.startsWith('acme.')));
    await fc.assert(fc.asyncProperty(strange, async (topic) => {
      const answer = await invoke('publish_acme_plain', { body: 1 }, { change: { backend: { ...binding, topic } } });
      expect(answer).toMatchObject({ code: 'FORBIDDEN' });
    }), { numRuns: 200 });
    const operator = new KafkaBackend({ clients, registry, credentials, topicPrefix: '{tenant}.orders.' });
    expect(await operator.invoke(callOf(tool('publish_acme_plain'), document.definitions, { body: 1 }))).toMatchObject({ code: 'FORBIDDEN' });
    const admin = kafka.admin();
    await admin.connect();
    for (const topic of ['globex.secret', '_hidden', 'stoa.metering.events']) expect((await admin.fetchTopicOffsets(topic))[0]?.high).toBe('0');
    await admin.disconnect();
  });
  it('is refused at import by member and fix', async () => {
    expect(await refusal({ topics: ['globex.secret'] })).toMatch(/^topic-outside-prefix: connection.topics\[0\]: "globex.secret" is outside the tenant's prefix/);
    expect(await refusal({ topics: ['_hidden'] })).toMatch(/^topic-internal: connection.topics\[0\]/);
    expect(await refusal({ topics: ['acme.nope'] })).toMatch(/^unknown-topic: connection.topics\[0\]: the cluster has no topic "acme.nope"/);
    expect(await refusal({ topics: ['acme.none.*'] })).toMatch(/^no-topics: connection.topics/);
    expect(await refusal({ brokers: ['127.0.0.1:1'] })).toBe('backend-error: connection.brokers: Request to backend failed: the brokers cannot be reached');
    expect(await refusal({ brokers: ['169.254.169.254:9092'] })).toMatch(/^backend-refused-address: connection.brokers: .*EGRESS_ALLOW/);
    expect(await refusal({ registry: 'http://127.0.0.1:1' })).toMatch(/^registry-unreachable: connection.registry: /);
    expect(await refusal({ registry: 'http://10.0.0.1:8081' })).toMatch(/^registry-refused-address: connection.registry: /);
  });
  it('opens no socket to a listener that a broker advertises and egress does not admit', async () => {
    const narrow = createEgress({ allow: [`localhost:${broker.address.split(':')[1] ?? ''}`] });
    const own = new KafkaClients({ guard: narrow, clientId: 'narrow' });
    const narrowly = new KafkaAdmission({ clients: own, registry });
    // The name is admitted; what the broker then calls itself, 127.0.0.1, is not.
    await expect(narrowly.describe({ ...connection, registry: undefined, brokers: [broker.address.replace('127.0.0.1', 'localhost')] }, { tenant: acme, credentials: {} })).rejects.toMatchObject({ code: 'backend-refused-address' });
    await own.close();
    await narrow.close();
  });

  it.each(['plain', 'scram-sha-512'])('is reached over TLS with SASL %s, and tells a wrong password from everything else', async (mechanism) => {
    const secure = { ...connection, brokers: [broker.secure], tls: true, ca: pem.certificate, sasl: { mechanism } };
    const described = await admission.describe(secure, { tenant: acme, credentials: { sasl: { from: 'environment', name: 'good' } } });
    const made = await admission.convert(described.bytes, { connection: secure });
    expect(made.slots).toEqual({ sasl: { type: 'basic' } });
    const api = { tenant: acme, name: 'orders', slots: made.slots, credentials: { sasl: { from: 'environment', name: 'good' } } };
    const { offset } = await said('publish_acme_plain', { body: { by: mechanism } }, { from: made, api });
    expect((await said('consume_acme_plain', { partition: 0, offset: offset, maxMessages: 1 }, { from: made, api })).messages[0]).toMatchObject({ value: { by: mechanism } });
    expect(await errorOf('publish_acme_plain', { body: 1 }, { from: made })).toMatch(/^CREDENTIAL_MISSING/);
    const wrong = await errorOf('publish_acme_plain', { body: 1 }, { from: made, api: { ...api, credentials: { sasl: { from: 'environment', name: 'bad' } } } });
    expect(wrong).toMatch(/^BACKEND_ERROR: .*do not accept the credential in slot sasl/);
    expect(wrong).not.toContain('wrong horses');
    expect(await refusal({ ...secure, ca: undefined }, { credentials: { sasl: { from: 'environment', name: 'good' } } })).toMatch(/^backend-error/);
  });

  it('answers a request by its correlation id, of an AsyncAPI 3 document, and says when no reply came', async () => {
    const asyncapi = `
asyncapi: 3.0.0
info: { title: Quotes, version: 1.2.3 }
servers: { main: { host: '${broker.address}', protocol: kafka } }
channels:
  requests: { address: acme.requests, messages: { ask: { payload: { type: object, properties: { sku: { type: string } }, required: [sku] }, correlationId: { location: '$message.header#/correlation-id' } } } }
  replies: { address: acme.replies, messages: { answer: { payload: { type: object } } } }
operations:
  quote: { action: receive, channel: { $ref: '#/channels/requests' }, reply: { channel: { $ref: '#/channels/replies' }, address: { location: '$message.header#/reply-to' } } }
`;
    const made = await admission.convert(Buffer.from(asyncapi), {});
    expect(made).toMatchObject({ format: 'asyncapi-3', title: 'Quotes', version: '1.2.3', ledger: [{ method: 'REQUEST', path: 'acme.requests', verdict: 'exact', tool: 'quote' }] });
    const group = kafka.consumer({ groupId: 'responder', maxWaitTimeInMs: 100 });
    await group.connect();
    await group.subscribe({ topic: 'acme.requests', fromBeginning: true });
    await group.run({
      eachMessage: async ({ message: { value, headers } }) => {
        const to = headers?.['reply-to'];
        const correlation = headers?.['correlation-id'];
        if (to === undefined || correlation === undefined || value?.toString().includes('silent') === true) return;
        await other.send({ topic: String(to), messages: [{ value: '{"not":"this"}', headers: { 'correlation-id': 'somebody-else' } }, { value: `{"price":3,"for":${value?.toString() ?? ''}}`, headers: { 'correlation-id': correlation as Buffer } }] });
      },
    });
    expect(await said('quote', { body: { sku: 'ü' } }, { from: made })).toMatchObject({ request: { topic: 'acme.requests' }, reply: { value: { price: 3, for: { sku: 'ü' } } } });
    expect(await errorOf('quote', { body: { sku: 'silent' } }, { from: made, change: { timeoutMs: 3000 } })).toBe('BACKEND_TIMEOUT: The request was written, and no reply to it came in time');
    await group.disconnect();
  });

  it('ends with the caller, and with the tool\'s time', async () => {
    const abort = new AbortController();
    const waiting = invoke('consume_acme_tx', { from: 'latest', waitMs: 9000 }, { signal: abort.signal });
    abort.abort();
    expect(await waiting).toMatchObject({ code: 'CANCELLED' });
    const early = await said('consume_acme_tx', { from: 'latest', waitMs: 60_000 }, { change: { timeoutMs: 2000 } });
    expect(early.messages).toEqual([]);
  });
  it('carries on after the broker was killed: calls fail by name while it is away, a producer that failed is replaced, and acknowledged messages are all there', async () => {
    const before = await said('publish_acme_plain', { body: 'before' });
    await broker.kill();
    expect(await errorOf('publish_acme_plain', { body: 'lost' }, { change: { timeoutMs: 3000 } })).toMatch(/^BACKEND_(?:UNREACHABLE|TIMEOUT)/);
    await broker.start();
    let after: Record<string, unknown> | undefined;
    for (let turn = 0; turn < 30 && after === undefined; turn++) after = await said('publish_acme_plain', { body: 'after' }).catch(() => undefined);
    const { messages } = await said('consume_acme_plain', { partition: 0, offset: before['offset'] });
    expect(messages.map(({ value }) => value)).toEqual(expect.arrayContaining(['before', 'after']) as unknown);
  });
});
