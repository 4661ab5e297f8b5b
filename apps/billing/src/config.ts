import { z } from 'zod';
import { kafkaFields } from '#libs/metering/metering-fields.js';

/** The billing process's whole configuration; docs/configuration.md is generated from it. */
export const BillingConfig = z.object({
  host: z.string().default('0.0.0.0').meta({ env: 'HOST', description: 'Address of the probes.' }),
  port: z.coerce.number().int().min(0).max(65_535).default(8082).meta({ env: 'PORT', description: 'TCP port of the probes (/health, /ready); 0 takes any free one.' }),
  databaseUrl: z.string().regex(/^postgres(ql)?:\/\//, 'expected postgres://user:password@host:port/database').meta({ env: 'DATABASE_URL', description: 'Postgres with the ledger; the controller brings it to its schema.', secret: true }),
  databaseConnections: z.coerce.number().int().min(2).max(200).default(10).meta({ env: 'DATABASE_CONNECTIONS', description: 'Connections to it at most.' }),
  groupId: z.string().regex(/^[\w.-]{1,200}$/).default('stoa-billing').meta({ env: 'BILLING_GROUP', description: 'Consumer group by which replicas share the partitions. How far they have come is in the database, not in the group.' }),
  callRecordDays: z.coerce.number().int().min(1).max(40).default(30).meta({ env: 'CALL_RECORD_DAYS', description: 'Days that whole call records are kept, to explain calls.' }),
  ledgerDays: z.coerce.number().int().min(41).max(36_500).optional().meta({ env: 'LEDGER_DAYS', description: 'Days that ledger entries are kept, at least 41; unset: for ever.' }),
  auditCheckpointTopic: z.string().regex(/^[\w.-]{1,249}$/, 'expected a Kafka topic').default('stoa.audit.checkpoints').meta({ env: 'AUDIT_CHECKPOINT_TOPIC', description: 'Topic that signed checkpoints of the audit trail are copied to, of one partition and for ever.' }),
  logLevel: z.string().toLowerCase().pipe(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])).default('info').meta({ env: 'LOG_LEVEL', description: 'TRACE, DEBUG, INFO, WARN, ERROR, FATAL or SILENT.' }),
  logFormat: z.enum(['json', 'text']).default('json').meta({ env: 'LOG_FORMAT', description: '`json`: one object a line; `text`: the same for eyes.' }),
  drainSeconds: z.coerce.number().min(0).max(600).default(30).meta({ env: 'DRAIN_SECONDS', description: 'Longest time from SIGTERM to exit, in seconds.' }),
  ...kafkaFields,
});
export type BillingConfig = z.infer<typeof BillingConfig>;
