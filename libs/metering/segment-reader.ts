import { open } from 'node:fs/promises';
import { FRAME_HEAD, frameLength, MAGIC, readFrame, refuseMagic } from './frame.js';

/** One whole frame, or a stretch that is none. */
export type SegmentPart =
  | { readonly at: number; readonly next: number; readonly text: string }
  | { readonly at: number; readonly damage: string };

/** The journal of another program, or of another version of this one. */
export class JournalUnreadable extends Error {
  readonly code = 'JOURNAL_UNREADABLE';
  override get name(): string { return 'JournalUnreadable'; }
  constructor(path: string, what: string) {
    super(`The journal segment ${path} ${what}: let the program that wrote it hand on its records, or move the file out of the folder`);
  }
}

const CHUNK = 1024 * 1024;

/**
 * The frames of a segment from byte `from` up to byte `end` (default: the file's), the header's left out, in order. A frame whose sum is
 * wrong is told as damage and passed over if a whole frame follows; else nothing after it can be trusted and the reading ends. A torn tail
 * is such an end. Rejects with `JournalUnreadable` for a file of another version.
 */
export async function* readSegment(path: string, from = 0, end = Infinity): AsyncGenerator<SegmentPart> {
  const file = await open(path, 'r');
  try {
    let at = from;
    let buffer = Buffer.alloc(0);
    let start = from;
    const atLeast = async (bytes: number): Promise<boolean> => {
      // Drops what was read and reads on, so that `bytes` bytes from `at` are in memory. False: there are not as many.
      if (start + buffer.length - at >= bytes) return true;
      const rest = buffer.subarray(at - start);
      const wanted = Math.min(Math.max(bytes, CHUNK), end - at);
      if (wanted < bytes) return false;
      const bigger = Buffer.allocUnsafe(wanted);
      rest.copy(bigger);
      let length = rest.length;
      while (length < bytes) {
        const { bytesRead } = await file.read(bigger, length, bigger.length - length, at + length);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      buffer = bigger.subarray(0, length);
      start = at;
      return length >= bytes;
    };
    if (from < MAGIC.length) {
      if (!await atLeast(MAGIC.length)) { if (start + buffer.length > at) yield { at, damage: 'the header is cut off' }; return; }
      const refused = refuseMagic(buffer);
      if (refused !== undefined) throw new JournalUnreadable(path, refused);
      at = MAGIC.length;
    }
    for (;;) {
      if (!await atLeast(FRAME_HEAD)) { if (start + buffer.length > at) yield { at, damage: 'the last record is cut off' }; return; }
      const length = frameLength(buffer, at - start);
      if (length === 'bad') { yield { at, damage: 'what follows is no record' }; return; }
      if (length === 'more' || !await atLeast(length)) { yield { at, damage: 'the last record is cut off' }; return; }
      const text = readFrame(buffer, at - start, length);
      if (text !== undefined) {
        if (at > MAGIC.length) yield { at, next: at + length, text };
        at += length;
        continue;
      }
      yield { at, damage: 'a record does not have the sum it was written with' };
      at += length;
      const followed = await atLeast(FRAME_HEAD) ? frameLength(buffer, at - start) : 'bad';
      if (typeof followed !== 'number' || !await atLeast(followed) || readFrame(buffer, at - start, followed) === undefined) return;
    }
  } finally { await file.close(); }
}
