/** Why a whole document cannot be converted. Stable, for counting and for tests. */
export type DocumentErrorCode =
  | 'invalid-encoding'
  | 'syntax'
  | 'too-large'
  | 'too-deep'
  | 'too-many-operations'
  | 'too-many-aliases'
  | 'merge-key'
  | 'not-openapi'
  | 'unsupported-version'
  | 'invalid-document'
  | 'invalid-options'
  | 'time-limit'
  | 'memory-limit'
  | 'conversion-failed';

export interface DocumentErrorFacts {
  readonly code: DocumentErrorCode;
  /** What is wrong and what would mend it. */
  readonly problem: string;
  readonly file: string;
  /** 1-based. */
  readonly line?: number;
  /** 1-based. */
  readonly column?: number;
  /** JSON Pointer (RFC 6901) into the document. */
  readonly pointer?: string;
}

/** A document that cannot be converted at all. The message names the file, the place in it, what is wrong and the fix. */
export class DocumentError extends Error {
  readonly facts: DocumentErrorFacts;
  constructor(facts: DocumentErrorFacts, options?: { cause?: unknown }) {
    super(`${facts.file}${place(facts)}: ${facts.problem}`, options);
    this.facts = facts;
  }
  override get name(): string { return 'DocumentError'; }
  get code(): DocumentErrorCode { return this.facts.code; }
}

function place(facts: DocumentErrorFacts): string {
  if (facts.pointer !== undefined) return `#${facts.pointer}`;
  if (facts.line === undefined) return '';
  return facts.column === undefined ? `:${facts.line}` : `:${facts.line}:${facts.column}`;
}
