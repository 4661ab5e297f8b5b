import { createReadStream, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { type Checkpoint, readKeys } from '#libs/audit/checkpoint.js';
import { type AuditReport, AuditVerifier } from '#libs/audit/verify.js';
import { CommandError } from './client.js';
import type { Io } from './io.js';

export const AUDIT_HELP = `stoa audit verify EXPORT.jsonl --key PUBLIC.pem [--anchors CHECKPOINTS.jsonl]

Checks an export of an audit trail with nothing but the file and the public key of the installation: no database, no network.
Names the first entry that is not as it was recorded, and exits 1.

  --key FILE       public key (PEM) that signs checkpoints (repeatable: keys are rotated)
  --anchors FILE   checkpoints kept in another place, one JSON object a line: shows a tail that was cut off
  --json           print the report as JSON`;

export async function auditCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args], allowPositionals: true, strict: true,
    options: { key: { type: 'string', multiple: true }, anchors: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const [verb, file, ...more] = positionals;
  if (verb !== 'verify' || file === undefined || more.length > 0) throw new CommandError('stoa audit: use stoa audit verify EXPORT.jsonl --key PUBLIC.pem', 2);
  if (values.key === undefined) throw new CommandError('stoa audit verify needs --key: a key inside the export would vouch for itself', 2);
  const verifier = new AuditVerifier({ keys: keysOf(values.key), ...(values.anchors === undefined ? {} : { anchors: anchorsOf(values.anchors) }) });
  for await (const line of createInterface({ input: opened(file), crlfDelay: Number.POSITIVE_INFINITY })) verifier.take(line);
  const report = verifier.finish();
  if (values.json) io.out(JSON.stringify(report, undefined, 2)); else tell(file, report, io);
  return report.fault === undefined ? 0 : 1;
}

function tell(file: string, { chain, entries, from, to, fault, anchoredTo, checkpoints, erased, notes }: AuditReport, io: Io): void {
  if (fault !== undefined) {
    io.err(`${file}:${fault.line}: ${fault.seq === undefined ? '' : `entry ${fault.seq}: `}${fault.problem}`);
    io.out(`NOT as recorded. ${entries} entries before that place agree with one another.`);
    return;
  }
  io.out(`${file}: chain ${chain ?? '?'}, entries ${from ?? 0} to ${to ?? 0}: ${entries} entries, each as it was recorded, none missing between.`);
  io.out(`${checkpoints} signed checkpoints; they vouch for entries up to ${anchoredTo ?? 'none'}. ${erased} entries had their personal part erased.`);
  for (const note of notes) io.out(`Note: ${note}.`);
}

function keysOf(files: readonly string[]): ReturnType<typeof readKeys> {
  const pems = files.map((file) => text(file));
  try { return readKeys(pems); } catch (error) { throw new CommandError(`--key ${files.join(', ')}: ${error instanceof Error ? error.message : String(error)}`, 2); }
}

function anchorsOf(file: string): readonly Checkpoint[] {
  return text(file).split('\n').filter((line) => line.trim() !== '').map((line, i) => {
    try { return JSON.parse(line) as Checkpoint; } catch { throw new CommandError(`${file}:${i + 1}: is not JSON`, 2); }
  });
}

function text(file: string): string {
  try { return readFileSync(file, 'utf8'); } catch (error) { throw new CommandError(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`); }
}
function opened(file: string): Readable {
  if (file === '-') return process.stdin;
  // Opened before it is read as a stream: an error then has a name here, not in the middle of the reading.
  try { return createReadStream('', { fd: openSync(file, 'r') }); } catch (error) { throw new CommandError(`Cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`); }
}
