import { AdmissionError } from '#libs/core/admission.js';
import { forbiddenHeaderParameter } from '#libs/core/header-names.js';
import type { KafkaCluster } from '#libs/core/kafka-binding.js';
import type { CredentialSlot } from '#libs/core/rest-binding.js';
import { isPattern, patternProblem, topicRefusal } from '#libs/backends/kafka/topic-rules.js';

/** Members of a Kafka API's `connection`, checked. */
export interface KafkaConnection {
  readonly cluster: KafkaCluster;
  /** `sasl`, `registry`: what the brokers and the registry want to be told of who asks. */
  readonly slots: Readonly<Record<string, CredentialSlot>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly callerHeaders: readonly string[];
  readonly callerPartition: boolean;
}

const BROKER = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):([1-9]\d{0,4})$/;
const MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'] as const;
const MAX_ENTRIES = 200;

function wrong(member: string, problem: string, code = 'connection-invalid'): never { throw new AdmissionError(code, `connection.${member}: ${problem}`); }

/** `prefix`: how the operator says that this tenant's topics begin. Rejects with `AdmissionError` naming the member and the fix. */
export function readConnection(given: Readonly<Record<string, unknown>>, prefix?: string): KafkaConnection {
  const { brokers, topics, registry, tls = false, ca, sasl, tenantPrefix, headers = {}, callerHeaders = [], callerPartition = false, ...rest } = given;
  const [stray] = Object.keys(rest);
  if (stray !== undefined) return wrong(stray, 'is not known; a Kafka connection has brokers, topics, registry, tls, ca, sasl, tenantPrefix, headers, callerHeaders and callerPartition');
  if (!isList(brokers) || brokers.length === 0) return wrong('brokers', 'is missing: a list of host:port');
  for (const [i, broker] of brokers.entries()) if (!isBroker(broker)) return wrong(`brokers[${i}]`, `${broker} is not host:port`);
  if (!isList(topics) || topics.length === 0) return wrong('topics', 'is missing: a list of topic names, or patterns such as orders.*');
  if (brokers.length > MAX_ENTRIES || topics.length > MAX_ENTRIES) return wrong(brokers.length > MAX_ENTRIES ? 'brokers' : 'topics', `has more than ${MAX_ENTRIES} entries`);
  if (typeof tls !== 'boolean') return wrong('tls', 'must be true or false');
  if (ca !== undefined && (typeof ca !== 'string' || !ca.includes('-----BEGIN CERTIFICATE-----'))) return wrong('ca', 'must be certificates in PEM');
  if (tenantPrefix !== undefined && (typeof tenantPrefix !== 'string' || patternProblem(tenantPrefix) !== undefined || isPattern(tenantPrefix))) return wrong('tenantPrefix', 'must be the beginning of topic names, without "*"');
  if (prefix !== undefined && tenantPrefix !== undefined && !tenantPrefix.startsWith(prefix)) return wrong('tenantPrefix', `must begin with "${prefix}", which the operator set for this tenant`, 'topic-outside-prefix');
  if (!isTexts(headers)) return wrong('headers', 'must be an object of texts');
  if (!isList(callerHeaders)) return wrong('callerHeaders', 'must be a list of header names');
  const taken = [...Object.keys(headers), ...callerHeaders].find((name) => isReservedHeader(name));
  if (taken !== undefined) return wrong(`headers.${taken}`, 'cannot be set here: it is the gateway\'s own, a credential\'s, or no header name');
  if (typeof callerPartition !== 'boolean') return wrong('callerPartition', 'must be true or false');
  const effective = tenantPrefix ?? prefix;
  const rules = { topics, ...(effective === undefined ? {} : { topicPrefix: effective }) };
  for (const [i, entry] of topics.entries()) {
    const problem = patternProblem(entry);
    if (problem !== undefined) return wrong(`topics[${i}]`, `"${entry}" ${problem}`);
    const refusal = isPattern(entry) ? undefined : topicRefusal(entry, rules);
    if (refusal !== undefined) return wrong(`topics[${i}]`, `"${entry}" ${refusal.problem}`, refusal.code);
  }
  const mechanism = readSasl(sasl);
  const schemas = readRegistry(registry);
  return {
    cluster: {
      brokers, tls, ...rules, ...(ca === undefined ? {} : { ca }),
      ...(mechanism === undefined ? {} : { sasl: mechanism }), ...(schemas === undefined ? {} : { registry: schemas.url }),
    },
    slots: { ...(mechanism === undefined ? {} : { sasl: slotOf(mechanism) }), ...(schemas?.auth === undefined ? {} : { registry: schemas.auth }) },
    headers, callerHeaders, callerPartition,
  };
}

/** The secret of a user is `user:password`; OAUTHBEARER takes a token. */
export const slotOf = (mechanism: NonNullable<KafkaCluster['sasl']>): CredentialSlot => (mechanism === 'oauthbearer' ? { type: 'bearer' } : { type: 'basic' });

export const isBroker = (text: string): boolean => BROKER.test(text) && Number(BROKER.exec(text)?.[1]) <= 65_535;

/** `kafka://host:port`, `kafkas://host:port` for TLS; several as `host:port,host:port`. Undefined: not of this form. */
export function clusterOfUrl(url: string | undefined): { readonly brokers: readonly string[]; readonly tls: boolean } | undefined {
  const [, scheme, list] = /^(kafkas?):\/\/([^/]+)\/?$/.exec(url ?? '') ?? [];
  const brokers = list?.split(',') ?? [];
  return brokers.length > 0 && brokers.every(isBroker) ? { brokers, tls: scheme === 'kafkas' } : undefined;
}

/** Headers that a message may not be given by definition or argument. */
export const isReservedHeader = (name: string): boolean => name === '' || name.length > 256 || (forbiddenHeaderParameter(name) && !/^(?:content-type|accept|via|expect|te)$/i.test(name));

function readSasl(given: unknown): KafkaCluster['sasl'] {
  if (given === undefined) return undefined;
  const mechanism = isObject(given) ? given['mechanism'] : given;
  const stray = isObject(given) ? Object.keys(given).find((member) => member !== 'mechanism') : undefined;
  if (stray !== undefined) return wrong(`sasl.${stray}`, 'does not belong here: user and password are bound to credential slot sasl, as user:password');
  const found = MECHANISMS.find((one) => one === String(mechanism).toLowerCase());
  return found ?? wrong('sasl.mechanism', `must be one of ${MECHANISMS.join(', ')}`);
}

function readRegistry(given: unknown): { readonly url: string; readonly auth?: CredentialSlot } | undefined {
  if (given === undefined) return undefined;
  const { url, auth } = isObject(given) ? given : { url: given, auth: undefined };
  if (!isHttpUrl(url)) return wrong('registry', 'must be the http or https URL of a schema registry, without user information, query or fragment; its credential belongs into slot registry');
  if (auth === undefined) return { url: url.replace(/\/+$/, '') };
  if (!isObject(auth) || (auth['type'] !== 'basic' && auth['type'] !== 'bearer')) return wrong('registry.auth', 'must be {"type":"basic"} or {"type":"bearer"}');
  return { url: url.replace(/\/+$/, ''), auth: { type: auth['type'] } };
}

export function isHttpUrl(value: unknown): value is string {
  const url = typeof value === 'string' ? URL.parse(value) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
}
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isList = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((one) => typeof one === 'string');
const isTexts = (value: unknown): value is Readonly<Record<string, string>> => isObject(value) && Object.values(value).every((text) => typeof text === 'string');
