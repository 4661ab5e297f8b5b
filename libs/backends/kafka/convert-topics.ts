import { AdmissionError } from '#libs/core/admission.js';
import type { VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import type { KafkaConnection } from '#libs/backends/kafka/connection.js';
import { type DefinedPayload, definePayload, type SchemaText } from '#libs/backends/kafka/define-payload.js';
import { JsonSchemaPool } from '#libs/backends/kafka/json-schema-pool.js';
import { clusterPlans, consumePlan, publishPlan, refusedPlan, type TopicOperation } from '#libs/backends/kafka/topic-plans.js';
import { topicRefusal } from '#libs/backends/kafka/topic-rules.js';
import type { OperationPlan } from '#libs/tool-listing/tools-of.js';

/** What a cluster and its registry say of themselves: the document of `describe`. */
export interface TopicsDocument { readonly kafkaTopics: 1; readonly topics: readonly TopicFacts[] }
export interface TopicFacts {
  readonly name: string;
  readonly partitions: number;
  readonly configs: Readonly<Record<string, string>>;
  readonly key?: SchemaFacts | undefined;
  readonly value?: SchemaFacts | undefined;
}
export interface SchemaFacts extends SchemaText { readonly subject: string; readonly id: number }

/** Two tools for each topic, and two for all of them. */
export function planTopics({ topics }: TopicsDocument, { cluster, slots, headers, callerHeaders, callerPartition }: KafkaConnection): { readonly plans: readonly OperationPlan[]; readonly definitions: Record<string, JsonSchema> } {
  const pool = new JsonSchemaPool({});
  const reached = { cluster, security: securityOf(slots) };
  const plans = topics.flatMap((topic, i): readonly OperationPlan[] => {
    const pointer = `/topics/${i}`;
    const refusal = topicRefusal(topic.name, cluster);
    if (refusal !== undefined) throw new AdmissionError(refusal.code, `${pointer}/name: "${topic.name}" ${refusal.problem}`);
    const about = { topic: topic.name, tags: [topic.name], reasons: [] };
    const value = payload(topic, 'value', pool, pointer);
    const key = payload(topic, 'key', pool, pointer);
    const publish: TopicOperation = { ...about, path: topic.name, operationId: `publish_${topic.name}`, description: `Writes one message to the topic ${topic.name}.`, notes: topic.value === undefined ? [NO_SCHEMA(pointer)] : [] };
    const consume: TopicOperation = { ...about, path: topic.name, operationId: `consume_${topic.name}`, description: `Reads messages of the topic ${topic.name}, without taking them from anybody: no consumer group, nothing committed.`, notes: [] };
    const wrong = 'problem' in value ? value : 'problem' in key ? key : undefined;
    return [
      wrong !== undefined || 'problem' in value || 'problem' in key
        ? refusedPlan('PUBLISH', publish, wrong?.problem ?? NO_SCHEMA(pointer))
        : publishPlan(publish, {
          value, key, keyRequired: topic.key !== undefined, headers, callerHeaders: Object.fromEntries(callerHeaders.map((name) => [name, { type: 'string', maxLength: 4096 }])), partitions: callerPartition ? topic.partitions : undefined,
        }, reached),
      // Messages are read by the schema that they name, and without one as they are.
      consumePlan(consume, { value: 'problem' in value ? ANY_JSON : value, key: 'problem' in key ? TEXT : key }, reached),
    ];
  });
  return { plans: [...plans, ...clusterPlans(topics.map(({ name }) => name), reached)], definitions: pool.definitions };
}

export const ANY_JSON: DefinedPayload = { payload: { format: 'json', framed: false }, schema: { description: 'Any JSON value.' }, notes: [] };
export const TEXT: DefinedPayload = { payload: { format: 'text', framed: false }, schema: { type: 'string' }, notes: [] };
const NO_SCHEMA = (pointer: string): VerdictReason => ({ code: 'no-schema', message: 'no schema is registered for its values: any JSON is taken, and written as JSON', pointer });

/** One alternative of all that is wanted, in the order of `KafkaBinding.security`. */
export const securityOf = (slots: Readonly<Record<string, unknown>>): readonly (readonly string[])[] => {
  const wanted = ['sasl', 'registry'].filter((slot) => Object.hasOwn(slots, slot));
  return wanted.length === 0 ? [] : [wanted];
};

function payload(topic: TopicFacts, part: 'key' | 'value', pool: JsonSchemaPool, pointer: string): DefinedPayload | { readonly problem: VerdictReason } {
  const facts = topic[part];
  if (facts === undefined) return part === 'key' ? TEXT : ANY_JSON;
  try { return definePayload(facts, pool, { framed: true, schemaId: facts.id, subject: facts.subject, name: `${topic.name}.${part}`, pointer: `${pointer}/${part}` }); } catch (error) {
    if (!(error instanceof PayloadProblem) && !(error instanceof AdmissionError)) throw error;
    return { problem: { code: 'schema-unusable', message: `subject ${facts.subject}: ${error.message}`, pointer: `${pointer}/${part}/schema` } };
  }
}

export function readTopicsDocument(value: unknown, file: string): TopicsDocument {
  const found = value as Partial<TopicsDocument> | null;
  if (typeof found === 'object' && found?.kafkaTopics === 1 && Array.isArray(found.topics)) return found as TopicsDocument;
  throw new AdmissionError('not-asyncapi', `${file}: is neither an AsyncAPI document (asyncapi: 2.x or 3.x) nor what a Kafka cluster said of itself`);
}
