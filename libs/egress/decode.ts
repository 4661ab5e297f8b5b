import { brotliDecompress, gunzip, inflate, inflateRaw, type InputType, zstdDecompress } from 'node:zlib';
import { OutboundFailure } from '#libs/core/outbound.js';

/** Expansion is free up to here; beyond it a body may be at most 100 times its compressed size. */
const FREE_BYTES = 1 << 20;
const MAX_RATIO = 100;

export const ACCEPT_ENCODING = 'gzip, br, zstd, deflate';

type Decompress = (buffer: InputType, options: { maxOutputLength: number }, callback: (error: Error | null, result: Buffer) => void) => void;
const DECODERS: Readonly<Record<string, Decompress>> = { gzip: gunzip, 'x-gzip': gunzip, br: brotliDecompress, zstd: zstdDecompress, deflate };

/** RFC 9110 §8.4.1.2 means zlib; some servers send bare deflate. */
function deflate(...[buffer, options, callback]: Parameters<Decompress>): void {
  const bytes = buffer as Uint8Array;
  const zlib = ((bytes[0] ?? 0) & 0x0f) === 8 && (((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)) % 31 === 0;
  (zlib ? inflate : inflateRaw)(buffer, options, callback);
}

/** The one coding that a `Content-Encoding` names, undefined for none. Throws `OutboundFailure` for several or an unknown one. */
export function contentCoding(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const codings = header.split(',').map((c) => c.trim().toLowerCase()).filter((c) => c !== '' && c !== 'identity');
  if (codings.length === 0) return undefined;
  if (codings.length > 1) throw new OutboundFailure('bad-encoding', `The backend's answer has ${codings.length} content codings on top of each other; one is the limit`);
  const [coding] = codings;
  if (coding === undefined || !Object.hasOwn(DECODERS, coding)) throw new OutboundFailure('bad-encoding', `The backend's answer has an unknown content coding ${JSON.stringify(coding?.slice(0, 40))}`);
  return coding;
}

/** Decompress a whole body. Rejects `too-large` when it would pass `maxBytes` or the ratio, before that much memory is taken. */
export async function decompress(coding: string, body: Buffer, maxBytes: number): Promise<Buffer> {
  const decoder = DECODERS[coding];
  if (!decoder) throw new OutboundFailure('bad-encoding', 'Unknown content coding');
  const byRatio = Math.max(FREE_BYTES, body.length * MAX_RATIO);
  const maxOutputLength = Math.min(maxBytes, byRatio);
  return new Promise((resolve, reject) => {
    decoder(body, { maxOutputLength }, (error, result) => {
      if (!error) return resolve(result);
      if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') {
        return reject(new OutboundFailure('too-large', byRatio < maxBytes
          ? `The backend's answer expands more than ${MAX_RATIO} times when decompressed`
          : `The backend's answer is larger than ${maxBytes} bytes when decompressed`));
      }
      return reject(new OutboundFailure('bad-encoding', `The backend's answer is not valid ${coding}`, { cause: error }));
    });
  });
}
