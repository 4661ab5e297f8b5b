import { closeSync, fdatasync, fsync, ftruncateSync, mkdirSync, open as openAsync, openSync, close, rmSync, writeSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * The file system as the journal's writer uses it, so that each of its failures can be tried. Writing is synchronous: it reaches the
 * system's page cache and survives the death of the process; only `sync` reaches the disk, and does not hold up the event loop.
 */
export interface JournalFiles {
  /** As `mkdir -p`, mode 0700. */
  makeFolder(path: string): void;
  /** A new file, mode 0600; throws where one is. */
  create(path: string): number;
  /** May write less than asked, as write(2) may. */
  write(file: number, bytes: Uint8Array, position: number): number;
  truncate(file: number, length: number): void;
  /** fdatasync(2) */
  sync(file: number): Promise<void>;
  /** Makes the names in a folder durable. */
  syncFolder(path: string): Promise<void>;
  close(file: number): void;
  remove(path: string): void;
  /** Bytes free to this user on the folder's file system. */
  free(path: string): Promise<number>;
}

export const systemFiles: JournalFiles = {
  makeFolder: (path) => { mkdirSync(path, { recursive: true, mode: 0o700 }); },
  create: (path) => openSync(path, 'wx', 0o600),
  write: (file, bytes, position) => writeSync(file, bytes, 0, bytes.length, position),
  truncate: (file, length) => { ftruncateSync(file, length); },
  sync: promisify(fdatasync),
  syncFolder: async (path) => {
    const folder = await promisify(openAsync)(path, 'r');
    try { await promisify(fsync)(folder); } finally { await promisify(close)(folder); }
  },
  close: (file) => { closeSync(file); },
  remove: (path) => { rmSync(path, { force: true }); },
  free: async (path) => { const { bavail, bsize } = await statfs(path); return bavail * bsize; },
};
