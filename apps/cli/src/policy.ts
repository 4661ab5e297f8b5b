import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { readArguments, type ToolInput } from './arguments.js';
import { AdminClient, CommandError, readConnection } from './client.js';
import type { Io } from './io.js';
import { requestToken } from './token.js';

export const POLICY_HELP = `stoa policy COMMAND

  apply PATH [--tenant T] [--dry-run]   check the files of a folder (or one file) and put them in force everywhere; a bad one changes nothing
  check --tool NAME --tenant T --role R [--arg k=v] [--scope S] [--kind prompt|resource]
                                        what would be decided, by which rule, and which were tried; nothing is called
  lint PATH [--tenant T]                rules that nothing can reach, policies that allow or deny everything
  list [--tenant T]                     what is and was in force, newest first
  show DIGEST [--tenant T]              the files of one (the digest's beginning will do)
  withdraw [--tenant T]                 take the policy out of force

Without --tenant the policy is the operator's and holds for everybody. Files: *.yaml (a role file, argument rules, settings) and one *.rego.
  --as ROLE   who asks (default tenant-admin with --tenant, else cpi-admin)
  --json      print what the server said`;

const Remarks = z.object({ remarks: z.array(z.object({ file: z.string(), line: z.number().optional(), message: z.string() })) });
const Applied = Remarks.extend({ digest: z.string(), inForce: z.string() });
const Listed = z.object({ inForce: z.string().nullable(), policies: z.array(z.object({ digest: z.string(), createdAt: z.string(), createdBy: z.string(), active: z.boolean(), files: z.array(z.string()) })) });
const Shown = z.object({ files: z.record(z.string(), z.string()) });
const Tried = z.array(z.object({ rule: z.string(), holds: z.boolean(), action: z.string().optional() }));
const Checked = z.object({ allowed: z.boolean(), rule_id: z.string(), reason: z.string(), policy_revision: z.string(), obligations: z.array(z.record(z.string(), z.unknown())), missing_scopes: z.array(z.string()), tried: Tried });
const Tool = z.object({ inputSchema: z.unknown(), definitions: z.unknown().optional() });

type Values = ReturnType<typeof read>['values'];
const read = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, strict: true, options: {
  tenant: { type: 'string' }, as: { type: 'string' }, json: { type: 'boolean', default: false }, 'dry-run': { type: 'boolean', default: false },
  tool: { type: 'string' }, kind: { type: 'string', default: 'tool' }, role: { type: 'string', multiple: true, default: [] }, scope: { type: 'string', multiple: true, default: [] },
  arg: { type: 'string', multiple: true, default: [] }, args: { type: 'string' },
} });

/** Exits 1 where the server refuses, and for a check whose answer is no. */
export async function policyCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: [command, subject, ...rest] } = read(args);
  const run = command === undefined || rest.length > 0 ? undefined : COMMANDS[command];
  if (!run) throw new CommandError('use stoa policy apply, check, lint, list, show or withdraw; --help tells more', 2);
  const connection = readConnection(io.env);
  const role = values.as ?? (values.tenant === undefined ? 'cpi-admin' : 'tenant-admin');
  const admin = new AdminClient(connection, await requestToken(connection, { tenant: values.tenant, role }));
  return run({ admin, values, subject, io, base: values.tenant === undefined ? '/policies' : `/tenants/${encodeURIComponent(values.tenant)}/policies` });
}

interface Turn { readonly admin: AdminClient; readonly values: Values; readonly subject: string | undefined; readonly io: Io; readonly base: string }
const COMMANDS: Readonly<Record<string, (turn: Turn) => Promise<number>>> = {
  apply: async ({ admin, values, subject, io, base }) => {
    const answer = await admin.call('PUT', base, { files: filesAt(subject), dryRun: values['dry-run'] });
    if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
    const { digest, inForce, remarks } = Applied.parse(answer);
    tell(remarks, io);
    io.out(values['dry-run'] ? 'in order; nothing was put in force' : `policy ${digest.slice(0, 12)} of ${values.tenant ?? 'the operator'} is in force; decisions carry ${inForce.slice(0, 12)}`);
    return 0;
  },
  lint: async ({ admin, values, subject, io, base }) => {
    const answer = await admin.call('POST', `${base}/lint`, { files: filesAt(subject) });
    if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
    const { remarks } = Remarks.parse(answer);
    tell(remarks, io);
    io.out(remarks.length === 0 ? 'in order' : `${remarks.length} remark${remarks.length === 1 ? '' : 's'}`);
    return 0;
  },
  list: async ({ admin, values, io, base }) => {
    const answer = await admin.call('GET', base);
    if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
    const { inForce, policies } = Listed.parse(answer);
    io.out(`decisions carry ${inForce?.slice(0, 12) ?? 'none'}`);
    for (const { digest, createdAt, createdBy, active, files } of policies) io.out(`${active ? '*' : ' '} ${digest.slice(0, 12)}  ${createdAt}  ${createdBy}  ${files.join(', ')}`);
    return 0;
  },
  show: async ({ admin, subject, io, base }) => {
    if (subject === undefined) throw new CommandError('stoa policy show needs a digest', 2);
    const found = Listed.parse(await admin.call('GET', base)).policies.filter(({ digest }) => digest.startsWith(subject));
    if (found.length !== 1) throw new CommandError(found.length === 0 ? `there is no policy ${subject}` : `${subject} is the beginning of ${found.length} digests`);
    for (const [file, text] of Object.entries(Shown.parse(await admin.call('GET', `${base}/${found[0]!.digest}`)).files)) io.out(`# ${file}\n${text}`);
    return 0;
  },
  withdraw: async ({ admin, values, io, base }) => {
    await admin.call('DELETE', base);
    io.out(`the policy of ${values.tenant ?? 'the operator'} is not in force any more`);
    return 0;
  },
  check: async ({ admin, values, io, base }) => {
    if (values.tool === undefined || values.tenant === undefined) throw new CommandError('stoa policy check needs --tool and --tenant', 2);
    const answer = await admin.call('POST', `${base}/check`, { tool: values.tool, kind: values.kind, roles: values.role, scopes: values.scope, arguments: await argumentsOf(admin, values) });
    const checked = Checked.parse(answer);
    if (values.json) io.out(JSON.stringify(answer, undefined, 2));
    else {
      io.out(`${checked.allowed ? 'allow' : 'deny'}  ${checked.rule_id}: ${checked.reason}`);
      if (checked.missing_scopes.length > 0) io.out(`any of these scopes would do: ${checked.missing_scopes.join(' ')}`);
      for (const obligation of checked.obligations) io.out(`tied to: ${Object.values(obligation).join(' ')}`);
      tellTried(checked.tried, io);
      io.out(`policy ${checked.policy_revision}`);
    }
    return checked.allowed ? 0 : 1;
  },
};

/** One line each: the first that holds has decided. */
export function tellTried(tried: z.infer<typeof Tried>, io: Io): void {
  for (const { rule, holds, action } of tried) io.out(`  ${holds ? 'holds' : '  -  '}  ${rule}${action === undefined ? '' : ` (${action})`}`);
}

const tell = (remarks: z.infer<typeof Remarks>['remarks'], io: Io): void => { for (const { file, line, message } of remarks) io.err(`${file}${line === undefined ? '' : `:${line}`}: ${message}`); };

async function argumentsOf(admin: AdminClient, { args, arg, tool, tenant, kind }: Values): Promise<Record<string, unknown>> {
  let whole: unknown = {};
  if (args !== undefined) try { whole = JSON.parse(args); } catch (error) { throw new CommandError(`--args is not JSON: ${(error as Error).message}`, 2); }
  if (typeof whole !== 'object' || whole === null || Array.isArray(whole)) throw new CommandError('--args must be a JSON object, as {"name": "value"}', 2);
  if (arg.length === 0) return whole as Record<string, unknown>;
  // Values are read by the tool's schema, as in a call; without one they are JSON where they can be.
  const detail = kind === 'tool' && tool?.startsWith('stoa_') === false ? Tool.parse(await admin.call('GET', `/tenants/${encodeURIComponent(tenant ?? '')}/tools/${encodeURIComponent(tool)}`)) : undefined;
  const input = { ...(detail?.inputSchema as object | undefined), ...(detail?.definitions === undefined ? {} : { $defs: detail.definitions }) } as ToolInput;
  try { return { ...whole, ...readArguments(arg, input) }; } catch (error) { throw new CommandError((error as Error).message, 2); }
}

function filesAt(path: string | undefined): Record<string, string> {
  if (path === undefined) throw new CommandError('say which folder or file the policy is in', 2);
  try {
    if (!statSync(path).isDirectory()) return { [basename(path)]: readFileSync(path, 'utf8') };
    const names = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isFile() && /\.(ya?ml|rego)$/.test(entry.name)).map(({ name }) => name);
    if (names.length === 0) throw new CommandError(`${path} holds neither *.yaml nor *.rego`);
    return Object.fromEntries(names.toSorted().map((name) => [name, readFileSync(join(path, name), 'utf8')]));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${path} cannot be read: ${(error as Error).message}`);
  }
}
