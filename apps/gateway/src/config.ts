import { z } from 'zod';
import { checkSignIn, signInFields } from '#libs/auth/sign-in-fields.js';
import { topicPrefixField } from '#libs/backends/kafka/kafka-fields.js';
import { mcpServersField } from '#libs/backends/mcp/mcp-fields.js';
import { flag, list } from '#libs/configuration/read-config.js';
import { idempotencyFields } from '#libs/idempotency/idempotency-fields.js';
import { meteringFields } from '#libs/metering/metering-fields.js';
import { limitFields } from '#libs/rate-limit/limit-fields.js';
import { redactionFields } from '#libs/redaction/redaction-fields.js';
import { bulkheadFields } from '#libs/bulkhead/bulkhead-fields.js';
import { capabilityFields } from './capability/capability-fields.js';

const LEVELS: Readonly<Record<string, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'>> = {
  trace: 'trace', debug: 'debug', info: 'info', warn: 'warn', warning: 'warn', error: 'error', fatal: 'fatal', critical: 'fatal', silent: 'silent',
};
const logLevel = () => z.string().transform((text, context) => {
  const level = LEVELS[text.toLowerCase()];
  if (level) return level;
  context.issues.push({ code: 'custom', message: `expected one of ${Object.keys(LEVELS).join(', ').toUpperCase()}`, input: text });
  return z.NEVER;
});
const seconds = (min: number, max: number) => z.coerce.number().min(min).max(max);

/** The gateway's whole configuration; docs/configuration.md is generated from it. */
export const GatewayConfig = z.object({
  host: z.string().default('0.0.0.0').meta({ env: 'HOST', description: 'Address to listen on.' }),
  port: z.coerce.number().int().min(0).max(65_535).default(8080).meta({ env: 'PORT', description: 'TCP port to listen on; 0 takes any free one.' }),
  environment: z.enum(['dev', 'staging', 'prod']).default('dev').meta({ env: 'ENVIRONMENT', description: 'Shown by /status and in metrics; `prod` refuses what is for development.' }),

  databaseUrl: z.string().regex(/^postgres(ql)?:\/\//, 'expected postgres://user:password@host:port/database').meta({ env: 'DATABASE_URL', description: 'The control plane\'s Postgres, read for the catalogue. The gateway never migrates it.', secret: true }),
  dataDir: z.string().optional().meta({ env: 'DATA_DIR', description: 'Folder for the last good catalogue of each tenant, so that a cold start works while the database is away. Unset: not kept.' }),
  catalogueKeepOnDisk: flag().prefault('true').meta({ env: 'CATALOGUE_DISK_ENABLED', description: 'Whether DATA_DIR is used for catalogues.' }),
  cataloguePollMs: z.coerce.number().int().min(100).max(600_000).default(2000).meta({ env: 'CATALOGUE_POLL_MS', description: 'Milliseconds between two looks at all revisions, the safety net under the database\'s notifications.' }),

  authEnabled: flag().prefault('true').meta({ env: 'AUTH_ENABLED', description: 'Credentials at every door but health, information and discovery. `false` lets every caller in as a principal without tenant that sees platform tools alone; refused where ENVIRONMENT is prod.' }),
  ...signInFields,
  ...capabilityFields,

  policyMode: z.enum(['opa', 'deny', 'open']).default('opa').meta({ env: 'POLICY_MODE', description: '`opa`: the policy decides every call. `deny` refuses every call; `open` allows every authenticated call to what its tenant may see.' }),
  opaEmbedded: flag().prefault('true').meta({ env: 'OPA_EMBEDDED', description: 'Whether OPA decides inside this process; `false`: the OPA server at OPA_URL does, and holds the policy.' }),
  opaUrl: z.url().default('http://127.0.0.1:8181').meta({ env: 'OPA_URL', description: 'The OPA server, where OPA_EMBEDDED is false. Nothing else may be reached at its address.' }),
  opaTimeoutMs: z.coerce.number().int().min(1).max(60_000).default(200).meta({ env: 'OPA_TIMEOUT_MS', description: 'Longest wait for one decision of the OPA server, in milliseconds. On expiry the call is answered 503.' }),
  opaBundleFile: z.string().min(1).optional().meta({ env: 'OPA_BUNDLE_FILE', description: 'File that the OPA server reads its bundle from (`opa run --server --bundle FILE --watch`): the gateway writes into it what is in force, as policies are applied. Unset: the server decides by a bundle of its own, and calls are answered 503 while the control plane has policies.' }),
  policyDir: z.string().optional().meta({ env: 'POLICY_DIR', description: 'Folder of policies: *.yaml and *.rego for everybody, tenants/NAME/ for one tenant. Watched, and read again at SIGHUP; what is refused leaves the last good one in force.' }),
  opaPolicyPath: z.string().optional().meta({ env: 'OPA_POLICY_PATH', description: 'Another name of POLICY_DIR, which wins.' }),
  regoCompilerDir: z.string().optional().meta({ env: 'REGO_COMPILER_DIR', description: 'Folder that tools/rego-compiler.sh prints. Own Rego in POLICY_DIR needs it.' }),
  policyCacheMs: z.coerce.number().int().min(0).max(3_600_000).default(10_000).meta({ env: 'POLICY_CACHE_MS', description: 'Milliseconds that a decision is remembered where it depends on neither arguments nor time; 0: never.' }),
  rateLimitEnabled: flag().prefault('true').meta({ env: 'RATE_LIMIT_ENABLED', description: 'Every limit below. Behind a proxy set TRUSTED_PROXIES, or all clients count as one address.' }),
  ...limitFields,
  sseIdleSeconds: seconds(1, 86_400).default(60).meta({ env: 'SSE_IDLE_SECONDS', description: 'How long a client may leave unread what was sent to its event stream, in seconds; then it is cut off.' }),
  sseMaxLifeSeconds: seconds(1, 86_400).default(3600).meta({ env: 'SSE_MAX_LIFE_SECONDS', description: 'How long one event stream may live, in seconds; then the client opens another.' }),
  ...redactionFields,
  mcpEnabled: flag().prefault('true').meta({ env: 'MCP_ENABLED', description: 'The MCP door at /mcp.' }),
  restEnabled: flag().prefault('true').meta({ env: 'REST_ENABLED', description: 'The REST facade at /mcp/v1.' }),
  platformToolsEnabled: flag().prefault('true').meta({ env: 'PLATFORM_TOOLS_ENABLED', description: 'The built-in stoa_* tools.' }),
  restBackendEnabled: flag().prefault('true').meta({ env: 'REST_BACKEND_ENABLED', description: 'Calls to REST backends. Off: such tools are listed and answer that no backend of their kind is enabled.' }),
  graphqlBackendEnabled: flag().prefault('true').meta({ env: 'GRAPHQL_BACKEND_ENABLED', description: 'Calls to GraphQL servers.' }),
  grpcBackendEnabled: flag().prefault('true').meta({ env: 'GRPC_BACKEND_ENABLED', description: 'Calls to gRPC servers.' }),
  kafkaBackendEnabled: flag().prefault('true').meta({ env: 'KAFKA_BACKEND_ENABLED', description: 'Reading and writing topics of Kafka clusters.' }),
  kafkaBackendTopicPrefix: topicPrefixField(),
  mcpBackendEnabled: flag().prefault('true').meta({ env: 'MCP_BACKEND_ENABLED', description: 'Calls to MCP servers.' }),
  mcpServers: mcpServersField,
  fetchBackendEnabled: flag().prefault('true').meta({ env: 'FETCH_BACKEND_ENABLED', description: 'Resources that are read from their URL.' }),
  inlineBackendEnabled: flag().prefault('true').meta({ env: 'INLINE_BACKEND_ENABLED', description: 'Resources whose content is in the catalogue.' }),
  promptBackendEnabled: flag().prefault('true').meta({ env: 'PROMPT_BACKEND_ENABLED', description: 'Prompts.' }),
  documentBackendEnabled: flag().prefault('true').meta({ env: 'DOCUMENT_BACKEND_ENABLED', description: 'Imported documents as resources.' }),

  mcpTimeoutSeconds: seconds(0.1, 300).default(30).meta({ env: 'MCP_TIMEOUT_SECONDS', description: 'Upper bound of a tool\'s own timeout, in seconds.' }),
  ...bulkheadFields,
  egressAllow: list().prefault('').meta({ env: 'EGRESS_ALLOW', description: 'Private addresses that backends may have: CIDR or host, optional `:port`. Public addresses need no entry.' }),
  credentialsDir: z.string().optional().meta({ env: 'CREDENTIALS_DIR', description: 'Folder of backend secrets, {CREDENTIALS_DIR}/{tenant}/{name}.' }),
  tokenExchangeEnabled: flag().prefault('false').meta({ env: 'TOKEN_EXCHANGE_ENABLED', description: 'Whether credentials of APIs may be had on behalf of the caller (`token-exchange`, RFC 8693). The caller\'s token is then kept in memory with its principal, and shown to the token endpoint of its own issuer alone; otherwise it is dropped at the door.' }),
  maxBodyBytes: z.coerce.number().int().min(1024).max(64 * 1024 * 1024).default(1024 * 1024).meta({ env: 'MAX_BODY_BYTES', description: 'Largest request body, in bytes; more is answered 413.' }),
  cursorKey: z.string().regex(/^[0-9a-fA-F]{64}$/, 'expected 64 hexadecimal digits').optional().meta({ env: 'CURSOR_KEY', description: 'Seals cursors and request states; the same in every replica. Unset: made at random at each start, so that cursors end with the process.', secret: true }),
  allowedHosts: list().prefault('').meta({ env: 'ALLOWED_HOSTS', description: 'Host names, without port, that /mcp answers to; unset: any. Set it where the gateway listens on loopback (DNS rebinding).' }),
  allowedOrigins: list().prefault('').meta({ env: 'ALLOWED_ORIGINS', description: 'Origins beside CORS_ORIGINS that browsers may call /mcp from.' }),

  ...meteringFields,
  ...idempotencyFields,

  corsOrigins: list().prefault('https://console.stoa.dev,https://portal.stoa.dev,https://console.gostoa.dev,https://portal.gostoa.dev').meta({ env: 'CORS_ORIGINS', description: 'Origins that browsers may call from. `*` is refused: answers depend on who asks.' }),
  corsAllowMethods: list().prefault('GET,POST,PUT,DELETE,OPTIONS').meta({ env: 'CORS_ALLOW_METHODS', description: 'Methods allowed to those origins.' }),
  corsAllowHeaders: list().prefault('Authorization,Content-Type,X-Request-ID,X-Tenant-ID,X-Consumer-ID,Idempotency-Key,Accept,MCP-Protocol-Version,Mcp-Method,Mcp-Name,Mcp-Session-Id,Last-Event-ID,traceparent,tracestate').meta({ env: 'CORS_ALLOW_HEADERS', description: 'Request headers allowed to those origins.' }),
  corsExposeHeaders: list().prefault('X-Request-ID,X-Stoa-Call-ID,Idempotent-Replayed,X-Trace-ID,Mcp-Session-Id,WWW-Authenticate,Retry-After,X-RateLimit-Limit,X-RateLimit-Remaining,X-RateLimit-Reset').meta({ env: 'CORS_EXPOSE_HEADERS', description: 'Response headers shown to those origins.' }),
  corsMaxAge: z.coerce.number().int().min(0).max(86_400).default(600).meta({ env: 'CORS_MAX_AGE', description: 'Seconds that a preflight answer may be kept.' }),

  logLevel: logLevel().prefault('INFO').meta({ env: 'LOG_LEVEL', description: 'TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL or SILENT. INFO writes one line for each call and request, DEBUG also one for each probe.' }),
  logFormat: z.enum(['json', 'text']).default('json').meta({ env: 'LOG_FORMAT', description: '`json`: one object a line; `text`: the same for eyes.' }),
  enableMetrics: flag().prefault('true').meta({ env: 'ENABLE_METRICS', description: 'Prometheus metrics at /metrics.' }),
  metricsPublic: flag().prefault('true').meta({ env: 'METRICS_PUBLIC', description: 'Whether /metrics answers without a token. Its labels hold names of tools and APIs: set it to false, or keep the path from outsiders, where those are confidential. Then it is for platform administrators.' }),
  metricsPrefix: z.string().regex(/^[a-zA-Z_:][\w:]*$/, 'expected a Prometheus name').default('stoa_mcp_gateway').meta({ env: 'METRICS_PREFIX', description: 'Put before the name of each metric, with an underscore between.' }),
  enableTracing: flag().prefault('true').meta({ env: 'ENABLE_TRACING', description: 'OpenTelemetry spans; takes effect only with OTLP_ENDPOINT. W3C trace context is passed on either way.' }),
  otlpEndpoint: z.url().optional().meta({ env: 'OTLP_ENDPOINT', description: 'OTLP/HTTP collector, e.g. http://otel-collector:4318.' }),
  otlpServiceName: z.string().default('stoa-mcp-gateway').meta({ env: 'OTLP_SERVICE_NAME', description: '`service.name` of the spans.' }),

  drainSeconds: seconds(0, 600).default(30).meta({ env: 'DRAIN_SECONDS', description: 'Longest time from SIGTERM to exit, in seconds. Calls in flight finish, streams are closed; what still runs at the end is cut.' }),
  drainDelaySeconds: seconds(0, 300).default(0).meta({ env: 'DRAIN_DELAY_SECONDS', description: 'Part of DRAIN_SECONDS during which new connections are still taken while /ready answers 503, for load balancers that are slow to notice.' }),
}).superRefine((config, context) => {
  const wrong = (path: string, message: string): void => { context.addIssue({ code: 'custom', path: [path], message }); };
  checkSignIn(config, wrong, config.authEnabled);
  if (!config.authEnabled && config.environment === 'prod') wrong('authEnabled', 'cannot be false where ENVIRONMENT is prod');
  if (config.kafkaSaslMechanism !== undefined && (config.kafkaUsername === undefined || config.kafkaPassword === undefined)) wrong('kafkaSaslMechanism', 'needs KAFKA_USERNAME and KAFKA_PASSWORD');
  if (config.corsOrigins.includes('*')) wrong('corsOrigins', 'name each origin; * is refused');
  if (config.drainDelaySeconds > config.drainSeconds) wrong('drainDelaySeconds', 'must not be longer than DRAIN_SECONDS');
});
export type GatewayConfig = z.infer<typeof GatewayConfig>;
