import type { VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchemaObject } from '#libs/core/json-schema.js';
import type { KafkaBinding, KafkaReply } from '#libs/core/kafka-binding.js';
import type { DefinedPayload } from '#libs/backends/kafka/define-payload.js';
import type { OperationPlan } from '#libs/tool-listing/tools-of.js';

/** Bounds of one read, and what is taken where the caller says nothing. */
export const READ_LIMITS = { messages: 1000, messagesDefault: 100, bytes: 1024 * 1024, waitMs: 60_000, waitDefault: 1000 } as const;

/** One operation of a topic, whatever document it came from. */
export interface TopicOperation {
  readonly path: string;
  readonly operationId: string;
  readonly topic: string;
  readonly tags: readonly string[];
  readonly title?: string | undefined;
  readonly description: string;
  readonly deprecated?: boolean;
  readonly reasons: readonly VerdictReason[];
  readonly notes: readonly VerdictReason[];
}
/** What a message is made of. */
export interface MessageShape {
  readonly value: DefinedPayload;
  readonly key?: DefinedPayload | undefined;
  readonly keyRequired?: boolean;
  /** Fixed. */
  readonly headers: Readonly<Record<string, string>>;
  /** Those that a caller gives, with their schemas; names of required ones. */
  readonly callerHeaders: Readonly<Record<string, JsonSchemaObject | boolean>>;
  readonly requiredHeaders?: readonly string[];
  /** Number of partitions where the caller may choose one. */
  readonly partitions?: number | undefined;
}
type Reached = Pick<KafkaBinding, 'cluster' | 'security'>;

const OFFSET: JsonSchemaObject = { type: 'string', pattern: '^[0-9]+$' };
const PARTITION: JsonSchemaObject = { type: 'integer', minimum: 0 };

export function publishPlan(operation: TopicOperation, message: MessageShape, reached: Reached, reply?: { readonly reply: KafkaReply; readonly schema: JsonSchemaObject | boolean }): OperationPlan {
  const { value, key, keyRequired = false, headers, callerHeaders, requiredHeaders = [], partitions } = message;
  const named = Object.keys(callerHeaders);
  const properties = {
    body: value.schema,
    ...(key === undefined ? {} : { key: key.schema }),
    ...(named.length === 0 ? {} : { headers: { type: 'object', properties: callerHeaders, ...(requiredHeaders.length === 0 ? {} : { required: requiredHeaders }), additionalProperties: false } }),
    ...(partitions === undefined ? {} : { partition: { ...PARTITION, ...(partitions === 0 ? {} : { maximum: partitions - 1 }), description: 'Left out: the key chooses.' } }),
  };
  const binding: KafkaBinding = {
    kind: 'kafka', action: reply === undefined ? 'publish' : 'request', ...reached, topic: operation.topic, value: value.payload, ...(key === undefined ? {} : { key: key.payload }),
    headers, callerHeaders: named, callerPartition: partitions !== undefined, ...(reply === undefined ? {} : { reply: reply.reply }),
  };
  return plan(operation, reply === undefined ? 'PUBLISH' : 'REQUEST', {
    operationClass: 'write', backend: binding,
    inputSchema: { type: 'object', properties, required: ['body', ...(keyRequired && key !== undefined ? ['key'] : []), ...(requiredHeaders.length === 0 ? [] : ['headers'])], additionalProperties: false },
    outputSchema: reply === undefined
      ? { type: 'object', properties: { topic: { type: 'string' }, partition: PARTITION, offset: { ...OFFSET, description: 'Where the message lies, once all in-sync replicas have it.' } }, required: ['topic', 'partition', 'offset'] }
      : { type: 'object', properties: { request: { type: 'object', properties: { topic: { type: 'string' }, partition: PARTITION, offset: OFFSET } }, reply: MESSAGE }, required: ['request', 'reply'] },
  }, value.notes);
}

const MESSAGE: JsonSchemaObject = {
  type: 'object',
  properties: {
    partition: PARTITION, offset: OFFSET, timestamp: { type: 'string', format: 'date-time' }, key: { description: 'As JSON where it is JSON or has a schema, else text; null: none.' }, value: { description: 'As JSON where it is JSON or has a schema, else text or base64; null: a tombstone.' },
    encoding: { enum: ['json', 'avro', 'protobuf', 'text', 'base64', 'null'], description: 'How the value was read.' }, schemaId: { type: 'integer' }, headers: { type: 'object' },
  },
  required: ['partition', 'offset', 'timestamp', 'key', 'value', 'encoding'],
};

export function consumePlan(operation: TopicOperation, payloads: { readonly value: DefinedPayload; readonly key?: DefinedPayload | undefined }, reached: Reached): OperationPlan {
  const { messages, messagesDefault, bytes, waitMs, waitDefault } = READ_LIMITS;
  const properties = {
    cursor: { type: 'string', maxLength: 16_384, description: 'Of an earlier answer: goes on where it ended.' },
    from: { enum: ['earliest', 'latest'], description: 'Without a cursor: from the first message that is still there (default), or only what comes from now on.' },
    offset: { type: ['string', 'integer'], pattern: '^[0-9]{1,19}$', minimum: 0, description: 'From this offset of one partition; give partition too.' },
    timestamp: { type: 'string', format: 'date-time', description: 'From the first message at or after this time.' },
    partition: { ...PARTITION, description: 'Reads this partition alone.' },
    maxMessages: { type: 'integer', minimum: 1, maximum: messages, description: `Default ${messagesDefault}.` },
    maxBytes: { type: 'integer', minimum: 1, maximum: bytes, description: `Of keys and values, as they lie in Kafka. Default ${bytes}.` },
    waitMs: { type: 'integer', minimum: 0, maximum: waitMs, description: `How long to wait for a first message where there is none, in milliseconds. Default ${waitDefault}.` },
  };
  const output = {
    type: 'object',
    properties: { messages: { type: 'array', items: MESSAGE }, cursor: { type: 'string', description: 'Give it back to go on.' }, atEnd: { type: 'boolean', description: 'Nothing more lies in the topic now.' } },
    required: ['messages', 'cursor', 'atEnd'],
  };
  const binding: KafkaBinding = {
    kind: 'kafka', action: 'consume', ...reached, topic: operation.topic, value: payloads.value.payload, ...(payloads.key === undefined ? {} : { key: payloads.key.payload }), headers: {}, callerHeaders: [], callerPartition: false,
  };
  return plan(operation, 'CONSUME', { operationClass: 'read', backend: binding, inputSchema: { type: 'object', properties, additionalProperties: false }, outputSchema: output }, []);
}

const TOPIC: JsonSchemaObject = { type: 'object', properties: { name: { type: 'string' }, partitions: { type: 'integer' } }, required: ['name', 'partitions'] };

/** What there is, told by the brokers at each call. */
export function clusterPlans(topics: readonly string[], reached: Reached): readonly OperationPlan[] {
  const about = { tags: ['topics'], topic: '', reasons: [], notes: [] };
  const binding = (action: 'list' | 'describe'): KafkaBinding => ({ kind: 'kafka', action, ...reached, headers: {}, callerHeaders: [], callerPartition: false });
  return [
    plan({ ...about, path: 'topics', operationId: 'list_topics', description: 'The topics that may be read and written here, with their partitions.' }, 'LIST', {
      operationClass: 'read', backend: binding('list'), inputSchema: { type: 'object', properties: {}, additionalProperties: false }, outputSchema: { type: 'object', properties: { topics: { type: 'array', items: TOPIC } }, required: ['topics'] },
    }, []),
    plan({ ...about, path: 'topics/{topic}', operationId: 'describe_topic', description: 'One topic: partitions with their first and next offsets, and configuration.' }, 'DESCRIBE', {
      operationClass: 'read', backend: binding('describe'), inputSchema: { type: 'object', properties: { topic: { enum: topics } }, required: ['topic'], additionalProperties: false },
      outputSchema: {
        type: 'object', required: ['name', 'partitions', 'configs'],
        properties: { name: { type: 'string' }, partitions: { type: 'array', items: { type: 'object', properties: { partition: PARTITION, first: OFFSET, next: OFFSET, replicas: { type: 'integer' }, inSync: { type: 'integer' } }, required: ['partition', 'first', 'next'] } }, configs: { type: 'object', additionalProperties: { type: 'string' } } },
      },
    }, []),
  ];
}

type Made = Pick<NonNullable<OperationPlan['tool']>, 'operationClass' | 'backend' | 'inputSchema' | 'outputSchema'>;
const plan = ({ path, operationId, tags, title, description, deprecated = false, reasons, notes }: TopicOperation, method: string, made: Made, more: readonly VerdictReason[]): OperationPlan =>
  ({ method, path, operationId, tags, reasons, notes: [...notes, ...more], tool: { title, description, deprecated, ...made } });

export const refusedPlan = (method: string, { path, operationId, tags, notes }: Pick<TopicOperation, 'path' | 'operationId' | 'tags' | 'notes'>, reason: VerdictReason): OperationPlan => ({ method, path, operationId, tags, tool: undefined, reasons: [reason], notes });
