import { crc32 } from 'node:zlib';

/**
 * A segment is `STOAJNL1`, then frames: length of the payload (u32, little-endian) | CRC-32 (ISO-HDLC) of those four bytes and the payload |
 * payload, UTF-8 text. The first frame is the segment's header, one JSON object; each further one is what one commit wrote: whole lines.
 */
export const MAGIC = Buffer.from('STOAJNL1', 'latin1');
const MAGIC_STEM = 'STOAJNL';
export const FRAME_HEAD = 8;
/** Of a payload. A longer one is damage. */
const MAX_PAYLOAD = 32 * 1024 * 1024;

/** Writes the frame of `text` into `buffer` at `offset`, where there must be room for `FRAME_HEAD` and three bytes a character. Answers its length. */
export function writeFrame(buffer: Buffer, offset: number, text: string): number {
  const length = buffer.write(text, offset + FRAME_HEAD, 'utf8');
  buffer.writeUInt32LE(length, offset);
  buffer.writeUInt32LE(crcOf(buffer, offset, length), offset + 4);
  return FRAME_HEAD + length;
}

const crcOf = (buffer: Buffer, offset: number, length: number): number =>
  crc32(buffer.subarray(offset + FRAME_HEAD, offset + FRAME_HEAD + length), crc32(buffer.subarray(offset, offset + 4)));

/** How many bytes the frame at `offset` has; `more` when the buffer ends before it does; `bad` for what no frame can be. */
export function frameLength(buffer: Buffer, offset: number): number | 'more' | 'bad' {
  if (buffer.length - offset < FRAME_HEAD) return 'more';
  const length = buffer.readUInt32LE(offset);
  return length === 0 || length > MAX_PAYLOAD ? 'bad' : FRAME_HEAD + length;
}

/** The payload of the whole frame of `length` bytes at `offset`; undefined when its sum is wrong. */
export function readFrame(buffer: Buffer, offset: number, length: number): string | undefined {
  return crcOf(buffer, offset, length - FRAME_HEAD) === buffer.readUInt32LE(offset + 4) ? buffer.toString('utf8', offset + FRAME_HEAD, offset + length) : undefined;
}

/** Undefined: of this version. Else what is wrong, in words. */
export function refuseMagic(start: Buffer): string | undefined {
  if (start.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const text = start.toString('latin1', 0, MAGIC.length);
  return text.startsWith(MAGIC_STEM) && text.length === MAGIC.length
    ? `has format version ${JSON.stringify(text.slice(MAGIC_STEM.length))}, this program reads version 1`
    : 'is not a journal segment';
}
