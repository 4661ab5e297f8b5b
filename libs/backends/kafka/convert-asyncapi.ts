import { AdmissionError } from '#libs/core/admission.js';
import type { VerdictReason } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { KafkaCluster, KafkaReply } from '#libs/core/kafka-binding.js';
import type { CredentialSlot } from '#libs/core/rest-binding.js';
import { isObject, listOf, type RawObject, textOf, token } from '#libs/tool-listing/raw.js';
import type { OperationPlan } from '#libs/tool-listing/tools-of.js';
import { follow, type Place, withTraits } from '#libs/backends/kafka/asyncapi-document.js';
import { type ReadMessage, readMessages, type Source } from '#libs/backends/kafka/asyncapi-messages.js';
import { clusterOf } from '#libs/backends/kafka/asyncapi-servers.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import { securityOf } from '#libs/backends/kafka/convert-topics.js';
import { JsonSchemaPool } from '#libs/backends/kafka/json-schema-pool.js';
import { consumePlan, publishPlan, refusedPlan } from '#libs/backends/kafka/topic-plans.js';
import { topicRefusal } from '#libs/backends/kafka/topic-rules.js';

export interface AsyncapiResult {
  readonly format: 'asyncapi-2' | 'asyncapi-3';
  readonly title: string; readonly version: string; readonly description: string;
  readonly plans: readonly OperationPlan[];
  readonly definitions: Record<string, JsonSchema>;
  readonly slots: Readonly<Record<string, CredentialSlot>>;
}

/** An operation of either version. What the document's application receives is written by a caller, and what it sends is read. */
interface Operation {
  readonly place: Place;
  readonly action: 'publish' | 'consume';
  readonly channel: Place;
  readonly address: string | undefined;
  readonly operationId: string | undefined;
  readonly messages: readonly Place[];
}

/** AsyncAPI 2.x and 3.x. Throws `AdmissionError`; what is wrong with one operation refuses that one. */
export function planAsyncapi(root: RawObject, { baseUrl, topicPrefix, file }: { readonly baseUrl: string | undefined; readonly topicPrefix: string | undefined; readonly file: string }): AsyncapiResult {
  const version = /^([23])\.\d+/.exec(String(root['asyncapi']))?.[1];
  if (version === undefined) throw new AdmissionError('not-asyncapi', `${file}: asyncapi is ${JSON.stringify(root['asyncapi'])}; versions 2.x and 3.x are read`);
  const { cluster, slots, notes } = placed(file, () => clusterOf(root, baseUrl, file));
  const operations = placed(file, () => (version === '2' ? operationsOf2(root) : operationsOf3(root)));
  const reachable: KafkaCluster = { ...cluster, topics: [...new Set(operations.flatMap((one) => topicOf(one) ?? []))].toSorted(), ...(topicPrefix === undefined ? {} : { topicPrefix }) };
  const source: Source = { root, version: version === '2' ? 2 : 3, pool: new JsonSchemaPool({}), registry: cluster.registry };
  const plans = operations.map((operation) => planOf(operation, { source, cluster: reachable, slots, notes }));
  const info = isObject(root['info']) ? root['info'] : {};
  return { format: version === '2' ? 'asyncapi-2' : 'asyncapi-3', title: textOf(info['title']) ?? file, version: textOf(info['version']) ?? '', description: textOf(info['description']) ?? '', plans, definitions: source.pool.definitions, slots };
}

function operationsOf2(root: RawObject): readonly Operation[] {
  return Object.entries(isObject(root['channels']) ? root['channels'] : {}).flatMap(([address, given]): readonly Operation[] => {
    const channel = follow(root, given, `/channels${token(address)}`);
    return (['publish', 'subscribe'] as const).flatMap((verb): readonly Operation[] => {
      if (channel.value[verb] === undefined) return [];
      const place = withTraits(root, follow(root, channel.value[verb], `${channel.pointer}/${verb}`), true);
      const message = place.value['message'];
      const several = isObject(message) ? listOf(message['oneOf']) : [];
      const messages = several.length > 0 ? several.map((one, i) => ({ value: one as RawObject, pointer: `${place.pointer}/message/oneOf/${i}` })) : isObject(message) ? [{ value: message, pointer: `${place.pointer}/message` }] : [];
      return [{ place, action: verb === 'publish' ? 'publish' : 'consume', channel, address, operationId: textOf(place.value['operationId']), messages }];
    });
  });
}

function operationsOf3(root: RawObject): readonly Operation[] {
  return Object.entries(isObject(root['operations']) ? root['operations'] : {}).map(([operationId, given]): Operation => {
    const place = withTraits(root, follow(root, given, `/operations${token(operationId)}`), false);
    const channel = follow(root, place.value['channel'], `${place.pointer}/channel`);
    return { place, action: place.value['action'] === 'receive' ? 'publish' : 'consume', channel, address: textOf(channel.value['address']), operationId, messages: messagesOf(place.value['messages'], channel, `${place.pointer}/messages`) };
  });
}

/** Of an operation or a reply; where it says nothing, all of its channel's. */
function messagesOf(given: unknown, channel: Place, pointer: string): readonly Place[] {
  if (Array.isArray(given)) return given.map((one, i) => ({ value: one as RawObject, pointer: `${pointer}/${i}` }));
  return Object.entries(isObject(channel.value['messages']) ? channel.value['messages'] : {}).map(([name, one]) => ({ value: one as RawObject, pointer: `${channel.pointer}/messages${token(name)}` }));
}

function topicOf({ channel, address }: Pick<Operation, 'channel' | 'address'>): string | undefined {
  const bindings = isObject(channel.value['bindings']) ? channel.value['bindings']['kafka'] : undefined;
  return (isObject(bindings) ? textOf(bindings['topic']) : undefined) ?? address;
}

interface Parts { readonly source: Source; readonly cluster: KafkaCluster; readonly slots: Readonly<Record<string, CredentialSlot>>; readonly notes: readonly VerdictReason[] }

function planOf(operation: Operation, { source, cluster, slots, notes }: Parts): OperationPlan {
  const { place: { value, pointer }, action } = operation;
  const topic = topicOf(operation) ?? '';
  const tags = listOf(value['tags']).flatMap((tag) => (isObject(tag) ? textOf(tag['name']) ?? [] : []));
  const about = {
    path: topic === '' ? pointer : topic, operationId: operation.operationId ?? `${action}_${topic}`, topic, tags: tags.length === 0 ? [topic] : tags, title: textOf(value['title']) ?? textOf(value['summary']),
    description: textOf(value['description']) ?? textOf(value['summary']) ?? textOf(operation.channel.value['description']) ?? (action === 'publish' ? `Writes one message to the topic ${topic}.` : `Reads messages of the topic ${topic}.`),
    deprecated: value['deprecated'] === true, notes,
  };
  const method = action === 'publish' ? 'PUBLISH' : 'CONSUME';
  const refuse = (reason: VerdictReason): OperationPlan => refusedPlan(method, about, reason);
  if (topic.includes('{')) return refuse({ code: 'topic-parameter', message: `the topic ${topic} has a parameter, and a caller must not choose topics; describe one channel for each topic`, pointer: operation.channel.pointer });
  const refusal = topicRefusal(topic, cluster);
  if (refusal !== undefined) return refuse({ code: refusal.code, message: `"${topic}" ${refusal.problem}`, pointer: operation.channel.pointer });
  if (!serves(source.root, operation.channel)) return refuse({ code: 'not-kafka', message: 'none of the channel\'s servers is a Kafka server', pointer: `${operation.channel.pointer}/servers` });
  try {
    const message = readMessages(source, operation.messages, topic);
    const reached = { cluster, security: securityOf(slots) };
    const from = { ...about, reasons: message.reasons, notes: [...notes, ...message.notes] };
    if (action === 'consume') return consumePlan({ ...from, reasons: [] }, message.shape, reached);
    const reply = value['reply'] === undefined ? undefined : replyOf(source, operation, message, cluster);
    if (reply === undefined || 'reason' in reply) return publishPlan({ ...from, reasons: reply === undefined ? from.reasons : [...from.reasons, reply.reason] }, message.shape, reached);
    const { [reply.reply.correlationHeader]: _ours, [reply.reply.replyToHeader ?? '']: _too, ...callerHeaders } = message.shape.callerHeaders;
    return publishPlan(from, { ...message.shape, callerHeaders, requiredHeaders: (message.shape.requiredHeaders ?? []).filter((name) => Object.hasOwn(callerHeaders, name)) }, { cluster: { ...cluster, topics: [...cluster.topics, reply.reply.topic] }, security: reached.security }, reply);
  } catch (error) {
    if (error instanceof PayloadProblem) return refuse({ code: 'schema-unusable', message: error.message, pointer: error.pointer === '' ? pointer : error.pointer });
    if (error instanceof AdmissionError) return refuse({ code: error.code, message: error.message, pointer });
    throw error;
  }
}

function serves(root: RawObject, { value, pointer }: Place): boolean {
  const servers = listOf(value['servers']);
  const all = isObject(root['servers']) ? root['servers'] : {};
  return servers.length === 0 || servers.some((one, i) => ['kafka', 'kafka-secure'].includes(String((typeof one === 'string' ? follow(root, all[one], `/servers${token(one)}`) : follow(root, one, `${pointer}/servers/${i}`)).value['protocol'])));
}

/** AsyncAPI 3 Operation Reply Object: its channel, or an address that the request tells in a header. */
function replyOf(source: Source, { place, channel: own }: Operation, request: ReadMessage, cluster: KafkaCluster): { readonly reply: KafkaReply; readonly schema: boolean } | { readonly reason: VerdictReason } {
  const { root } = source;
  const { value, pointer } = follow(root, place.value['reply'], `${place.pointer}/reply`);
  const not = (code: string, message: string): { readonly reason: VerdictReason } => ({ reason: { code, message: `${message}: the request is sent, and its reply is not waited for`, pointer } });
  if (value['channel'] === undefined) return not('reply-without-channel', 'the reply has no channel of its own');
  const channel = follow(root, value['channel'], `${pointer}/channel`);
  const topic = topicOf({ channel, address: textOf(channel.value['address']) });
  if (topic === undefined || topic === topicOf({ channel: own, address: textOf(own.value['address']) })) return not('reply-without-topic', 'the reply\'s channel has no topic of its own');
  const refusal = topicRefusal(topic, { ...cluster, topics: [topic] });
  if (refusal !== undefined) return not(refusal.code, `the reply's topic "${topic}" ${refusal.problem}`);
  const location = isObject(value['address']) ? textOf(follow(root, value['address'], `${pointer}/address`).value['location']) : undefined;
  const replyToHeader = /^\$message\.header#\/([^/]+)$/.exec(location ?? '')?.[1];
  if (request.correlationHeader === undefined) return not('correlation', `the request's message has no correlation id in a header (${request.correlation ?? 'no correlationId'})`);
  const message = readMessages(source, messagesOf(value['messages'], channel, `${pointer}/messages`), topic);
  return { reply: { topic, value: message.shape.value.payload, correlationHeader: request.correlationHeader, ...(replyToHeader === undefined ? {} : { replyToHeader }) }, schema: true };
}

function placed<T>(file: string, make: () => T): T {
  try { return make(); } catch (error) {
    if (error instanceof PayloadProblem) throw new AdmissionError('not-asyncapi', `${file}: ${error.pointer === '' ? '/' : error.pointer} ${error.message}`);
    throw error;
  }
}
