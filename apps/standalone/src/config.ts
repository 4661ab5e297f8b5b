import { z } from 'zod';
import { auditFields } from '#libs/audit/audit-fields.js';
import { checkSignIn, signInFields } from '#libs/auth/sign-in-fields.js';
import { mcpServersField } from '#libs/backends/mcp/mcp-fields.js';
import { flag, list } from '#libs/configuration/read-config.js';
import { generousLimitFields } from '#libs/rate-limit/limit-fields.js';
import { redactionFields } from '#libs/redaction/redaction-fields.js';

/** The whole configuration of the product in one process; docs/configuration.md is generated from it. */
export const StandaloneConfig = z.object({
  port: z.coerce.number().int().min(0).max(65_535).default(8080).meta({ env: 'STOA_PORT', description: 'TCP port of everything: MCP, admin API, local issuer. 0 takes any free one.' }),
  host: z.string().regex(/^(localhost|::1|127(\.\d{1,3}){3})$/, 'expected a loopback address: the local issuer asks for no password').default('127.0.0.1').meta({ env: 'STOA_HOST', description: 'Loopback address to listen on. For other computers run the gateway and the controller with an issuer of your own.' }),
  home: z.string().min(1).default('.stoa').meta({ env: 'STOA_HOME', description: 'Data folder: database, keys of the issuer, demo data, and the connection of the stoa command. One process at a time.' }),
  demo: flag().prefault('true').meta({ env: 'STOA_DEMO', description: 'Tenants acme and globex with a demo API each; their services run in this process.' }),
  environment: z.enum(['dev', 'staging', 'prod']).default('dev').meta({ env: 'ENVIRONMENT', description: '`prod` refuses what is for development, but for the local issuer, which only ever listens on loopback.' }),
  ...signInFields,
  mcpServers: mcpServersField,
  egressAllow: list().prefault('').meta({ env: 'EGRESS_ALLOW', description: 'Private addresses that backends may have beside loopback, which is always allowed here: CIDR or host, optional `:port`.' }),
  policyDir: z.string().optional().meta({ env: 'POLICY_DIR', description: 'Folder of policies: *.yaml and *.rego for everybody, tenants/NAME/ for one tenant. Watched; what is refused leaves the last good one in force.' }),
  regoCompilerDir: z.string().optional().meta({ env: 'REGO_COMPILER_DIR', description: 'Folder that tools/rego-compiler.sh prints. Own Rego needs it.' }),
  ...generousLimitFields,
  ...redactionFields,
  ...auditFields,
  logLevel: z.string().toLowerCase().pipe(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])).default('info').meta({ env: 'LOG_LEVEL', description: 'TRACE, DEBUG, INFO, WARN, ERROR, FATAL or SILENT. INFO writes one line for each call and request.' }),
  logFormat: z.enum(['json', 'text']).default('json').meta({ env: 'LOG_FORMAT', description: '`json`: one object a line; `text`: the same for eyes.' }),
  drainSeconds: z.coerce.number().min(0).max(600).default(10).meta({ env: 'DRAIN_SECONDS', description: 'Longest time from SIGTERM to exit, in seconds: calls in flight finish, streams are closed.' }),
}).superRefine((config, context) => {
  // The local issuer is always there.
  checkSignIn(config, (path, message) => { context.addIssue({ code: 'custom', path: [path], message }); }, false);
});
export type StandaloneConfig = z.infer<typeof StandaloneConfig>;
