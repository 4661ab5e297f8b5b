import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Io } from '#apps/cli/src/io.js';

export interface Source { readonly bytes: Uint8Array; readonly fileName: string; readonly documentUrl: string | undefined }

const FETCH_TIMEOUT_MS = 30_000;

/** A document's bytes from a file, an http or https URL, or `-` for standard input. Rejects with what could not be read and why. */
export async function readSource(source: string, io: Io): Promise<Source> {
  if (source === '-') return { bytes: io.stdin(), fileName: 'standard input', documentUrl: undefined };
  if (!/^https?:\/\//i.test(source)) return { bytes: readFileSync(source), fileName: basename(source), documentUrl: undefined };
  const response = await fetch(source, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) }).catch((cause: unknown) => {
    throw new Error(`${source} cannot be fetched: ${reasonOf(cause)}`, { cause });
  });
  if (!response.ok) throw new Error(`${source} answered ${response.status}`);
  return { bytes: new Uint8Array(await response.arrayBuffer()), fileName: source, documentUrl: response.url };
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return 'unknown reason';
  return cause.cause instanceof Error ? cause.cause.message : cause.message;
}
