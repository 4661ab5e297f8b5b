import type { ApiKind, Connection } from './api-kind.js';
import type { ConversionOptions, ConvertedDocument } from './conversion.js';
import type { CredentialReference } from './rest-binding.js';
import type { TenantSlug } from './tenant.js';

export interface DescribeContext {
  readonly tenant: TenantSlug;
  /** By slot, for backends that describe themselves only to whom they know. */
  readonly credentials: Readonly<Record<string, CredentialReference>>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * How APIs of one kind come into the catalogue. One per kind; the backend of that kind (`Backend`) then calls what it made.
 * Every failure is an `AdmissionError`, which names the place and the fix; nothing is half admitted.
 */
export interface Admission {
  readonly kind: ApiKind;
  /**
   * What a living backend says of itself (introspection, reflection, metadata, lists), as one document whose bytes are equal as long as
   * it says the same. Left out: this kind is described by documents alone.
   */
  describe?(connection: Connection, context: DescribeContext): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }>;
  /** A document, or what `describe` gave, into tools with one verdict for each operation. Never blocks the event loop for long. */
  convert(bytes: Uint8Array, options: ConversionOptions & { readonly fileName?: string }): Promise<ConvertedDocument>;
}

/** Nothing can be admitted: who asked is told what is wrong, where, and what to do. */
export class AdmissionError extends Error {
  override get name(): string { return 'AdmissionError'; }
  /** Stable, lower-case with hyphens: `introspection-disabled`, `missing-import`, … */
  readonly code: string;
  /** `input`: the request or the document is wrong (422). `backend`: it could not be reached or answered badly (502). */
  readonly fault: 'input' | 'backend';
  /** `message` names the place (field, file and line, JSON Pointer) and the fix. */
  constructor(code: string, message: string, fault: 'input' | 'backend' = 'input') {
    super(message);
    this.code = code;
    this.fault = fault;
  }
}
