import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { OperationVerdict, Verdict, VerdictReason } from '#libs/core/conversion.js';
import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';

// What belongs to a document is large, alike in itself and read whole: it is stored compressed, which is also far
// quicker through the drivers than the plain bytes are.

const compress = promisify<Uint8Array | string, { level: number }, Uint8Array<ArrayBuffer>>(gzip);
const expand = promisify<Uint8Array, Uint8Array<ArrayBuffer>>(gunzip);

export const pack = (content: Uint8Array | string): Promise<Uint8Array<ArrayBuffer>> => compress(content, { level: 4 });
export const unpack = (packed: Uint8Array): Promise<Uint8Array<ArrayBuffer>> => expand(packed);

/** Bytes of what was packed, from the last four bytes of it (RFC 1952 §2.3.1, ISIZE): exact below 4 GiB. */
export const sizeOfPacked = (trailer: Uint8Array): number => new DataView(trailer.buffer, trailer.byteOffset, 4).getUint32(0, true);

/** Characters of JSON handled between two turns of the event loop. */
const SLICE = 1_000_000;
export const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/** One schema a line, so that a pool of many megabytes can be read in slices. */
export function packDefinitions(definitions: Definitions): Promise<Uint8Array<ArrayBuffer>> {
  return pack(Object.entries(definitions).map((entry) => JSON.stringify(entry)).join('\n'));
}

export async function unpackDefinitions(packed: Uint8Array): Promise<Definitions> {
  const definitions: Record<string, JsonSchema> = {};
  let size = 0;
  for (const line of Buffer.from(await unpack(packed)).toString('utf8').split('\n')) {
    if (line === '') continue;
    const [name, schema] = JSON.parse(line) as [string, JsonSchema];
    // Any name is a name, `__proto__` too.
    Object.defineProperty(definitions, name, { value: schema, enumerable: true, configurable: true, writable: true });
    if ((size += line.length) > SLICE) {
      size = 0;
      await turn();
    }
  }
  return definitions;
}

/** One operation as it is stored: most are exact and have neither reasons nor notes, so a short tuple says it all. */
type Row = readonly [method: string, path: string, operationId: string | 0, tool: string | 0, verdict: Verdict, reasons?: readonly VerdictReason[], notes?: readonly VerdictReason[]];

export function packLedger(ledger: readonly OperationVerdict[]): Promise<Uint8Array<ArrayBuffer>> {
  return pack(JSON.stringify(ledger.map(({ method, path, operationId, tool, verdict, reasons, notes }): Row => {
    const short = [method, path, operationId ?? 0, tool ?? 0, verdict] as const;
    return notes.length > 0 ? [...short, reasons, notes] : reasons.length > 0 ? [...short, reasons] : short;
  })));
}

/** One entry for each operation, in document order. */
export async function unpackLedger(packed: Uint8Array): Promise<OperationVerdict[]> {
  return (JSON.parse(Buffer.from(await unpack(packed)).toString('utf8')) as Row[]).map(([method, path, operationId, tool, verdict, reasons = [], notes = []]) => ({
    method, path, operationId: operationId === 0 ? undefined : operationId, tool: tool === 0 ? undefined : tool, verdict, reasons, notes,
  }));
}

export function countVerdicts(ledger: readonly OperationVerdict[]): { operations: number } & Record<Verdict, number> {
  const counts = { operations: ledger.length, exact: 0, degraded: 0, refused: 0 };
  for (const { verdict } of ledger) counts[verdict] += 1;
  return counts;
}
