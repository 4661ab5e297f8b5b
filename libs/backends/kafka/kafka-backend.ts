import { randomUUID } from 'node:crypto';
import type { IHeaders } from 'kafkajs';
import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { KafkaBinding, KafkaCluster, KafkaPayload } from '#libs/core/kafka-binding.js';
import type { Backend, CredentialResolver } from '#libs/core/ports.js';
import type { Target } from '#libs/core/target.js';
import { type AppliedCredential, certificateOf, gatherCredentials, scrub } from '#libs/backends/http/credentials.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import type { KafkaClient, KafkaClients } from '#libs/backends/kafka/clients.js';
import { offsetsAt, partitionsOf, type StoredMessage } from '#libs/backends/kafka/cluster.js';
import { clusterOfUrl } from '#libs/backends/kafka/connection.js';
import { DeadlinePassed, failedAnswer, faultOf } from '#libs/backends/kafka/faults.js';
import { configsOf } from '#libs/backends/kafka/kafka-admission.js';
import { PayloadCodecs, registryAccess } from '#libs/backends/kafka/payload-codec.js';
import { prefixOf } from '#libs/backends/kafka/prefix.js';
import { awaitMessage, cursorOf, readLot, readRequest } from '#libs/backends/kafka/read-messages.js';
import type { RegistryAccess, SchemaRegistry } from '#libs/backends/kafka/registry.js';
import { topicRefusal } from '#libs/backends/kafka/topic-rules.js';

export interface KafkaBackendOptions {
  readonly clients: KafkaClients;
  readonly registry: SchemaRegistry;
  readonly credentials: CredentialResolver;
  /** See `KafkaAdmissionOptions.topicPrefix`. */
  readonly topicPrefix?: string | undefined;
  /** Why an answer does not keep the tool's `outputSchema`; undefined when it does. Left out: answers are not checked. */
  readonly checkOutput?: (target: Target, value: unknown) => string | undefined;
}

/** One call with all that it is done with. */
interface Work {
  readonly call: ValidatedCall;
  readonly binding: KafkaBinding;
  readonly client: KafkaClient;
  readonly access: RegistryAccess | undefined;
  readonly owner: string;
  /** Its time is up, or its caller is gone. */
  readonly isOver: () => boolean;
}
interface Done { readonly json: string; readonly bytes: number }

/** Milliseconds of a call's time that reading leaves for what it has begun to fetch, and for its answer; half of a shorter time. */
const SPARE_MS = 1000;

/**
 * Writes and reads topics of Kafka clusters. The topic is the definition's and is checked again at each call; what a caller gives is the message. Reading joins no
 * group and commits nothing. Whatever Kafka says against a call is a tool error with its own word for it.
 */
export class KafkaBackend implements Backend {
  readonly #codecs: PayloadCodecs;
  constructor(private readonly options: KafkaBackendOptions) { this.#codecs = new PayloadCodecs(options.registry); }

  async invoke(call: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = call.target.backend as KafkaBinding;
    const refused = this.#refuse(binding, call);
    if (refused !== undefined) return refused;
    const gathered = gatherCredentials(this.options.credentials, call, binding.security);
    const credentials = gathered instanceof Promise ? await gathered : gathered;
    if (credentials instanceof Denial) return credentials;
    const [alternative = []] = binding.security;
    const bound = (slot: string): AppliedCredential | undefined => (alternative.includes(slot) ? credentials[alternative.indexOf(slot)] : undefined);
    const secrets = credentials.flatMap(({ secret, slot }) => (slot.type === 'basic' ? [secret, secret.slice(secret.indexOf(':') + 1)] : [secret])).filter(({ length }) => length >= 8);

    const owner = String(call.api?.tenant ?? call.target.tenant ?? '');
    const startedAt = performance.now();
    const { timeoutMs } = call.target;
    const { signal } = call.exchange;
    const client = this.options.clients.to(owner, clusterOf(binding.cluster, call.api?.baseUrl), { secret: bound('sasl')?.secret, certificate: certificateOf(credentials) });
    const work: Work = { call, binding, client, access: registryAccess(binding.cluster, bound('registry'), signal), owner, isOver: () => signal.aborted || performance.now() - startedAt > timeoutMs - Math.min(SPARE_MS, timeoutMs / 2) };
    try {
      const { json, bytes } = await within(this.#do(work), timeoutMs, signal, binding.action);
      return this.#answer(call, { json: scrub(json, secrets), bytes }, performance.now() - startedAt);
    } catch (failure) {
      if (signal.aborted) return new Denial({ code: 'CANCELLED', message: binding.action === 'publish' || binding.action === 'request' ? 'The call was cancelled; its message may have been written.' : 'The call was cancelled.' });
      if (failure instanceof PayloadProblem) return new Denial({ code: 'INVALID_ARGUMENTS', message: `Invalid arguments: ${failure.pointer === '' ? 'arguments' : failure.pointer} ${failure.message}`, issues: [{ pointer: failure.pointer, message: failure.message }] });
      const fault = faultOf(failure);
      return failedAnswer({ ...fault, text: scrub(fault.text, secrets) }, performance.now() - startedAt);
    }
  }

  /** The definition is checked as if it were the caller's: whatever put it into the catalogue, nothing outside the rules is touched. */
  #refuse({ action, topic, reply, cluster }: KafkaBinding, call: ValidatedCall): Denial | undefined {
    const tenant = call.target.tenant ?? call.principal.tenant;
    const prefix = prefixOf(this.options.topicPrefix, tenant);
    const named = action === 'describe' ? [String(call.input['topic'])] : action === 'list' ? [] : [topic ?? '', ...(reply === undefined ? [] : [reply.topic])];
    for (const one of named) {
      const refusal = topicRefusal(one, cluster) ?? (prefix === undefined ? undefined : topicRefusal(one, { ...cluster, topicPrefix: prefix }));
      if (refusal !== undefined) return new Denial({ code: 'FORBIDDEN', message: `The topic ${one} ${refusal.problem}.`, reason: refusal.code });
    }
    return undefined;
  }

  #do(work: Work): Promise<Done> {
    const does: Readonly<Record<KafkaBinding['action'], () => Promise<Done>>> = { publish: () => this.#publish(work), request: () => this.#request(work), consume: () => this.#consume(work), list: () => this.#list(work), describe: () => this.#describe(work) };
    return does[work.binding.action]();
  }

  async #publish(work: Work, more: Readonly<Record<string, string>> = {}): Promise<Done> {
    const { call: { input }, binding: { topic = '', value, key, callerPartition } } = work;
    const message = {
      value: value === undefined ? Buffer.alloc(0) : await this.#encode(work, value, 'body'), key: key === undefined || input['key'] === undefined ? null : await this.#encode(work, key, 'key'),
      headers: { ...headersOf(work), ...more }, ...(callerPartition && typeof input['partition'] === 'number' ? { partition: input['partition'] } : {}),
    };
    if (work.isOver()) throw new DeadlinePassed('The time was up before the message was sent');
    const { partition, baseOffset = '' } = await work.client.send({ topic, messages: [message] });
    return { json: JSON.stringify({ topic, partition, offset: baseOffset }), bytes: 0 };
  }

  async #encode({ call: { input }, access, owner }: Work, payload: KafkaPayload, argument: 'body' | 'key'): Promise<Buffer> {
    try { return await this.#codecs.encode(payload, input[argument], access, owner); } catch (error) {
      if (error instanceof PayloadProblem) throw new PayloadProblem(error.message, `/${argument}${error.pointer}`);
      throw error;
    }
  }

  /** The reply's topic is read from its end as it was before the request was sent, so that no reply is too early. */
  async #request(work: Work): Promise<Done> {
    const { reply } = work.binding;
    if (reply === undefined) throw new Error('the catalogue has a request without a reply');
    const correlation = randomUUID();
    return work.client.reading(reply.topic, async (cluster) => {
      const from = await offsetsAt(cluster, reply.topic, partitionsOf(cluster, reply.topic), 'latest');
      const { json: request } = await this.#publish(work, { [reply.correlationHeader]: correlation, ...(reply.replyToHeader === undefined ? {} : { [reply.replyToHeader]: reply.topic }) });
      const found = await awaitMessage(cluster, reply.topic, from, { is: ({ headers }) => headerText(headers?.[reply.correlationHeader]) === correlation, isOver: work.isOver });
      if (found === undefined) throw new DeadlinePassed('The request was written, and no reply to it came in time');
      const told = await this.#told(found, { value: reply.value, key: undefined }, work);
      return { json: `{"request":${request},"reply":${told}}`, bytes: found.value?.byteLength ?? 0 };
    });
  }

  async #consume(work: Work): Promise<Done> {
    const { call: { input }, binding: { topic = '', value, key } } = work;
    const { messages, offsets, atEnd, bytes } = await work.client.reading(topic, (cluster) => readLot(cluster, topic, readRequest(input, topic), work.isOver));
    const told: string[] = [];
    for (const message of messages) told.push(await this.#told(message, { value, key }, work));
    return { json: `{"messages":[${told.join(',')}],"cursor":${JSON.stringify(cursorOf(topic, offsets))},"atEnd":${String(atEnd)}}`, bytes };
  }

  async #told({ partition, offset, timestamp, key, value, headers }: StoredMessage & { readonly partition: number }, payloads: { readonly value: KafkaPayload | undefined; readonly key: KafkaPayload | undefined }, { access, owner }: Work): Promise<string> {
    const body = await this.#codecs.decode(payloads.value, value, access, owner);
    const own = await this.#codecs.decode(payloads.key, key, access, owner);
    const about = JSON.stringify({ partition, offset, timestamp: new Date(Number(timestamp)).toISOString(), encoding: body.encoding, ...(body.schemaId === undefined ? {} : { schemaId: body.schemaId }), headers: Object.fromEntries(Object.entries(headers ?? {}).map(([name, one]) => [name, headerValue(one)])) });
    return `${about.slice(0, -1)},"key":${own.json},"value":${body.json}}`;
  }

  async #list({ client, binding: { cluster }, call }: Work): Promise<Done> {
    const prefix = prefixOf(this.options.topicPrefix, call.target.tenant ?? call.principal.tenant);
    const may = (name: string): boolean => topicRefusal(name, cluster) === undefined && (prefix === undefined || name.startsWith(prefix));
    const topics = await client.admin(async (admin) => {
      const names = (await admin.listTopics()).filter(may).toSorted();
      if (names.length === 0) return [];
      return (await admin.fetchTopicMetadata({ topics: names })).topics.map(({ name, partitions }) => ({ name, partitions: partitions.length }));
    });
    return { json: JSON.stringify({ topics: topics.toSorted((a, b) => (a.name < b.name ? -1 : 1)) }), bytes: 0 };
  }

  async #describe({ client, call: { input } }: Work): Promise<Done> {
    const name = String(input['topic']);
    return client.admin(async (admin) => {
      const { topics: [topic] } = await admin.fetchTopicMetadata({ topics: [name] });
      const offsets = await admin.fetchTopicOffsets(name);
      const configs = (await configsOf(admin, [name])).get(name) ?? {};
      const partitions = (topic?.partitions ?? []).toSorted((a, b) => a.partitionId - b.partitionId).map(({ partitionId, replicas, isr }) => {
        const at = offsets.find(({ partition }) => partition === partitionId);
        return { partition: partitionId, first: at?.low ?? '0', next: at?.high ?? '0', replicas: replicas.length, inSync: isr.length };
      });
      return { json: JSON.stringify({ name, partitions, configs }), bytes: 0 };
    });
  }

  #answer(call: ValidatedCall, { json, bytes }: Done, latencyMs: number): BackendAnswer {
    const wrong = this.options.checkOutput?.(call.target, JSON.parse(json));
    if (wrong !== undefined) return failedAnswer({ code: 'BACKEND_CONTRACT_VIOLATION', text: `The backend's answer does not keep the output schema of ${call.target.name}: ${wrong}. Its answer follows.\n${json}`, timedOut: false }, latencyMs);
    return { result: { type: 'tool', isError: false, content: [{ type: 'text', text: json }], structuredJson: json }, outcome: 'success', latencyMs, bytes };
  }
}

function clusterOf(cluster: KafkaCluster, baseUrl: string | undefined): KafkaCluster {
  const given = clusterOfUrl(baseUrl);
  return given === undefined ? cluster : { ...cluster, ...given };
}

/** Fixed ones, those that the definition lets the caller give, and ours. */
function headersOf({ call, binding }: Work): Record<string, string> {
  const given = call.input['headers'];
  const headers: Record<string, string> = { ...binding.headers };
  for (const name of binding.callerHeaders) {
    const value: unknown = typeof given === 'object' && given !== null && Object.hasOwn(given, name) ? (given as Readonly<Record<string, unknown>>)[name] : undefined;
    if (value !== undefined) headers[name] = typeof value === 'string' ? value : JSON.stringify(value);
  }
  const tenant = call.target.tenant ?? call.principal.tenant;
  headers['x-request-id'] = call.requestId;
  headers['x-stoa-tool-name'] = call.target.name;
  if (tenant !== undefined) headers['x-stoa-tenant-id'] = tenant;
  if (call.traceparent !== undefined) headers['traceparent'] = call.traceparent;
  if (call.traceparent !== undefined && call.tracestate !== undefined) headers['tracestate'] = call.tracestate;
  return headers;
}

type HeaderValue = IHeaders[string];
const headerText = (value: HeaderValue): string | undefined => (Buffer.isBuffer(value) ? value.toString('utf8') : typeof value === 'string' ? value : Array.isArray(value) ? headerText(value[0]) : undefined);
function headerValue(value: HeaderValue): unknown {
  if (Array.isArray(value)) return value.map((one) => headerValue(one));
  if (!Buffer.isBuffer(value)) return value ?? null;
  const text = value.toString('utf8');
  return Buffer.from(text).equals(value) ? text : { base64: value.toString('base64') };
}

/** kafkajs cannot be told to stop: what it still does ends by itself, and nobody waits for it. */
async function within<T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal, action: KafkaBinding['action']): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  const ended = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new DeadlinePassed(`No answer within ${timeoutMs} ms${action === 'publish' || action === 'request' ? '; the message may have been written' : ''}`)); }, timeoutMs);
    abort = () => { reject(new Error('aborted')); };
    if (signal.aborted) abort(); else signal.addEventListener('abort', abort, { once: true });
  });
  work.catch(() => undefined);
  try { return await Promise.race([work, ended]); } finally {
    clearTimeout(timer);
    if (abort !== undefined) signal.removeEventListener('abort', abort);
  }
}
