import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const flag = () => z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] });
const UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };
/** Bytes, with a binary unit if one is given: `500M`, `4GiB`. */
const bytes = (min: number) => z.string().transform((text, context) => {
  const [, digits, unit] = /^(\d{1,15})\s*([KMGT]?)(?:i?B)?$/i.exec(text.trim()) ?? [];
  const value = Number(digits) * (UNITS[unit?.toUpperCase() ?? ''] ?? 1);
  if (digits !== undefined && value >= min && Number.isSafeInteger(value)) return value;
  context.issues.push({ code: 'custom', message: `expected a number of bytes, at least ${min}, such as 500M or 4G`, input: text });
  return z.NEVER;
});
const topic = () => z.string().regex(/^[\w.-]{1,249}$/, 'expected a Kafka topic: letters, digits, dot, hyphen, underscore, at most 249');
const word = () => z.string().regex(/^[\w.-]{1,128}$/, 'expected letters, digits, dot, hyphen, underscore, at most 128');

/** The journal's part of a process's configuration. */
export const journalFields = {
  meteringEnabled: flag().prefault('true').meta({ env: 'METERING_ENABLED', description: 'Every call on record: journal, usage events, audit records. `false`: calls are neither counted nor audited.' }),
  journalDir: z.string().min(1).optional().meta({ env: 'JOURNAL_DIR', description: 'Folder of the usage journal, on a disk that survives the process; one process at a time. Unset: {DATA_DIR}/journal, or .stoa/journal without DATA_DIR.' }),
  journalMode: z.enum(['journal', 'journal+ack']).default('journal').meta({ env: 'JOURNAL_MODE', description: '`journal`: a reply leaves when its record is on this disk. `journal+ack`: when the broker has it as well, so that the loss of this disk loses nothing; then calls fail while the broker is away.' }),
  journalMaxBytes: bytes(1024 * 1024).prefault('4G').meta({ env: 'JOURNAL_MAX_BYTES', description: 'Largest size of the journal, such as 500M or 4G. About 1 KB a call waits here while the broker is away; beyond it calls are answered 503 before their backend is asked.' }),
  recordArgumentBytes: z.coerce.number().int().min(0).max(1024 * 1024).default(4096).meta({ env: 'RECORD_ARGUMENT_BYTES', description: 'Largest arguments, redacted, that are kept in a call\'s record, in bytes of JSON; of larger ones the SHA-256 is. Nothing of them is kept where redaction is off.' }),
};

/** The broker's part. */
export const kafkaFields = {
  kafkaBrokers: z.string().transform((text, context) => {
    const brokers = text.split(',').map((one) => one.trim()).filter((one) => one !== '');
    if (brokers.length > 0 && brokers.every((one) => /^(\[[\da-fA-F:]+\]|[\w.-]+):\d{1,5}$/.test(one))) return brokers;
    context.issues.push({ code: 'custom', message: 'expected host:port, several separated by commas', input: text });
    return z.NEVER;
  }).prefault('localhost:9092').meta({ env: 'KAFKA_BOOTSTRAP_SERVERS', description: 'Kafka brokers that take the journal\'s records. While they are away calls go on and the journal grows.' }),
  kafkaTls: flag().prefault('false').meta({ env: 'KAFKA_TLS', description: 'TLS to the brokers, with the system\'s certificate authorities.' }),
  kafkaSaslMechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).optional().meta({ env: 'KAFKA_SASL_MECHANISM', description: 'How to sign in to the brokers; unset: not at all.' }),
  kafkaUsername: z.string().optional().meta({ env: 'KAFKA_USERNAME', description: 'For KAFKA_SASL_MECHANISM.' }),
  kafkaPassword: z.string().optional().meta({ env: 'KAFKA_PASSWORD', description: 'For KAFKA_SASL_MECHANISM.', secret: true }),
  meteringTopic: topic().default('stoa.metering.events').meta({ env: 'METERING_TOPIC', description: 'Usage events, one per call.' }),
  auditTopic: topic().default('stoa.audit.events').meta({ env: 'AUDIT_TOPIC', description: 'Call records, one per call.' }),
  deadLetterTopic: topic().default('stoa.metering.dead-letter').meta({ env: 'METERING_DEAD_LETTER_TOPIC', description: 'Events that a consumer could not take.' }),
  alertTopic: topic().default('stoa.metering.alerts').meta({ env: 'METERING_ALERT_TOPIC', description: 'Spent budgets and quarantined events.' }),
  meteringPartitions: z.coerce.number().int().min(1).max(1000).default(12).meta({ env: 'METERING_PARTITIONS', description: 'Of the events\' topic, when it has to be created.' }),
  kafkaReplicationFactor: z.coerce.number().int().min(-1).max(10).refine((value) => value !== 0, 'expected -1 or at least 1').default(-1).meta({ env: 'KAFKA_REPLICATION_FACTOR', description: 'Of topics that have to be created; -1: the broker\'s default.' }),
  kafkaMinInSync: z.coerce.number().int().min(1).max(10).optional().meta({ env: 'KAFKA_MIN_INSYNC_REPLICAS', description: '`min.insync.replicas` of topics that have to be created; unset: the broker\'s default. With 2 or more of 3 the loss of a broker loses nothing.' }),
};

export const meteringFields = {
  ...journalFields,
  clusterName: word().default('default').meta({ env: 'CLUSTER_NAME', description: 'First part of the `source` of usage events: /gw/{CLUSTER_NAME}/{INSTANCE_NAME}/{boot}.' }),
  instanceName: word().optional().meta({ env: 'INSTANCE_NAME', description: 'Second part; unset: the host\'s name.' }),
  ...kafkaFields,
};

const Fields = z.object(meteringFields);
type MeteringConfig = z.infer<typeof Fields>;

/** Where the journal is. */
export const journalFolder = (config: Pick<MeteringConfig, 'journalDir'>, dataDir: string | undefined): string => config.journalDir ?? join(dataDir ?? '.stoa', 'journal');
export const instanceOf = (config: Pick<MeteringConfig, 'instanceName'>): string => config.instanceName ?? (hostname().replace(/[^\w.-]/g, '-').slice(0, 128) || 'gateway');

/** How to reach the brokers. */
export function kafkaOf(config: Pick<MeteringConfig, keyof typeof kafkaFields>, clientId: string) {
  const { kafkaSaslMechanism: mechanism, kafkaUsername: username = '', kafkaPassword: password = '' } = config;
  return {
    brokers: config.kafkaBrokers, clientId, ssl: config.kafkaTls, ...(mechanism === undefined ? {} : { sasl: { mechanism, username, password } }),
    topics: { events: config.meteringTopic, audit: config.auditTopic, deadLetter: config.deadLetterTopic, alerts: config.alertTopic },
    settings: { partitions: config.meteringPartitions, replicas: config.kafkaReplicationFactor, minInSync: config.kafkaMinInSync },
  };
}
