import { hash } from 'node:crypto';
import type { Digest } from '#libs/audit/entry.js';

/** Hashes of a Merkle tree as in RFC 6962 §2.1: leaves and inner nodes cannot be mistaken for one another. Leaves are digests of bodies. */
export const leafHash = (digest: Digest): Digest => hash('sha256', Buffer.from(`00${digest}`, 'hex'), 'hex');
const nodeHash = (left: Digest, right: Digest): Digest => hash('sha256', Buffer.from(`01${left}${right}`, 'hex'), 'hex');
/** Root of the tree without leaves: the hash of nothing. */
const EMPTY: Digest = hash('sha256', '', 'hex');

/**
 * The right edge of a growing tree: the roots of its complete subtrees, largest first, one for each bit of `size`. Enough to append and to
 * know the root; at most 53 digests whatever the tree's size.
 */
export interface Frontier { readonly size: number; readonly roots: readonly Digest[] }
export const EMPTY_FRONTIER: Frontier = { size: 0, roots: [] };

export function append({ size, roots }: Frontier, digest: Digest): Frontier {
  const grown = [...roots];
  let node = leafHash(digest);
  // Each trailing 1 bit of the size is a complete subtree that the new leaf completes into a larger one.
  for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) node = nodeHash(grown.pop() ?? '', node);
  grown.push(node);
  return { size: size + 1, roots: grown };
}

export function rootOf({ roots }: Frontier): Digest {
  let root: Digest | undefined;
  for (const node of roots.toReversed()) root = root === undefined ? node : nodeHash(node, root);
  return root ?? EMPTY;
}

/** Proof that the leaf at `index` (from 0) is in the tree of these leaves: sibling hashes from the leaf up (RFC 6962 §2.1.1). */
export function inclusionProof(digests: readonly Digest[], index: number): readonly Digest[] {
  if (digests.length <= 1) return [];
  const split = largestPowerBelow(digests.length);
  return index < split
    ? [...inclusionProof(digests.slice(0, split), index), treeRoot(digests.slice(split))]
    : [...inclusionProof(digests.slice(split), index - split), treeRoot(digests.slice(0, split))];
}

/**
 * The same proof from what is behind a leaf: `before` is the frontier of the `before.size` leaves up to it, `digests` are those from the leaf at that
 * index to the end of the tree. What came before need not be there any more.
 */
export function inclusionProofBehind(before: Frontier, digests: readonly Digest[]): readonly Digest[] {
  const index = before.size;
  const size = index + digests.length;
  const lefts = [...before.roots];
  const path = (start: number, width: number): readonly Digest[] => {
    if (width <= 1) return [];
    const split = largestPowerBelow(width);
    if (index >= start + split) { const left = lefts.shift() ?? ''; return [...path(start + split, width - split), left]; }
    // The right sibling is wholly behind the leaf.
    return [...path(start, split), treeRoot(digests.slice(start + split - index, start + width - index))];
  };
  return path(0, size);
}

export function treeRoot(digests: readonly Digest[]): Digest {
  const [only] = digests;
  if (only === undefined) return EMPTY;
  if (digests.length === 1) return leafHash(only);
  const split = largestPowerBelow(digests.length);
  return nodeHash(treeRoot(digests.slice(0, split)), treeRoot(digests.slice(split)));
}

/** Whether the proof leads from this leaf to that root (RFC 9162 §2.1.3.2). */
export function isIncluded(digest: Digest, place: { readonly index: number; readonly size: number }, proof: readonly Digest[], root: Digest): boolean {
  if (!Number.isSafeInteger(place.index) || place.index < 0 || place.index >= place.size) return false;
  let position = place.index;
  let last = place.size - 1;
  let node = leafHash(digest);
  for (const sibling of proof) {
    if (last === 0 || !/^[0-9a-f]{64}$/.test(sibling)) return false;
    if (position % 2 === 1 || position === last) {
      node = nodeHash(sibling, node);
      while (position % 2 === 0 && position !== 0) { position /= 2; last = Math.floor(last / 2); }
    } else node = nodeHash(node, sibling);
    position = Math.floor(position / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && node === root;
}

function largestPowerBelow(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}
