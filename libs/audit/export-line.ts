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
  const lines = new ExportLines(header, checkpoints);
  yield* lines.begin();
  for (const entry of entries) yield* lines.entry(entry.body.seq, JSON.stringify(entry));
  yield* lines.end(proof);
}

/** The same, where entries come a page at a time and are JSON already. */
export class ExportLines {
  readonly #due: readonly Checkpoint[];
  #next = 0;
  #last: number;
  constructor(private readonly header: ExportParts['header'], checkpoints: readonly Checkpoint[]) {
    this.#due = checkpoints.filter(({ seq }) => seq >= header.from - 1 && seq > 0);
    this.#last = header.from - 1;
  }
  *begin(): Generator<string> {
    yield JSON.stringify({ stoa: 'audit-export', v: 1, ...this.header } satisfies ExportHeader);
    yield* this.#vouching();
  }
  *entry(seq: number, json: string): Generator<string> {
    yield json;
    this.#last = seq;
    yield* this.#vouching();
  }
  /** The first checkpoint that the entries written do not reach. */
  get after(): Checkpoint | undefined { return this.#due[this.#next]; }
  /** Checkpoints of entries that are not there, which tell on whoever took them. */
  *rest(): Generator<string> {
    for (; this.after !== undefined; this.#next += 1) yield JSON.stringify({ checkpoint: this.after });
  }
  *end(proof?: readonly Digest[]): Generator<string> {
    if (proof === undefined || this.after === undefined) return;
    yield JSON.stringify({ checkpoint: this.after });
    yield JSON.stringify({ inclusion: { seq: this.#last, proof } satisfies InclusionLine });
  }

  *#vouching(): Generator<string> {
    for (let at = this.after; at?.seq === this.#last; at = this.after) {
      yield JSON.stringify({ checkpoint: at });
      this.#next += 1;
    }
  }
}
