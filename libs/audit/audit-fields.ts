import { z } from 'zod';

/** The audit trail's part of a process's configuration. */
export const auditFields = {
  auditSigningKey: z.string().optional().meta({ env: 'AUDIT_SIGNING_KEY', description: 'Ed25519 private key (PEM, PKCS #8) that signs checkpoints of the audit trail: `openssl genpkey -algorithm ed25519`. Standalone makes one where it is unset; elsewhere nothing is signed then.', secret: true }),
  auditAnchorsFile: z.string().min(1).optional().meta({ env: 'AUDIT_ANCHORS_FILE', description: 'File that each signed checkpoint is appended to, on a disk that whoever administers the database cannot write: it shows a trail that was cut or written anew.' }),
  auditCheckpointEntries: z.coerce.number().int().min(1).max(1_000_000).default(1000).meta({ env: 'AUDIT_CHECKPOINT_ENTRIES', description: 'A checkpoint is signed after so many entries of a tenant, …' }),
  auditCheckpointSeconds: z.coerce.number().int().min(1).max(86_400).default(60).meta({ env: 'AUDIT_CHECKPOINT_SECONDS', description: '… or, where there are any new ones, after so many seconds.' }),
  auditRetentionDays: z.coerce.number().int().min(41).max(36_500).optional().meta({ env: 'AUDIT_RETENTION_DAYS', description: 'Days that entries of the audit trail are kept, at least 41 (a call can be delivered again for 40); unset: for ever.' }),
  auditSinks: z.string().transform((text) => text.split(',').map((one) => one.trim()).filter((one) => one !== '')).prefault('').meta({ env: 'AUDIT_SINKS', description: 'Who is told each entry, at least once, separated by commas: `stdout`, `file:/path`, `webhook:https://…`, `syslog:udp://host:514`, `syslog:tcp://host:514`, `otlp:http://host:4318`.' }),
  auditWebhookSecret: z.string().min(16, 'expected 16 characters or more').optional().meta({ env: 'AUDIT_WEBHOOK_SECRET', description: 'Signs what webhooks are sent: HMAC-SHA256, in `x-stoa-signature`.', secret: true }),
};
export type AuditFields = z.infer<z.ZodObject<typeof auditFields>>;

export interface AuditModuleOptions {
  /** Named to sinks. */
  readonly service: string;
  /** Signs checkpoints: the key itself, or a file that is made where it is missing. Undefined: none are signed. */
  readonly key: { readonly pem: string } | { readonly file: string } | undefined;
  readonly anchorsFile: string | undefined;
  readonly everyEntries: number;
  readonly everySeconds: number;
  readonly retentionDays: number | undefined;
  /** As `makeSink` reads them. */
  readonly sinks: readonly string[];
  readonly webhookSecret: string | undefined;
}

export const auditOptions = (config: AuditFields, service: string): AuditModuleOptions => ({
  service, key: config.auditSigningKey === undefined ? undefined : { pem: config.auditSigningKey }, anchorsFile: config.auditAnchorsFile,
  everyEntries: config.auditCheckpointEntries, everySeconds: config.auditCheckpointSeconds, retentionDays: config.auditRetentionDays, sinks: config.auditSinks, webhookSecret: config.auditWebhookSecret,
});
