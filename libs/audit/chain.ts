import { type AuditBody, type AuditEntry, type AuditFacts, type Digest, digestOfBody, digestOfPersonal, genesis, newSalt, type Personal } from '#libs/audit/entry.js';
import { append, EMPTY_FRONTIER, type Frontier } from '#libs/audit/merkle.js';

/** Where a chain stands: enough to write its next entry. Kept beside the entries, written in the same transaction. */
export interface ChainHead { readonly chain: string; readonly seq: number; readonly hash: Digest; readonly frontier: Frontier }

/** What is to be recorded. */
export interface AuditFact {
  readonly at: Date;
  readonly kind: string;
  readonly id: string;
  readonly facts: AuditFacts;
  readonly personal?: Omit<Personal, 'salt'>;
}

export const emptyChain = (chain: string): ChainHead => ({ chain, seq: 0, hash: genesis(chain), frontier: EMPTY_FRONTIER });

/** The entry after `head`, and the head after it. A chain has one writer at a time; that is the caller's to see to. */
export function extend(head: ChainHead, { at, kind, id, facts, personal }: AuditFact): { readonly entry: AuditEntry; readonly head: ChainHead } {
  const salted: Personal | undefined = personal === undefined ? undefined : { salt: newSalt(), ...personal };
  const body: AuditBody = {
    v: 1, chain: head.chain, seq: head.seq + 1, prev: head.hash, at: at.toISOString(), kind, id, facts,
    ...(salted === undefined ? {} : { personal: digestOfPersonal(salted) }),
  };
  const hash = digestOfBody(body);
  return {
    entry: { body, ...(salted === undefined ? {} : { personal: salted }) },
    head: { chain: head.chain, seq: body.seq, hash, frontier: append(head.frontier, hash) },
  };
}
