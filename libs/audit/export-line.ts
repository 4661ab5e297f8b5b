import type { Checkpoint } from '#libs/audit/checkpoint.js';
import type { AuditBody, AuditEntry, Digest, Personal } from '#libs/audit/entry.js';
import type { Frontier } from '#libs/audit/merkle.js';

/** First line of an export. */
export interface ExportHeader {
  readonly stoa: 'audit-export';
  readonly v: 1;
  readonly chain: string;
  /** First entry. */
  readonly from: number;
  /** Last entry, where only a part was asked for; left out: all that there is. */
  readonly to?: number;
  /** Digest of the body before the first entry. */
  readonly prev: Digest;
  /** The Merkle tree before the first entry; left out where it is empty or not known. */
  readonly frontier?: Frontier;
  readonly exportedAt: string;
}
export interface InclusionLine { readonly seq: number; readonly proof: readonly Digest[] }

/**
 * One line of an audit export (JSON Lines, UTF-8): the header; then entries in order, each checkpoint behind the last entry that it vouches for; a
 * part that ends between checkpoints closes with the next checkpoint and a proof that its last entry is in that checkpoint's tree.
 */
export type ExportLine = ExportHeader | { readonly body: AuditBody; readonly personal?: Personal } | { readonly checkpoint: Checkpoint } | { readonly inclusion: InclusionLine };

export interface ExportParts {
  readonly header: Omit<ExportHeader, 'stoa' | 'v'>;
  readonly entries: Iterable<AuditEntry>;
  /** Of this chain, ascending. */
  readonly checkpoints: readonly Checkpoint[];
  /** For a part that ends between checkpoints: of its last entry, to the root of the next one. */
  readonly proof?: readonly Digest[];
}

/** The lines of an export, without line breaks. */
export function* exportLines({ header, entries, checkpoints, proof }: ExportParts): Generator<string> {
  yield JSON.stringify({ stoa: 'audit-export', v: 1, ...header } satisfies ExportHeader);
  const due = checkpoints.filter(({ seq }) => seq >= header.from);
  let next = 0;
  let last = header.from - 1;
  for (const entry of entries) {
    yield JSON.stringify(entry);
    last = entry.body.seq;
    for (let at = due[next]; at?.seq === last; at = due[next += 1]) yield JSON.stringify({ checkpoint: at });
  }
  const after = due[next];
  if (proof !== undefined && after !== undefined) {
    yield JSON.stringify({ checkpoint: after });
    yield JSON.stringify({ inclusion: { seq: last, proof } satisfies InclusionLine });
  }
}
