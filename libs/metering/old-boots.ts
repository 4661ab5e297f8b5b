import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FRAME_HEAD, frameLength, MAGIC, readFrame, refuseMagic } from './frame.js';
import { parseSegmentName } from './segment-name.js';
import { JournalUnreadable } from './segment-reader.js';

/** What an earlier life of this gateway left behind. */
export interface OldBoot {
  readonly id: string;
  /** Undefined where no header tells. */
  readonly source: string | undefined;
  /** By number. */
  readonly segments: readonly { readonly path: string; readonly number: number; readonly bytes: number }[];
}

/** Oldest first. Rejects with `JournalUnreadable` for a segment of another version, and with the system's error for a folder that cannot be read. */
export async function oldBoots(directory: string): Promise<readonly OldBoot[]> {
  const names = (await readdir(directory)).toSorted();
  const boots = new Map<string, { id: string; source: string | undefined; segments: { path: string; number: number; bytes: number }[] }>();
  for (const name of names) {
    const found = parseSegmentName(name);
    if (!found) continue;
    const path = join(directory, name);
    let boot = boots.get(found.boot.id);
    if (!boot) boots.set(found.boot.id, boot = { id: found.boot.id, source: undefined, segments: [] });
    boot.segments.push({ path, number: found.number, bytes: (await stat(path)).size });
    boot.source ??= await sourceOf(path);
  }
  return [...boots.values()];
}

async function sourceOf(path: string): Promise<string | undefined> {
  const file = await open(path, 'r');
  try {
    const start = Buffer.alloc(4096);
    const { bytesRead } = await file.read(start, 0, start.length, 0);
    const header = start.subarray(0, bytesRead);
    if (bytesRead < MAGIC.length + FRAME_HEAD) return undefined;
    const refused = refuseMagic(header);
    if (refused !== undefined) throw new JournalUnreadable(path, refused);
    const length = frameLength(header, MAGIC.length);
    if (typeof length !== 'number' || MAGIC.length + length > bytesRead) return undefined;
    const text = readFrame(header, MAGIC.length, length);
    const { source } = text === undefined ? {} : JSON.parse(text) as { source?: unknown };
    return typeof source === 'string' ? source : undefined;
  } finally { await file.close(); }
}
