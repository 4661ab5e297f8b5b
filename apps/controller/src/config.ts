import { z } from 'zod';
import { auditFields } from '#libs/audit/audit-fields.js';
import { checkSignIn, signInFields } from '#libs/auth/sign-in-fields.js';
import { topicPrefixField } from '#libs/backends/kafka/kafka-fields.js';
import { mcpServersField } from '#libs/backends/mcp/mcp-fields.js';
import { flag, list } from '#libs/configuration/read-config.js';

const LEVELS: Readonly<Record<string, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'>> = {
  trace: 'trace', debug: 'debug', info: 'info', warn: 'warn', warning: 'warn', error: 'error', fatal: 'fatal', critical: 'fatal', silent: 'silent',
};
const logLevel = () => z.string().transform((text, context) => {
  const level = LEVELS[text.toLowerCase()];
  if (level) return level;
  context.issues.push({ code: 'custom', message: `expected one of ${Object.keys(LEVELS).join(', ').toUpperCase()}`, input: text });
  return z.NEVER;
});

/** The controller's whole configuration; docs/configuration.md is generated from it. */
export const ControllerConfig = z.object({
  host: z.string().default('0.0.0.0').meta({ env: 'HOST', description: 'Address to listen on.' }),
  port: z.coerce.number().int().min(0).max(65_535).default(8081).meta({ env: 'PORT', description: 'TCP port to listen on; 0 takes any free one.' }),
  environment: z.enum(['dev', 'staging', 'prod']).default('dev').meta({ env: 'ENVIRONMENT', description: 'Shown by /info and in metrics; `prod` refuses what is for development.' }),

  databaseUrl: z.string().regex(/^postgres(ql)?:\/\//, 'expected postgres://user:password@host:port/database').meta({ env: 'DATABASE_URL', description: 'The control plane\'s Postgres. The controller brings it to its own schema at each start, under a lock.', secret: true }),
  databaseConnections: z.coerce.number().int().min(2).max(200).default(10).meta({ env: 'DATABASE_CONNECTIONS', description: 'Connections to it at most.' }),

  ...signInFields,
  stepUpAcr: list().prefault('totp,mfa').meta({ env: 'STEP_UP_ACR', description: 'Values of the claim `acr` that stand for a sign-in with a second factor, as the rotation of a key with `stepUp` needs it.' }),

  mcpServers: mcpServersField,
  kafkaBackendTopicPrefix: topicPrefixField(),
  egressAllow: list().prefault('').meta({ env: 'EGRESS_ALLOW', description: 'Private addresses that documents may be fetched from and the issuer may have: CIDR or host, optional `:port`. Public addresses need no entry.' }),
  conversionMemoryMib: z.coerce.number().int().min(128).max(16_384).default(2048).meta({ env: 'CONVERSION_MEMORY_MIB', description: 'Heap of one conversion\'s thread, in MiB; a document that needs more is refused.' }),
  conversionSeconds: z.coerce.number().min(1).max(600).default(60).meta({ env: 'CONVERSION_SECONDS', description: 'Longest conversion, in seconds; a document that takes longer is refused.' }),
  refreshEnabled: flag().prefault('true').meta({ env: 'REFRESH_ENABLED', description: 'Whether this process fetches APIs\' documents again when they are due.' }),
  refreshPollSeconds: z.coerce.number().min(1).max(3600).default(2).meta({ env: 'REFRESH_POLL_SECONDS', description: 'Seconds between two looks at what is due; a document is refreshed at most this much later than its interval says.' }),

  ...auditFields,
  regoCompilerDir: z.string().optional().meta({ env: 'REGO_COMPILER_DIR', description: 'Folder that tools/rego-compiler.sh prints. Policies with own Rego need it.' }),
  logLevel: logLevel().prefault('INFO').meta({ env: 'LOG_LEVEL', description: 'TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL or SILENT.' }),
  logFormat: z.enum(['json', 'text']).default('json').meta({ env: 'LOG_FORMAT', description: '`json`: one object a line; `text`: the same for eyes.' }),
  enableMetrics: flag().prefault('true').meta({ env: 'ENABLE_METRICS', description: 'Prometheus metrics at /metrics.' }),
  metricsPrefix: z.string().regex(/^[a-zA-Z_:][\w:]*$/, 'expected a Prometheus name').default('stoa_controller').meta({ env: 'METRICS_PREFIX', description: 'Put before the name of each metric, with an underscore between.' }),
  drainSeconds: z.coerce.number().min(0).max(600).default(30).meta({ env: 'DRAIN_SECONDS', description: 'Longest time from SIGTERM to exit, in seconds: imports in progress finish; what still runs at the end is cut, and the catalogue before it stays in force.' }),
}).superRefine((config, context) => {
  checkSignIn(config, (path, message) => { context.addIssue({ code: 'custom', path: [path], message }); });
});
export type ControllerConfig = z.infer<typeof ControllerConfig>;
