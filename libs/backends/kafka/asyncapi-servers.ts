import { AdmissionError } from '#libs/core/admission.js';
import type { VerdictReason } from '#libs/core/conversion.js';
import type { KafkaCluster } from '#libs/core/kafka-binding.js';
import type { CredentialSlot } from '#libs/core/rest-binding.js';
import { isObject, listOf, member, type RawObject, textOf, token } from '#libs/tool-listing/raw.js';
import { follow, type Place } from '#libs/backends/kafka/asyncapi-document.js';
import { clusterOfUrl, isBroker, isHttpUrl, slotOf } from '#libs/backends/kafka/connection.js';

export interface DocumentCluster {
  readonly cluster: Omit<KafkaCluster, 'topics' | 'topicPrefix'>;
  readonly slots: Readonly<Record<string, CredentialSlot>>;
  readonly notes: readonly VerdictReason[];
}

const PROTOCOLS: Readonly<Record<string, boolean>> = { kafka: false, 'kafka-secure': true };
const DEFAULT_PORT = '9092';
const MECHANISMS: Readonly<Record<string, NonNullable<KafkaCluster['sasl']>>> = { plain: 'plain', userPassword: 'plain', scramSha256: 'scram-sha-256', scramSha512: 'scram-sha-512', oauth2: 'oauthbearer', openIdConnect: 'oauthbearer' };

/** Where the document's topics are: its first Kafka server, or `baseUrl`. Throws `AdmissionError` naming the place and the fix. */
export function clusterOf(root: RawObject, baseUrl: string | undefined, file: string): DocumentCluster {
  const servers = Object.entries(isObject(root['servers']) ? root['servers'] : {}).map(([name, one]): Place => follow(root, one, `/servers${token(name)}`));
  const kafka = servers.filter(({ value }) => Object.hasOwn(PROTOCOLS, String(value['protocol'])));
  const [server] = kafka;
  const given = clusterOfUrl(baseUrl);
  if (baseUrl !== undefined && given === undefined) throw new AdmissionError('connection-invalid', `baseUrl: ${baseUrl} is not kafka://host:port or kafkas://host:port`);
  if (server === undefined && given === undefined) throw new AdmissionError('missing-server', `${file}: has no server of protocol kafka or kafka-secure; give its brokers as base URL, kafka://host:port`);
  const reached = given ?? reach(server as Place, file);
  const { sasl, slot } = server === undefined ? {} : saslOf(root, server);
  const registry = server === undefined ? undefined : registryOf(server, file);
  const notes: readonly VerdictReason[] = given === undefined && kafka.length > 1 ? [{ code: 'several-servers', message: `the document has ${kafka.length} Kafka servers; the first is used, another by base URL`, pointer: server?.pointer ?? '' }] : [];
  return { cluster: { ...reached, ...(sasl === undefined ? {} : { sasl }), ...(registry === undefined ? {} : { registry }) }, slots: slot === undefined ? {} : { sasl: slot }, notes };
}

function reach({ value, pointer }: Place, file: string): { readonly brokers: readonly string[]; readonly tls: boolean } {
  const text = textOf(value['host']) ?? textOf(value['url']);
  const where = textOf(value['host']) === undefined ? 'url' : 'host';
  if (text === undefined) throw new AdmissionError('missing-server', `${file}: ${pointer} has no host (AsyncAPI 3) or url (AsyncAPI 2)`);
  const variables = isObject(value['variables']) ? value['variables'] : {};
  const filled = text.replaceAll(/\{([^{}]+)\}/g, (whole, name: string) => { const variable = member(variables, name); return (isObject(variable) ? textOf(variable['default']) : undefined) ?? whole; });
  const brokers = filled.replace(/^kafka(?:-secure|s)?:\/\//, '').replace(/\/$/, '').split(',').map((one) => (/:\d+$/.test(one.trim()) ? one.trim() : `${one.trim()}:${DEFAULT_PORT}`));
  const wrong = brokers.find((broker) => !isBroker(broker));
  if (wrong !== undefined) throw new AdmissionError('missing-server', `${file}: ${pointer}/${where}: ${wrong} is not host:port; give the brokers as base URL, kafka://host:port`);
  return { brokers, tls: PROTOCOLS[String(value['protocol'])] ?? false };
}

function saslOf(root: RawObject, { value, pointer }: Place): { readonly sasl?: NonNullable<KafkaCluster['sasl']>; readonly slot?: CredentialSlot } {
  const asked = listOf(value['security']);
  if (asked.length === 0) return {};
  const components = isObject(root['components']) && isObject(root['components']['securitySchemes']) ? root['components']['securitySchemes'] : {};
  const schemes = asked.map((one, i) => {
    // AsyncAPI 2 names them, 3 holds them.
    const [name] = isObject(one) && one['type'] === undefined && one['$ref'] === undefined ? Object.keys(one) : [];
    return follow(root, name === undefined ? one : member(components, name), name === undefined ? `${pointer}/security/${i}` : `/components/securitySchemes${token(name)}`).value;
  });
  for (const scheme of schemes) {
    const sasl = MECHANISMS[String(scheme['type'])];
    if (sasl !== undefined) return { sasl, slot: slotOf(sasl) };
  }
  throw new AdmissionError('unsupported-security', `${pointer}/security: asks for ${schemes.map(({ type }) => String(type)).join(', ')}; plain, scramSha256, scramSha512 and oauth2 can be used`);
}

function registryOf({ value, pointer }: Place, file: string): string | undefined {
  const bindings = isObject(value['bindings']) ? value['bindings']['kafka'] : undefined;
  const url = isObject(bindings) ? bindings['schemaRegistryUrl'] : undefined;
  if (url === undefined) return undefined;
  if (!isHttpUrl(url)) throw new AdmissionError('connection-invalid', `${file}: ${pointer}/bindings/kafka/schemaRegistryUrl must be an http or https URL`);
  return url.replace(/\/+$/, '');
}
