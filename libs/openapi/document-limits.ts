import { DocumentError } from '#libs/openapi/document-error.js';

/** What one document may cost. Real public documents reach 47 MB, 22,361 operations and 60 levels. */
export interface DocumentLimits {
  readonly maxBytes: number;
  readonly maxOperations: number;
  /** Levels of nesting in the document as written. */
  readonly maxDepth: number;
  /** YAML alias nodes (`*name`) in the whole document. */
  readonly maxAliases: number;
}

export const DOCUMENT_LIMITS: DocumentLimits = {
  maxBytes: 64 * 1024 * 1024,
  maxOperations: 25_000,
  maxDepth: 128,
  maxAliases: 100,
};

/** Throws `DocumentError` for more bytes than allowed. */
export function refuseTooLarge(bytes: Uint8Array, file: string, maxBytes: number): void {
  if (bytes.byteLength <= maxBytes) return;
  throw new DocumentError({ code: 'too-large', file, problem: `the document has ${bytes.byteLength} bytes, the limit is ${maxBytes}; split it or leave out what is not needed` });
}
