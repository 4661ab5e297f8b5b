import type { KeyObject } from 'node:crypto';
import { canonicalJson } from '#libs/audit/canonical-json.js';
import { type Checkpoint, signatureFault, successionFault } from '#libs/audit/checkpoint.js';
import { type AuditBody, type Digest, digestOf, digestOfPersonal, genesis, type Personal } from '#libs/audit/entry.js';
import type { ExportHeader, ExportLine, InclusionLine } from '#libs/audit/export-line.js';
import { append, EMPTY_FRONTIER, type Frontier, isIncluded, rootOf } from '#libs/audit/merkle.js';

/** The first thing found wrong: where in the file, which entry, what. */
export interface Fault { readonly line: number; readonly seq: number | undefined; readonly problem: string }

export interface AuditReport {
  readonly chain: string | undefined;
  readonly entries: number;
  readonly from: number | undefined;
  readonly to: number | undefined;
  /** Undefined: everything that is here is as it was written. */
  readonly fault: Fault | undefined;
  /** Highest entry that a signed checkpoint vouches for. */
  readonly anchoredTo: number | undefined;
  readonly checkpoints: number;
  /** Entries whose personal part was erased, each of them told by a tombstone. */
  readonly erased: number;
  /** What the verdict does not cover, in words. */
  readonly notes: readonly string[];
}

export interface VerifyOptions {
  /** Public keys by id (`readKeys`). A checkpoint of any other key is a fault. */
  readonly keys: ReadonlyMap<string, KeyObject>;
  /** Checkpoints kept elsewhere than with the records: the only thing that shows a cut tail or a chain that was written anew. */
  readonly anchors?: readonly Checkpoint[];
}

/**
 * Checks an export line by line with nothing but public keys; holds one digest a checkpoint in memory, not the entries. Lines are as
 * `exportLines` writes them.
 */
export class AuditVerifier {
  readonly #options: VerifyOptions;
  readonly #anchors: readonly Checkpoint[];
  #line = 0;
  #header: ExportHeader | undefined;
  #seq: number | undefined;
  #head: Digest = '';
  #frontier: Frontier | undefined;
  #fault: Fault | undefined;
  #last: Checkpoint | undefined;
  #anchoredTo: number | undefined;
  #checkpoints = 0;
  #entries = 0;
  /** What a checkpoint yet to come may ask for: digest and root after an entry. Only at entries that an anchor names, and the latest. */
  readonly #awaited: ReadonlySet<number>;
  readonly #seen = new Map<number, { readonly head: Digest; readonly root: Digest | undefined }>();
  readonly #erased = new Set<number>();
  readonly #buried: (readonly [number, number])[] = [];
  /** Entries up to this one were removed, as an entry of their retention tells. */
  #retired = 0;
  /** A checkpoint vouches for what the first entry follows. */
  #follows = false;

  constructor(options: VerifyOptions) {
    this.#options = options;
    // Whoever keeps them may be told one twice; two that differ are a fault, found below.
    this.#anchors = [...new Map((options.anchors ?? []).map((anchor) => [`${anchor.number} ${anchor.signature}`, anchor])).values()].toSorted((a, b) => a.number - b.number);
    this.#awaited = new Set(this.#anchors.map(({ seq }) => seq));
  }

  /** The first thing found wrong so far. */
  get fault(): Fault | undefined { return this.#fault; }

  /** One line of the export, without its line break. After a fault nothing more is looked at. */
  take(text: string): void {
    this.#line += 1;
    if (this.#fault !== undefined || text === '') return;
    let line: ExportLine;
    try { line = JSON.parse(text) as ExportLine; } catch { return this.#blame('is not JSON'); }
    if (typeof line !== 'object' || line === null) return this.#blame('is not a line of an audit export');
    if ('stoa' in line) return this.#begin(line);
    if (this.#header === undefined) return this.#blame('comes before the header: the first line of an export begins {"stoa":"audit-export"');
    try {
      if ('body' in line) this.#entry(line.body, line.personal);
      else if ('checkpoint' in line) this.#checkpoint(line.checkpoint);
      else if ('inclusion' in line) this.#inclusion(line.inclusion);
      else this.#blame('is neither an entry nor a checkpoint');
    } catch (error) { this.#blame(`cannot be read: ${error instanceof Error ? error.message : String(error)}`); }
  }

  finish(): AuditReport {
    const header = this.#header;
    if (header === undefined && this.#fault === undefined) this.#blame('is empty: an export begins with its header');
    if (this.#fault === undefined && header !== undefined) this.#close(header);
    return {
      chain: header?.chain, entries: this.#entries, from: header?.from, to: this.#seq, fault: this.#fault, anchoredTo: this.#anchoredTo,
      checkpoints: this.#checkpoints, erased: this.#erased.size, notes: this.#notes(header),
    };
  }

  #begin(header: ExportHeader): void {
    if (this.#header !== undefined) return this.#blame('is a second header: verify each export by itself');
    if (header.stoa !== 'audit-export' || header.v !== 1) return this.#blame('is of an export format that this version does not know');
    if (header.from === 1 && header.prev !== genesis(header.chain)) return this.#blame(`does not begin the chain of ${header.chain}`);
    this.#header = header;
    this.#head = header.prev;
    this.#frontier = header.from === 1 ? EMPTY_FRONTIER : header.frontier;
  }

  #entry(body: AuditBody, personal: Personal | undefined): void {
    const header = this.#header as ExportHeader;
    const expected = this.#seq === undefined ? header.from : this.#seq + 1;
    if (body.chain !== header.chain) return this.#blame(`belongs to the chain of ${body.chain}, not of ${header.chain}`, expected);
    if (body.seq !== expected) return this.#blame(`is entry ${body.seq} where ${expected} belongs: ${body.seq > expected ? 'what is between was taken out' : 'it was moved or put in'}`, expected);
    if (body.prev !== this.#head) return this.#blame(`does not follow entry ${expected - 1}: that one or this one was changed`, expected);
    if (personal !== undefined && digestOfPersonal(personal) !== body.personal) return this.#blame('has a personal part that is not what was recorded', expected);
    if (personal === undefined && body.personal !== undefined) this.#erased.add(expected);
    if (body.kind === 'retention' && typeof body.facts['through'] === 'number') this.#retired = Math.max(this.#retired, body.facts['through']);
    if (body.kind === 'tombstone') for (const range of ranges(body.facts['erased'])) this.#buried.push(range);
    this.#head = digestOf(canonicalJson(body));
    this.#seq = expected;
    this.#entries += 1;
    if (this.#frontier !== undefined) this.#frontier = append(this.#frontier, this.#head);
    if (this.#awaited.has(expected)) this.#remember(expected);
  }

  #remember(seq: number): void {
    this.#seen.set(seq, { head: this.#head, root: this.#frontier === undefined ? undefined : rootOf(this.#frontier) });
  }

  #checkpoint(checkpoint: Checkpoint): void {
    const header = this.#header as ExportHeader;
    if (checkpoint.chain !== header.chain) return this.#blame(`is a checkpoint of the chain of ${checkpoint.chain}, not of ${header.chain}`, checkpoint.seq);
    const unfit = signatureFault(checkpoint, this.#options.keys) ?? (this.#last === undefined && header.from > 1 ? undefined : successionFault(this.#last, checkpoint));
    if (unfit !== undefined) return this.#blame(`is a checkpoint that ${unfit}`, checkpoint.seq);
    const kept = this.#anchors.find(({ number }) => number === checkpoint.number);
    if (kept !== undefined && kept.signature !== checkpoint.signature) return this.#blame(`is not the checkpoint ${checkpoint.number} that was kept elsewhere`, checkpoint.seq);
    this.#last = checkpoint;
    this.#checkpoints += 1;
    if (checkpoint.seq === header.from - 1 && this.#seq === undefined) {
      if (checkpoint.head !== header.prev) return this.#blame(`vouches for another entry ${checkpoint.seq} than the one that this export follows`, checkpoint.seq);
      if (header.frontier !== undefined && (header.frontier.size !== checkpoint.seq || rootOf(header.frontier) !== checkpoint.root)) return this.#blame(`vouches for another tree of ${checkpoint.seq} entries than the one that this export follows`, checkpoint.seq);
      this.#follows = true;
    } else if (checkpoint.seq === this.#seq) { this.#remember(checkpoint.seq); this.#vouch(checkpoint); }
    else if (checkpoint.seq >= header.from && !(checkpoint.seq > (this.#seq ?? 0))) this.#blame(`is a checkpoint of entry ${checkpoint.seq}, out of its place`, checkpoint.seq);
  }

  /** Compares a checkpoint with what was read up to its entry. */
  #vouch(checkpoint: Checkpoint): void {
    const seen = this.#seen.get(checkpoint.seq);
    if (seen === undefined) return;
    if (seen.head !== checkpoint.head) return this.#blame(`entry ${checkpoint.seq} is not what checkpoint ${checkpoint.number} vouches for: the chain was written anew`, checkpoint.seq);
    if (seen.root !== undefined && seen.root !== checkpoint.root) return this.#blame(`the Merkle root of ${checkpoint.seq} entries is not that of checkpoint ${checkpoint.number}`, checkpoint.seq);
    this.#anchoredTo = Math.max(this.#anchoredTo ?? 0, checkpoint.seq);
  }

  /** The last entry of a part of a chain, proved to be in the tree of a checkpoint past its end. */
  #inclusion({ seq, proof }: InclusionLine): void {
    const checkpoint = this.#last;
    if (checkpoint === undefined || seq !== this.#seq) return this.#blame('is a proof without its checkpoint and entry before it', seq);
    if (!isIncluded(this.#head, { index: seq - 1, size: checkpoint.seq }, proof, checkpoint.root)) return this.#blame(`entry ${seq} is not in the tree of checkpoint ${checkpoint.number}`, seq);
    this.#anchoredTo = Math.max(this.#anchoredTo ?? 0, seq);
  }

  #close(header: ExportHeader): void {
    let previous: Checkpoint | undefined;
    for (const anchor of this.#anchors) {
      const unfit = anchor.chain !== header.chain ? `is of the chain of ${anchor.chain}` : signatureFault(anchor, this.#options.keys) ?? (previous === undefined ? undefined : successionFault(previous, anchor));
      if (unfit !== undefined) return this.#blame(`the kept checkpoint ${anchor.number} ${unfit}`, anchor.seq);
      previous = anchor;
      this.#vouch(anchor);
      if (this.#fault !== undefined) return;
    }
    const newest = this.#anchors.at(-1);
    if (header.to === undefined && newest !== undefined) {
      if (newest.seq > (this.#seq ?? 0)) return this.#blame(`the chain ends at entry ${this.#seq ?? 0}, and the kept checkpoint ${newest.number} vouches for ${newest.seq}: its tail was cut off`, (this.#seq ?? 0) + 1);
      if ((this.#last?.number ?? 0) < newest.number) return this.#blame(`the export's checkpoints end at number ${this.#last?.number ?? 0}, and ${newest.number} was kept: they were rolled back`, newest.seq);
    }
    if (header.to !== undefined && header.to !== this.#seq) return this.#blame(`the export ends at entry ${this.#seq ?? 'none'} and says that it goes to ${header.to}`, (this.#seq ?? header.from - 1) + 1);
    const untold = [...this.#erased].find((seq) => !this.#buried.some(([from, to]) => seq >= from && seq <= to));
    if (header.to === undefined && this.#last !== undefined && this.#last.seq > (this.#seq ?? header.from - 1)) {
      return this.#blame(`the chain ends at entry ${this.#seq ?? 'none'}, and its own checkpoint ${this.#last.number} vouches for ${this.#last.seq}: its tail was cut off`, (this.#seq ?? header.from - 1) + 1);
    }
    if (header.to === undefined && header.from > 1) {
      if (!this.#follows) return this.#blame(`the export begins at entry ${header.from}, and no checkpoint vouches for what was before`, header.from);
      if (this.#retired < header.from - 1) return this.#blame(`entries before ${header.from} are gone, and no entry tells that they were past their keeping`, header.from);
    }
    if (untold !== undefined && header.to === undefined) this.#blame(`entry ${untold} has lost its personal part, and no tombstone tells of it`, untold);
  }

  #notes(header: ExportHeader | undefined): readonly string[] {
    if (header === undefined || this.#fault !== undefined) return [];
    const to = this.#seq ?? 0;
    const free = to - (this.#anchoredTo ?? header.from - 1);
    return [
      ...(free > 0 ? [`no signed checkpoint vouches yet for the last ${free} entries: their order and content agree with one another, no more`] : []),
      ...(this.#options.anchors === undefined ? ['no checkpoints from another place were given: entries cut off the end together with their checkpoints would not be missed'] : []),
      ...(header.from > 1 ? [`entries before ${header.from} are not in this export`] : []),
    ];
  }

  #blame(problem: string, seq?: number): void { this.#fault ??= { line: this.#line, seq, problem }; }
}

function* ranges(value: unknown): Generator<readonly [number, number]> {
  if (!Array.isArray(value)) return;
  for (const range of value as unknown[]) if (Array.isArray(range) && Number.isSafeInteger(range[0]) && Number.isSafeInteger(range[1])) yield [Number(range[0]), Number(range[1])];
}
