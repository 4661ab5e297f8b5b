import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { AdminClient, CommandError, readConnection } from './client.js';
import type { Io } from './io.js';
import { credentialsOf, LIVING_HELP, LIVING_OPTIONS, livingBackend } from './living-backend.js';
import { requestToken } from './token.js';

export const IMPORT_HELP = `stoa import FILE|URL|- --tenant T [options]

Turns an API into tools of a tenant, and prints the tools made and what of the document is not exact.

  --tenant T         the tenant (a new one: stoa tenants create T)
  --role R           role to act in: cpi-admin, tenant-admin, devops (default tenant-admin)
  --name N           name of the API; the same name again imports anew (default: from the file's name)
  --base-url U       where calls go, instead of the document's servers
  --prefix P         put before every tool's name (lower-case letters, digits, _)
  --suffix S         put after every tool's name
  --tag T            only operations with this tag (repeatable)
  --exclude-tag T    no operations with this tag (repeatable)
  --method M         only this HTTP method (repeatable)
  --path-prefix P    only paths that begin so
  --refresh D        for a URL: look for changes this often (30s, 5m, 1h)
  --dry-run          convert and compare, change nothing
  --json             print the server's answer as JSON
${LIVING_HELP}`;

const Reason = z.object({ code: z.string(), message: z.string(), pointer: z.string() });
const Imported = z.object({
  api: z.object({ missingCredentials: z.array(z.string()) }).nullable(),
  dryRun: z.boolean(),
  revision: z.number(),
  tools: z.array(z.object({ name: z.string(), method: z.string(), path: z.string(), verdict: z.string() })),
  ledger: z.object({
    operations: z.number(), exact: z.number(), degraded: z.number(), refused: z.number(),
    entries: z.array(z.object({ method: z.string(), path: z.string(), verdict: z.string(), reasons: z.array(Reason) })),
  }),
  diff: z.object({ added: z.array(z.string()), changed: z.array(z.string()), removed: z.array(z.string()) }),
});

export async function importCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args], allowPositionals: true, strict: true,
    options: {
      tenant: { type: 'string' }, role: { type: 'string', default: 'tenant-admin' }, name: { type: 'string' }, 'base-url': { type: 'string' },
      prefix: { type: 'string' }, suffix: { type: 'string' }, tag: { type: 'string', multiple: true }, 'exclude-tag': { type: 'string', multiple: true },
      method: { type: 'string', multiple: true }, 'path-prefix': { type: 'string' }, refresh: { type: 'string' }, 'dry-run': { type: 'boolean', default: false }, json: { type: 'boolean', default: false },
      ...LIVING_OPTIONS,
    },
  });
  if (positionals.length > 1) throw new CommandError('stoa import takes one document', 2);
  const living = livingBackend(values, positionals[0]);
  const source = living === undefined ? positionals[0] : living.file ?? addressOf(living.connection);
  if (source === undefined) throw new CommandError('stoa import needs one document: a file, a URL, or - for standard input', 2);
  if (values.tenant === undefined) throw new CommandError('stoa import needs --tenant', 2);

  const connection = living?.connection;
  const isUrl = connection === undefined && /^https?:\/\//i.test(source);
  if (values.refresh !== undefined && !isUrl && connection === undefined) throw new CommandError('--refresh is for documents that come from a URL, and for living backends', 2);
  const selector = given({ tags: values.tag, excludeTags: values['exclude-tag'], methods: values.method?.map((method) => method.toUpperCase()), pathPrefix: values['path-prefix'] });
  const naming = given({ prefix: values.prefix, suffix: values.suffix });
  const bytes = isUrl || connection !== undefined ? new Uint8Array() : values.proto === undefined ? read(source, io) : await compiled(source);
  const name = values.name ?? (source === '-' ? nameInside(bytes) : nameOf(source));
  const baseUrl = values['base-url'] ?? living?.baseUrl;
  const credentials = credentialsOf(values.credential);
  const options = given({ kind: living?.kind, baseUrl, selector: ifAny(selector), naming: ifAny(naming), refreshInterval: values.refresh, dryRun: values['dry-run'] || undefined, credentials: ifAny(credentials) });

  const server = readConnection(io.env);
  const admin = new AdminClient(server, await requestToken(server, { tenant: values.tenant, role: values.role }));
  const path = `/tenants/${encodeURIComponent(values.tenant)}/apis`;
  const send = (): Promise<unknown> => {
    if (connection !== undefined) return admin.call('POST', path, { ...options, name, source: { connection } });
    if (isUrl) return admin.call('POST', path, { ...options, name, source: { url: source } });
    if (options.selector !== undefined || options.naming !== undefined || options.credentials !== undefined) return admin.call('POST', path, { ...options, name, source: { inline: text(bytes, source) } });
    // As it is, whatever its encoding: the server says what is wrong with it.
    const query = new URLSearchParams({ name, ...given({ kind: living?.kind, baseUrl, dryRun: values['dry-run'] ? 'true' : undefined }) });
    return admin.upload(`${path}?${query.toString()}`, bytes, 'application/octet-stream');
  };
  const answer = await send().catch((error: unknown) => { throw named(error, source); });
  if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
  report(name, values.tenant, Imported.parse(answer), io);
  return 0;
}

function report(name: string, tenant: string, { api, tools, ledger, diff, revision, dryRun }: z.infer<typeof Imported>, io: Io): void {
  const changes = `${diff.added.length} added, ${diff.changed.length} changed, ${diff.removed.length} removed`;
  io.out(`${name}: ${tools.length} tools in tenant ${tenant} (${dryRun ? 'nothing published; would be ' : ''}${changes}; revision ${revision})`);
  const width = Math.max(0, ...tools.map((tool) => tool.name.length));
  for (const { name: tool, method, path, verdict } of tools) io.out(`  ${tool.padEnd(width)}  ${method.padEnd(6)} ${path}${verdict === 'exact' ? '' : `  (${verdict})`}`);
  io.out(`${ledger.operations} operations: ${ledger.exact} exact, ${ledger.degraded} degraded, ${ledger.refused} refused`);
  for (const { method, path, verdict, reasons } of ledger.entries) {
    io.out(`  ${verdict}: ${method} ${path}`);
    for (const { code, message, pointer } of reasons) io.out(`    ${pointer}: ${message} [${code}]`);
  }
  if (api !== null && api.missingCredentials.length > 0) {
    io.out(`Calls need credentials for ${api.missingCredentials.join(', ')}: PUT /admin/v1/tenants/${tenant}/apis/${name}/credentials/SLOT {"from": "environment", "name": "…"}`);
  }
}

/** A `.proto` file with what it imports, compiled here, where those files are. */
async function compiled(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { compileProto } = await import('#libs/backends/grpc/proto-source.js');
  return new Uint8Array(compileProto({ path }, path));
}

function read(source: string, io: Io): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(source === '-' ? io.stdin() : readFileSync(source));
  } catch (error) {
    throw new CommandError(`Cannot read ${source}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file' : (error as Error).message}`);
  }
}
function text(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CommandError(`${source} is not UTF-8 text; OpenAPI documents are`);
  }
}

/** The file belongs into the message; that the document was the request's body does not. */
function named(error: unknown, source: string): unknown {
  return error instanceof CommandError ? new CommandError(`${source === '-' ? 'standard input' : source}: ${error.message.replace(/^body: (?:document: )?/, '')}`) : error;
}

/** From the first `title` after `info`, in JSON or YAML: good enough to name what has no file name. */
function nameInside(bytes: Uint8Array): string {
  const head = new TextDecoder().decode(bytes.subarray(0, 65_536));
  const title = /["']?\binfo["']?\s*:[\s\S]*?["']?\btitle["']?\s*:\s*["']?([^"'\n,}]{1,200})/.exec(head)?.[1];
  if (title === undefined) throw new CommandError('No name can be made of this document: give one with --name', 2);
  return slugOf(title, 'its title');
}

/** What a living backend is called by where no name is given. */
const addressOf = (connection: Readonly<Record<string, unknown>> = {}): string => [connection['url'], connection['address'], connection['brokers'], connection['stdio'], connection['unix']].flat().find((value) => typeof value === 'string') ?? '';

/** `https://api.example/v1/Pet Store.yaml` → `pet-store`. */
function nameOf(source: string): string {
  const path = /^https?:\/\//i.test(source) ? new URL(source).pathname.replace(/\/+$/, '') : source;
  const stem = decodeURIComponent(basename(path)).replace(/\.(json|ya?ml|txt)$/i, '').replace(/[.-](openapi|swagger)$/i, '');
  return slugOf(stem, source);
}
function slugOf(from: string, what: string): string {
  const name = from.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '').slice(0, 63).replace(/-+$/, '');
  if (name === '') throw new CommandError(`No name can be made of ${what}: give one with --name`, 2);
  return name;
}
const ifAny = <T extends object>(fields: T): T | undefined => (Object.keys(fields).length > 0 ? fields : undefined);
const given = <T extends object>(fields: T): Given<T> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
