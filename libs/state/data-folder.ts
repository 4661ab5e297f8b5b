import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** The folder belongs to another living process; two of them would lose each other's rows. */
export class DataFolderInUse extends Error {
  readonly code = 'DATA_FOLDER_IN_USE';
  override get name(): string { return 'DataFolderInUse'; }
  constructor(readonly directory: string, readonly pid: number) {
    super(`The data folder ${directory} is in use by process ${pid}: stop that one first, or choose another folder`);
  }
}

/** The folder cannot be made, read or written. */
export class DataFolderUnusable extends Error {
  readonly code = 'DATA_FOLDER_UNUSABLE';
  override get name(): string { return 'DataFolderUnusable'; }
  constructor(readonly directory: string, cause: unknown) {
    super(`The data folder ${directory} cannot be used (${cause instanceof Error ? cause.message : String(cause)}): make it writable, or choose another folder`, { cause });
  }
}

interface Owner { readonly pid: number; /** Clock ticks after boot when it started; null where the system does not tell. */ readonly start: string | null; readonly released: boolean }

const FILE = /^owner\.(\d{1,15})$/;

/**
 * Take the folder for this process, making it (mode 0700) when it is missing. Answers the way to give it back.
 * Rejects with `DataFolderInUse` while its owner lives, and with `DataFolderUnusable`. An owner that died without giving it
 * back (kill -9) is taken over from.
 *
 * Each ownership is a file with the next number, put there whole by link(2), which fails when the name exists. A file is never
 * changed but from owned to released, and the highest number rules; so of two processes that both find a dead owner
 * one gets the next number, and one that was overtaken between looking and linking sees a higher number and steps back.
 */
export async function ownDataFolder(directory: string): Promise<() => Promise<void>> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const facts = await processFacts(process.pid);
    const self: Owner = { pid: process.pid, start: typeof facts === 'object' ? facts.start : null, released: false };
    for (;;) {
      const last = await highest(directory);
      if (last > 0) {
        const owner = await readOwner(directory, last);
        if (owner === 'superseded') continue;
        if (owner && await lives(owner)) throw new DataFolderInUse(directory, owner.pid);
      }
      const mine = await claim(directory, last + 1, self);
      if (mine) return async () => { await replace(directory, mine, { ...self, released: true }); };
    }
  } catch (failure) {
    if (failure instanceof DataFolderInUse) throw failure;
    throw new DataFolderUnusable(directory, failure);
  }
}

async function claim(directory: string, number: number, self: Owner): Promise<number | undefined> {
  const draft = path.join(directory, `owner.draft.${randomUUID()}`);
  await writeFile(draft, JSON.stringify(self), { mode: 0o600 });
  try {
    await link(draft, ownerFile(directory, number));
  } catch (failure) {
    if (errorCode(failure) === 'EEXIST') return undefined;
    throw failure;
  } finally {
    await rm(draft, { force: true });
  }
  const numbers = await ownerNumbers(directory);
  if (numbers.some((other) => other > number)) {
    await rm(ownerFile(directory, number), { force: true });
    return undefined;
  }
  for (const older of numbers) if (older < number) await rm(ownerFile(directory, older), { force: true });
  return number;
}

async function replace(directory: string, number: number, owner: Owner): Promise<void> {
  const draft = path.join(directory, `owner.draft.${randomUUID()}`);
  await writeFile(draft, JSON.stringify(owner), { mode: 0o600 });
  await rename(draft, ownerFile(directory, number));
}

const ownerFile = (directory: string, number: number): string => path.join(directory, `owner.${number}`);

async function ownerNumbers(directory: string): Promise<number[]> {
  return (await readdir(directory)).flatMap((name) => { const found = FILE.exec(name); return found ? [Number(found[1])] : []; });
}
const highest = async (directory: string): Promise<number> => Math.max(0, ...await ownerNumbers(directory));

/** Undefined: nothing that can be read as an owner, so nobody. */
async function readOwner(directory: string, number: number): Promise<Owner | 'superseded' | undefined> {
  let text: string;
  try {
    text = await readFile(ownerFile(directory, number), 'utf8');
  } catch (failure) {
    if (errorCode(failure) === 'ENOENT') return 'superseded';
    throw failure;
  }
  try {
    const read = JSON.parse(text) as Partial<Owner> | null;
    if (typeof read?.pid !== 'number' || !Number.isSafeInteger(read.pid) || read.pid < 1) return undefined;
    return { pid: read.pid, start: typeof read.start === 'string' ? read.start : null, released: read.released === true };
  } catch {
    return undefined;
  }
}

async function lives(owner: Owner): Promise<boolean> {
  if (owner.released) return false;
  const facts = await processFacts(owner.pid);
  if (facts === undefined) return answersSignals(owner.pid);
  // A number that was given to another process since.
  return facts !== 'gone' && (owner.start === null || facts.start === owner.start);
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (failure) {
    return errorCode(failure) === 'EPERM';
  }
}

/** From /proc/{pid}/stat (proc(5)): field 3 is the state, field 22 the start. Undefined where there is no /proc. */
async function processFacts(pid: number): Promise<{ start: string } | 'gone' | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return process.platform === 'linux' ? 'gone' : undefined;
  }
  // The command's name (field 2) is in parentheses and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const start = fields[19];
  return fields[0] === 'Z' || fields[0] === 'X' || start === undefined ? 'gone' : { start };
}

const errorCode = (failure: unknown): unknown => (failure instanceof Error && 'code' in failure ? failure.code : undefined);
