import { canonicalJson } from '#libs/audit/canonical-json.js';
import { type AuditBody, type AuditEntry, type AuditFacts, type Digest, digestOf, genesis, newSalt, type Personal } from '#libs/audit/entry.js';
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

/** An entry, as a value and in its canonical form (RFC 8785), which is what was hashed. */
export interface Extended { readonly entry: AuditEntry; readonly text: { readonly body: string; readonly personal: string | undefined }; readonly head: ChainHead }

/** The entry after `head`, and the head after it. A chain has one writer at a time; that is the caller's to see to. */
export function extend(head: ChainHead, { at, kind, id, facts, personal }: AuditFact): Extended {
  const salted: Personal | undefined = personal === undefined ? undefined : { salt: newSalt(), ...personal };
  const personalText = salted === undefined ? undefined : canonicalJson(salted);
  const body: AuditBody = {
    v: 1, chain: head.chain, seq: head.seq + 1, prev: head.hash, at: at.toISOString(), kind, id, facts,
    ...(personalText === undefined ? {} : { personal: digestOf(personalText) }),
  };
  const text = canonicalJson(body);
  const hash = digestOf(text);
  return {
    entry: { body, ...(salted === undefined ? {} : { personal: salted }) },
    text: { body: text, personal: personalText },
    head: { chain: head.chain, seq: body.seq, hash, frontier: append(head.frontier, hash) },
  };
}
