import { createReadStream, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { readKeys } from '#libs/audit/checkpoint.js';
import { type AuditReport, AuditVerifier } from '#libs/audit/verify.js';
import { allTrails, anchorsHere, anchorsOfFile, eraseSubject, exportLines, nameOf, productKeys, proofLines, queryTrail, read, type Trail } from './audit-product.js';
import { CommandError } from './client.js';
import type { Io } from './io.js';

export const AUDIT_HELP = `stoa audit verify EXPORT.jsonl --key PUBLIC.pem [--anchors CHECKPOINTS.jsonl]
stoa audit verify [--tenant TENANT | --platform] [--key PUBLIC.pem] [--anchors CHECKPOINTS.jsonl]
stoa audit export --tenant TENANT [--from PLACE] [--to PLACE] [--format jsonl|csv] > FILE
stoa audit prove --tenant TENANT --seq N > FILE
stoa audit query --tenant TENANT [--tool T] [--user U] [--status S] [--kind K] [--from TIME] [--to TIME] [--limit N]
stoa audit erase --tenant TENANT --subject SUBJECT
stoa audit keys

verify checks an export with nothing but the file and the public key of the installation: no database, no network. Without a file it
fetches the trail of the tenant, of the platform, or all of them from the running product, and checks them here. It names the first
entry that is not as it was recorded, and exits 1.

  --key FILE       public key (PEM) that signs checkpoints (repeatable: keys are rotated)
  --anchors FILE   checkpoints kept in another place, one JSON object a line: shows a tail that was cut off
  --from, --to     the number of an entry, or a time: 2026-11-01T00:00:00Z, 1h, 7d
  --platform       the trail of what belongs to no tenant, instead of --tenant
  --json           print the report, or the entries, as JSON`;

const OPTIONS = {
  key: { type: 'string', multiple: true }, anchors: { type: 'string' }, json: { type: 'boolean', default: false }, tenant: { type: 'string' }, platform: { type: 'boolean', default: false }, from: { type: 'string' }, to: { type: 'string' }, seq: { type: 'string' },
  format: { type: 'string' }, tool: { type: 'string' }, user: { type: 'string' }, status: { type: 'string' }, kind: { type: 'string' }, limit: { type: 'string' }, subject: { type: 'string' },
} as const;
const parsed = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, strict: true, options: OPTIONS });
type Values = ReturnType<typeof parsed>['values'];

export async function auditCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals: [verb, file, ...more] } = parsed(args);
  if (more.length > 0 || (file !== undefined && verb !== 'verify')) throw new CommandError('stoa audit: too many arguments; stoa audit --help shows them', 2);
  switch (verb ?? '') {
    case 'verify': return file === undefined ? verifyProduct(values, io) : verifyFile(file, values, io);
    case 'export': return print(await exportLines(io, trailOf(values), values), io);
    case 'prove': return print(await proofLines(io, trailOf(values), needed(values.seq, '--seq')), io);
    case 'query': {
      const { tool, user, status, kind, from, to, limit } = values;
      await queryTrail(io, trailOf(values), { tool_name: tool, user, status, kind, from, to, limit }, values.json);
      return 0;
    }
    case 'erase': await eraseSubject(io, trailOf(values), needed(values.subject, '--subject')); return 0;
    case 'keys': for (const pem of await productKeys(io)) io.out(pem.trimEnd()); return 0;
    default: throw new CommandError('stoa audit: use stoa audit verify, export, prove, query, erase or keys', 2);
  }
}

async function print(lines: AsyncIterable<string>, io: Io): Promise<number> {
  for await (const line of lines) io.out(line.replace(/\r$/, ''));
  return 0;
}
function trailOf({ tenant, platform }: Values): Trail {
  if ((tenant === undefined) === !platform) throw new CommandError('name one trail: --tenant TENANT or --platform', 2);
  return { tenant };
}
function needed(value: string | undefined, name: string): string {
  if (value === undefined) throw new CommandError(`${name} is missing`, 2);
  return value;
}

async function verifyFile(file: string, { key, anchors, json }: Values, io: Io): Promise<number> {
  if (key === undefined) throw new CommandError('stoa audit verify needs --key: a key inside the export would vouch for itself', 2);
  const verifier = new AuditVerifier({ keys: keysOf(key), ...(anchors === undefined ? {} : { anchors: anchorsOfFile(anchors, undefined) }) });
  for await (const line of createInterface({ input: opened(file), crlfDelay: Number.POSITIVE_INFINITY })) verifier.take(line);
  return tell(file, verifier.finish(), json, io);
}

/** As it is stored, and checked here: the product is not asked for its opinion. */
async function verifyProduct(values: Values, io: Io): Promise<number> {
  const trails = values.tenant === undefined && !values.platform ? await allTrails(io) : [trailOf(values)];
  const keys = values.key === undefined ? readKeys(await productKeys(io)) : keysOf(values.key);
  if (values.key === undefined) io.err('Note: the keys are those that the product itself tells. Keep them once (stoa audit keys) and give them by --key, so that nobody can replace them.');
  const anchors = values.anchors ?? anchorsHere(io);
  let worst = 0;
  for (const trail of trails) {
    const verifier = new AuditVerifier({ keys, ...(anchors === undefined ? {} : { anchors: anchorsOfFile(anchors, trail.tenant ?? '_platform') }) });
    for await (const line of await exportLines(io, trail, { raw: true })) verifier.take(line);
    worst = Math.max(worst, tell(nameOf(trail), verifier.finish(), values.json, io));
  }
  return worst;
}

function tell(name: string, report: AuditReport, json: boolean, io: Io): number {
  const { chain, entries, from, to, fault, anchoredTo, checkpoints, erased, notes } = report;
  if (json) io.out(JSON.stringify(report, undefined, 2));
  else if (fault !== undefined) {
    io.err(`${name}:${fault.line}: ${fault.seq === undefined ? '' : `entry ${fault.seq}: `}${fault.problem}`);
    io.out(`NOT as recorded. ${entries} entries before that place agree with one another.`);
  } else {
    io.out(entries === 0 ? `${name}: chain ${chain ?? '?'} has no entries.` : `${name}: chain ${chain ?? '?'}, entries ${from ?? 0} to ${to ?? 0}: ${entries} entries, each as it was recorded, none missing between.`);
    io.out(`${checkpoints} signed checkpoints; they vouch for entries up to ${anchoredTo ?? 'none'}. ${erased} entries had their personal part erased.`);
    for (const note of notes) io.out(`Note: ${note}.`);
  }
  return fault === undefined ? 0 : 1;
}

function keysOf(files: readonly string[]): ReturnType<typeof readKeys> {
  const pems = files.map((file) => read(file));
  try { return readKeys(pems); } catch (error) { throw new CommandError(`--key ${files.join(', ')}: ${error instanceof Error ? error.message : String(error)}`, 2); }
}

function opened(file: string): Readable {
  if (file === '-') return process.stdin;
  // Opened before it is read as a stream: an error then has a name here, not in the middle of the reading.
  try { return createReadStream('', { fd: openSync(file, 'r') }); } catch (error) { throw new CommandError(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`); }
}
