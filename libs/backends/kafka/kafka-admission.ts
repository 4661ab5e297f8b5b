import kafkajs, { type Admin } from 'kafkajs';
import { type Admission, AdmissionError, type DescribeContext } from '#libs/core/admission.js';
import type { Connection } from '#libs/core/api-kind.js';
import type { ConversionOptions, ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { scrub } from '#libs/backends/http/credentials.js';
import type { KafkaClients } from '#libs/backends/kafka/clients.js';
import { type KafkaConnection, readConnection } from '#libs/backends/kafka/connection.js';
import type { SchemaFacts, TopicFacts, TopicsDocument } from '#libs/backends/kafka/convert-topics.js';
import { faultOf } from '#libs/backends/kafka/faults.js';
import { prefixOf } from '#libs/backends/kafka/prefix.js';
import { isRegistryFailure, type RegistryAccess, type SchemaRegistry } from '#libs/backends/kafka/registry.js';
import { isPattern, topicRefusal } from '#libs/backends/kafka/topic-rules.js';
import { convertInThread } from '#libs/tool-listing/conversion-thread.js';

export interface KafkaAdmissionOptions {
  readonly clients: KafkaClients;
  readonly registry: SchemaRegistry;
  /** Left out: clusters that want to know who asks cannot be asked. */
  readonly credentials?: CredentialResolver | undefined;
  /** How every tenant's topics begin, with `{tenant}` for its name; undefined: as its connection says. */
  readonly topicPrefix?: string | undefined;
}

const DESCRIBE_MS = 30_000;
const MAX_TOPICS = 1000;
/** Subjects asked for at the same time. */
const AT_ONCE = 8;
/** What a reader of a topic should know of it; the rest is the brokers' business. */
const CONFIGS = ['cleanup.policy', 'compression.type', 'max.message.bytes', 'message.timestamp.type', 'min.insync.replicas', 'retention.bytes', 'retention.ms'];

/** Kafka clusters by their metadata and their schema registry; AsyncAPI documents. */
export class KafkaAdmission implements Admission {
  readonly kind = 'kafka';
  constructor(private readonly options: KafkaAdmissionOptions) {}

  async describe(given: Connection, context: DescribeContext): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }> {
    const connection = readConnection(given, prefixOf(this.options.topicPrefix, context.tenant));
    const sasl = connection.slots['sasl'] === undefined ? undefined : await this.#secret('sasl', context);
    const registrySecret = connection.slots['registry'] === undefined ? undefined : await this.#secret('registry', context);
    const secrets = [sasl, registrySecret].filter((secret) => secret !== undefined);
    const topics = await this.#topics(connection, { context, sasl, secrets });
    const document: TopicsDocument = { kafkaTopics: 1, topics: await this.#schemas(topics, connection, { context, secret: registrySecret, secrets }) };
    return { bytes: Buffer.from(JSON.stringify(document, null, 1)), mediaType: 'application/json' };
  }

  /** In a thread of its own: the thread that serves must not wait for a large document. */
  convert(bytes: Uint8Array, options: ConversionOptions & { readonly fileName?: string; readonly tenant?: TenantSlug }): Promise<ConvertedDocument> {
    const topicPrefix = options.tenant === undefined ? undefined : prefixOf(this.options.topicPrefix, options.tenant);
    return convertInThread(import.meta.url, { bytes, options: { ...options, topicPrefix } }, { what: 'the document', remedy: 'give one of fewer topics' });
  }

  async #topics({ cluster }: KafkaConnection, { context, sasl, secrets }: { readonly context: DescribeContext; readonly sasl: string | undefined; readonly secrets: readonly string[] }): Promise<readonly TopicFacts[]> {
    const client = this.options.clients.to(context.tenant, cluster, { secret: sasl });
    const late = AbortSignal.timeout(DESCRIBE_MS);
    const stopped = new Promise<never>((_resolve, reject) => { late.addEventListener('abort', () => { reject(new AdmissionError('backend-timeout', `connection.brokers: the brokers did not describe themselves within ${DESCRIBE_MS / 1000} s`, 'backend')); }, { once: true }); });
    try {
      return await Promise.race([stopped, client.admin(async (admin) => {
        const all = await admin.listTopics();
        const missing = cluster.topics.findIndex((entry) => !isPattern(entry) && !all.includes(entry));
        if (missing >= 0) throw new AdmissionError('unknown-topic', `connection.topics[${missing}]: the cluster has no topic "${cluster.topics[missing] ?? ''}", or does not show it to this credential`);
        const names = all.filter((name) => topicRefusal(name, cluster) === undefined).toSorted();
        if (names.length === 0) throw new AdmissionError('no-topics', `connection.topics: no topic of the cluster is called ${cluster.topics.join(' or ')}${cluster.topicPrefix === undefined ? '' : ` and begins with "${cluster.topicPrefix}"`}`);
        if (names.length > MAX_TOPICS) throw new AdmissionError('too-many-topics', `connection.topics: ${names.length} topics match, the limit is ${MAX_TOPICS}; name fewer`);
        return factsOf(admin, names);
      })]);
    } catch (failure) {
      if (failure instanceof AdmissionError) throw failure;
      const { code, text } = faultOf(failure);
      throw new AdmissionError(code === 'EGRESS_REFUSED' ? 'backend-refused-address' : 'backend-error', `connection.brokers: ${scrub(text, secrets)}`, code === 'EGRESS_REFUSED' ? 'input' : 'backend');
    }
  }

  async #schemas(topics: readonly TopicFacts[], { cluster, slots }: KafkaConnection, { context, secret, secrets }: { readonly context: DescribeContext; readonly secret: string | undefined; readonly secrets: readonly string[] }): Promise<readonly TopicFacts[]> {
    if (cluster.registry === undefined) return topics;
    const slot = slots['registry'];
    const access: RegistryAccess = { url: cluster.registry, signal: context.signal, ...(secret === undefined || (slot?.type !== 'basic' && slot?.type !== 'bearer') ? {} : { credential: { slot, secret } }) };
    const described: TopicFacts[] = [];
    try {
      for (let at = 0; at < topics.length; at += AT_ONCE) {
        described.push(...await Promise.all(topics.slice(at, at + AT_ONCE).map(async (topic) => {
          const [key, value] = await Promise.all([this.#subject(access, `${topic.name}-key`), this.#subject(access, `${topic.name}-value`)]);
          return { ...topic, ...(key === undefined ? {} : { key }), ...(value === undefined ? {} : { value }) };
        })));
      }
    } catch (failure) {
      if (!isRegistryFailure(failure)) throw failure;
      const refused = 'kind' in failure && (failure.kind === 'refused-address' || failure.kind === 'invalid-request');
      throw new AdmissionError(`registry-${'kind' in failure ? failure.kind : 'error'}`, `connection.registry: ${scrub(failure.message, secrets)}`, refused ? 'input' : 'backend');
    }
    return described;
  }

  async #subject(access: RegistryAccess, subject: string): Promise<SchemaFacts | undefined> {
    const found = await this.options.registry.latest(access, subject);
    return found === undefined ? undefined : { subject, ...found };
  }

  async #secret(slot: 'sasl' | 'registry', { tenant, credentials }: DescribeContext): Promise<string> {
    const reference = credentials[slot];
    if (reference === undefined) throw new AdmissionError('missing-credential', `credentials.${slot} is missing: the connection says that one is wanted`);
    const secret = await this.options.credentials?.resolve(tenant, reference);
    if (secret === undefined) throw new AdmissionError('missing-credential', 'credentials cannot be read in this process; import an AsyncAPI document instead');
    if (secret instanceof Denial) throw new AdmissionError('missing-credential', `credentials.${slot}: ${secret.message}`);
    return secret;
  }
}

async function factsOf(admin: Admin, names: readonly string[]): Promise<readonly TopicFacts[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [...names] });
  const configs = await configsOf(admin, names);
  return topics.map(({ name, partitions }) => ({ name, partitions: partitions.length, configs: configs.get(name) ?? {} })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Brokers that do not let this credential read configurations leave them out. */
export async function configsOf(admin: Admin, names: readonly string[]): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  try {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: names.map((name) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames: CONFIGS })) });
    return new Map(resources.map(({ resourceName, configEntries }) => [resourceName, Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)))]));
  } catch (failure) {
    if (/AUTHORIZATION_FAILED/.test(faultOf(failure).kafkaError ?? '')) return new Map();
    throw failure;
  }
}
