import { readFileSync } from 'node:fs';
import { CommandError } from './client.js';
import type { Io } from './io.js';

type Command = (args: readonly string[], io: Io) => Promise<number>;
interface Entry { readonly about: string; readonly load: () => Promise<{ readonly run: Command; readonly help: string }> }

// Loaded when asked for: `stoa token` must not pay for the converter.
const COMMANDS: Readonly<Record<string, Entry>> = {
  token: { about: 'print a bearer token, of the local issuer or another', load: () => import('./token.js').then((m) => ({ run: m.tokenCommand, help: m.TOKEN_HELP })) },
  import: { about: 'make tools of an OpenAPI document', load: () => import('./import.js').then((m) => ({ run: m.importCommand, help: m.IMPORT_HELP })) },
  tenants: { about: 'list, create or delete tenants', load: () => import('./tenants.js').then((m) => ({ run: m.tenantsCommand, help: m.TENANTS_HELP })) },
  tools: { about: 'list the tools of a tenant', load: () => import('./call.js').then((m) => ({ run: m.toolsCommand, help: m.TOOLS_HELP })) },
  key: { about: 'make, list, rotate or revoke API keys of a tenant', load: () => import('./key.js').then((m) => ({ run: m.keyCommand, help: m.KEY_HELP })) },
  call: { about: 'call a tool', load: () => import('./call.js').then((m) => ({ run: m.callCommand, help: m.CALL_HELP })) },
  policy: { about: 'apply, check, lint, list or withdraw policies', load: () => import('./policy.js').then((m) => ({ run: m.policyCommand, help: m.POLICY_HELP })) },
  explain: { about: 'why a call was allowed or denied', load: () => import('./explain.js').then((m) => ({ run: m.explainCommand, help: m.EXPLAIN_HELP })) },
  usage: { about: 'calls, units and cost of a tenant', load: () => import('./usage.js').then((m) => ({ run: m.usageCommand, help: m.USAGE_HELP })) },
  bill: { about: 'the bill of a month, or what it would be under other prices', load: () => import('./bill.js').then((m) => ({ run: m.billCommand, help: m.BILL_HELP })) },
  reconcile: { about: 'check that calls, records, ledger and sums agree', load: () => import('./reconcile.js').then((m) => ({ run: m.reconcileCommand, help: m.RECONCILE_HELP })) },
  convert: { about: 'show what becomes of a document, without a running product', load: () => import('./convert.js').then((m) => ({ run: m.convertCommand, help: m.CONVERT_HELP })) },
  request: { about: 'print the HTTP request that a call would send', load: () => import('./request.js').then((m) => ({ run: m.requestCommand, help: m.REQUEST_HELP })) },
  audit: { about: 'verify an export of the audit trail, offline', load: () => import('./audit.js').then((m) => ({ run: m.auditCommand, help: m.AUDIT_HELP })) },
  doctor: { about: 'find out why an MCP client cannot sign in to a server', load: () => import('./doctor.js').then((m) => ({ run: m.doctorCommand, help: m.DOCTOR_HELP })) },
  k8s: { about: 'make custom resources for Kubernetes of a document', load: () => import('./k8s.js').then((m) => ({ run: m.k8sCommand, help: m.K8S_HELP })) },
  corpus: { about: 'convert every document below a folder and count', load: () => import('./corpus.js').then((m) => ({ run: m.corpusCommand, help: m.CORPUS_HELP })) },
};

const HELP = `stoa COMMAND [options]

${Object.entries(COMMANDS).map(([name, { about }]) => `  ${name.padEnd(8)} ${about}`).join('\n')}

Run "stoa COMMAND --help" for its options. The data folder of the running product is STOA_HOME (default .stoa).`;

const io: Io = {
  out: (line) => { process.stdout.write(`${line}\n`); },
  err: (line) => { process.stderr.write(`${line}\n`); },
  stdin: () => readFileSync(0),
  env: process.env,
};

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') { io.out(HELP); return 0; }
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!entry) { io.err(`stoa: there is no command ${name}\n\n${HELP}`); return 2; }
  const { run, help } = await entry.load();
  if (args.includes('--help') || args.includes('-h')) { io.out(help); return 0; }
  return run(args, io);
}

// A reader such as `head` that has enough is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => { process.exit(error.code === 'EPIPE' ? 0 : 1); });

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = error instanceof CommandError ? error.exitCode : 1;
  // parseArgs names the option itself, with this code for every mistake.
  if (error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')) process.exitCode = 2;
  io.err(`stoa: ${oneLine(error)}`);
}

function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, ' ');
}
