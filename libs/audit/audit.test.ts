import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '#libs/audit/canonical-json.js';
import { type ChainHead, emptyChain, extend } from '#libs/audit/chain.js';
import { type Checkpoint, CheckpointSigner, newSigningKey, readKeys } from '#libs/audit/checkpoint.js';
import { type AuditEntry, digestOfBody, genesis } from '#libs/audit/entry.js';
import { exportLines } from '#libs/audit/export-line.js';
import { append, EMPTY_FRONTIER, inclusionProof, isIncluded, rootOf, treeRoot } from '#libs/audit/merkle.js';
import { type AuditReport, AuditVerifier, type VerifyOptions } from '#libs/audit/verify.js';

const signer = new CheckpointSigner(newSigningKey());
const keys = readKeys([signer.publicKey]);
const at = (i: number): Date => new Date(1_780_000_000_000 + i * 1000);

const isEntry = (line: string): boolean => line.startsWith('{"body"');
const isEntryOrHeader = (line: string): boolean => isEntry(line) || line.startsWith('{"stoa"');

interface Made { readonly entries: AuditEntry[]; readonly checkpoints: Checkpoint[]; readonly head: ChainHead; readonly digests: string[] }
/** A chain of `n` entries with a checkpoint after each `every`. */
function chainOf(chain: string, n: number, { every = 10, by = signer }: { readonly every?: number; readonly by?: CheckpointSigner } = {}): Made {
  let head = emptyChain(chain);
  const entries: AuditEntry[] = [];
  const checkpoints: Checkpoint[] = [];
  for (let i = 1; i <= n; i += 1) {
    const made = extend(head, { at: at(i), kind: 'call', id: `boot-${i}`, facts: { tool: `tool_${i % 3}`, outcome: 'success', ms: i / 7 }, personal: { subject: `user-${i % 5}`, arguments: { q: i } } });
    entries.push(made.entry);
    head = made.head;
    if (i % every === 0) checkpoints.push(by.sign(head, checkpoints.at(-1), at(i)));
  }
  return { entries, checkpoints, head, digests: entries.map(({ body }) => digestOfBody(body)) };
}
const whole = ({ entries, checkpoints }: Pick<Made, 'entries' | 'checkpoints'>, chain = 'acme'): string[] =>
  [...exportLines({ header: { chain, from: 1, prev: genesis(chain), exportedAt: at(0).toISOString() }, entries, checkpoints })];
function verify(lines: readonly string[], options: Partial<VerifyOptions> = {}): AuditReport {
  const verifier = new AuditVerifier({ keys, ...options });
  for (const line of lines) verifier.take(line);
  return verifier.finish();
}

describe('canonical JSON', () => {
  it('is that of RFC 8785: its sorting example and its number samples', () => {
    const example = { '\u20ac': 'Euro Sign', '\r': 'Carriage Return', '\ufb33': 'Hebrew Letter Dalet With Dagesh', 1: 'One', '\ud83d\ude00': 'Emoji: Grinning Face', '\u0080': 'Control', '\u00f6': 'Latin Small Letter O With Diaeresis' };
    expect(Object.values(JSON.parse(canonicalJson(example)) as object)).toHaveLength(7);
    expect(canonicalJson(example)).toBe('{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign","\ud83d\ude00":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}');
    expect(canonicalJson([333_333_333.333_333_3, 1e30, 4.5, 2e-3, 1e-27, -0])).toBe('[333333333.3333333,1e+30,4.5,0.002,1e-27,0]');
  });
  it('does not depend on the order of members, and reads back as the same value', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      const wellFormed = JSON.parse(JSON.stringify(value).toWellFormed().replaceAll(/\\ud[89a-f][0-9a-f]{2}/gi, '')) as unknown;
      const text = canonicalJson(wellFormed);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(wellFormed)));
      const turned: unknown = JSON.parse(text, (_key, member: unknown) => (typeof member === 'object' && member !== null && !Array.isArray(member) ? Object.fromEntries(Object.entries(member).toReversed()) : member));
      expect(canonicalJson(turned)).toBe(text);
    }), { numRuns: 300 });
  });
  it.each([['a number that is not finite', Number.NaN], ['a lone surrogate', '\ud800'], ['a bigint', 1n], ['a function', () => 1]])('refuses %s', (_name, value) => { expect(() => canonicalJson([value])).toThrow(TypeError); });
});

describe('the Merkle tree', () => {
  it('has the root of RFC 6962 whether it grew or was built whole, and a proof for each leaf that fits nothing else', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 130 }), fc.nat(), (size, pick) => {
      const digests = Array.from({ length: size }, (_, i) => digestOfBody({ seq: i } as never));
      let frontier = EMPTY_FRONTIER;
      for (const digest of digests) frontier = append(frontier, digest);
      const root = treeRoot(digests);
      expect(rootOf(frontier)).toBe(root);
      const index = pick % size;
      const proof = inclusionProof(digests, index);
      expect(isIncluded(digests[index] ?? '', { index, size }, proof, root)).toBe(true);
      expect(isIncluded(digests[index] ?? '', { index, size: size + 1 }, proof, rootOf(append(frontier, genesis('x'))))).toBe(false);
      expect(isIncluded(digests[index] ?? '', { index: (index + 1) % size, size }, proof, root)).toBe(size === 1);
    }), { numRuns: 200 });
  });
});

describe('an audit export', () => {
  const acme = chainOf('acme', 57);
  const globex = chainOf('globex', 57);
  const lines = whole(acme);
  const anchors = acme.checkpoints;

  it('verifies with nothing but the file and a public key, and says what no checkpoint vouches for', () => {
    expect(verify(lines, { anchors })).toMatchObject({ chain: 'acme', entries: 57, from: 1, to: 57, fault: undefined, anchoredTo: 50, checkpoints: 5, erased: 0 });
    expect(verify(lines, { anchors }).notes).toEqual([expect.stringContaining('last 7 entries') as unknown]);
    expect(verify(lines).notes).toHaveLength(2);
  });

  /** Every way to alter an export that the design names; each is given the lines and a place, and answers altered lines and where the fault must be found. */
  const tamperings: Readonly<Record<string, (own: string[], place: number) => readonly string[]>> = {
    'one bit of an entry': (own, place) => {
      const line = own[place] ?? '';
      const i = 9 + (place * 31) % (line.length - 12);
      return own.with(place, line.slice(0, i) + String.fromCodePoint((line.codePointAt(i) ?? 0) ^ 1) + line.slice(i + 1));
    },
    'an entry taken out': (own, place) => own.toSpliced(place, 1),
    'an entry put in twice': (own, place) => own.toSpliced(place, 0, own[place] ?? ''),
    'two entries swapped': (own, place) => { const other = own.findIndex((line, i) => i > place && isEntry(line)); return other < 0 ? own.toSpliced(place, 1) : own.with(place, own[other] ?? '').with(other, own[place] ?? ''); },
    'an entry of another tenant spliced in': (own, place) => own.with(place, whole(globex, 'globex')[place] ?? ''),
    'the tail cut off': (own, place) => own.slice(0, place).filter((line) => isEntry(line) || line.startsWith('{"stoa"')),
    'the tail cut off with its checkpoints rolled back': (own, place) => own.slice(0, place),
    'a suffix computed anew': (own, place) => {
      const seq = (JSON.parse(own[place] ?? '') as AuditEntry).body.seq;
      const before = chainOf('acme', seq - 1);
      // The same entries up to there; one changed; all after it chained anew, with the checkpoints of one who has not the key.
      let head: ChainHead = { chain: 'acme', seq: seq - 1, hash: acme.digests[seq - 2] ?? genesis('acme'), frontier: before.head.frontier };
      const entries = acme.entries.slice(0, seq - 1);
      for (const { body, personal } of acme.entries.slice(seq - 1)) {
        const made = extend(head, { at: new Date(body.at), kind: body.kind, id: body.id, facts: body.seq === seq ? { tool: 'another' } : body.facts, ...(personal ? { personal } : {}) });
        entries.push(made.entry);
        head = made.head;
      }
      return whole({ entries, checkpoints: acme.checkpoints.filter((checkpoint) => checkpoint.seq < seq) });
    },
    'all of it computed anew by another key': () => whole(chainOf('acme', 57, { by: new CheckpointSigner(newSigningKey()) })),
    'a personal part changed': (own, place) => own.with(place, (own[place] ?? '').replace(/"subject":"user-(\d)"/, '"subject":"mallory"')),
    'a personal part removed without a tombstone': (own, place) => { const { body } = JSON.parse(own[place] ?? '') as AuditEntry; return own.with(place, JSON.stringify({ body })); },
    'a checkpoint taken out': (own) => own.toSpliced(own.findIndex((line) => line.startsWith('{"checkpoint"')), 1),
  };
  const places = lines.flatMap((line, i) => (isEntry(line) ? [i] : []));

  it.each(Object.keys(tamperings))('convicts %s, wherever it was done', (name) => {
    for (const place of places.filter((_, i) => i < 50 && i % 2 === 1)) {
      const altered = tamperings[name]?.([...lines], place) ?? [];
      const report = verify(altered, { anchors });
      expect(report.fault, `${name} at line ${place + 1}`).toBeDefined();
      expect(report.fault?.line).toBeGreaterThan(0);
    }
  });

  it('finds all of 1,000 random tamperings, and says where', () => {
    const names = Object.keys(tamperings);
    fc.assert(fc.property(fc.constantFrom(...names), fc.constantFrom(...places.slice(0, 49)), (name, place) => {
      const altered = tamperings[name]?.([...lines], place) ?? [];
      fc.pre(altered.join('\n') !== lines.join('\n'));
      expect(verify(altered, { anchors }).fault?.problem).toEqual(expect.any(String));
    }), { numRuns: 1000 });
  });

  it('names the first broken entry', () => {
    expect(verify(tamperings['one bit of an entry']?.([...lines], 20) ?? [], { anchors }).fault?.line).toBeLessThanOrEqual(22);
    expect(verify(tamperings['an entry taken out']?.([...lines], 20) ?? [], { anchors }).fault).toMatchObject({ line: 21, problem: expect.stringContaining('taken out') as unknown });
    expect(verify(lines.slice(0, 30).filter(isEntryOrHeader), { anchors }).fault?.problem).toContain('tail was cut off');
  });

  it('stays valid when a subject is erased and a tombstone tells of it', () => {
    const erased = acme.entries.map((entry) => (entry.personal?.subject === 'user-2' ? { body: entry.body } : entry));
    const gone = erased.filter(({ personal }) => personal === undefined).map(({ body }) => [body.seq, body.seq]);
    const { entry } = extend(acme.head, { at: at(60), kind: 'tombstone', id: 'erasure-1', facts: { erased: gone } });
    const after = whole({ entries: [...erased, entry], checkpoints: acme.checkpoints });
    expect(verify(after, { anchors })).toMatchObject({ fault: undefined, erased: gone.length });
    expect(after.join('\n')).not.toContain('user-2');
  });

  it('of a part verifies by a proof to the next checkpoint, and of one entry alone', () => {
    for (const [from, to] of [[12, 33], [17, 17], [41, 50]] as const) {
      const size = acme.checkpoints.find(({ seq }) => seq > to)?.seq;
      const part = [...exportLines({
        header: { chain: 'acme', from, to, prev: acme.digests[from - 2] ?? '', exportedAt: at(0).toISOString() }, entries: acme.entries.slice(from - 1, to), checkpoints: acme.checkpoints,
        ...(size === undefined ? {} : { proof: inclusionProof(acme.digests.slice(0, size), to - 1) }),
      })];
      expect(verify(part)).toMatchObject({ fault: undefined, from, to, anchoredTo: to });
      expect(verify(part.map((line) => line.replace('"tool_1"', '"tool_2"'))).fault ?? (part.some((line) => line.includes('"tool_1"')) ? undefined : {})).toBeDefined();
    }
  });

  it.each<[string, readonly string[], RegExp]>([
    ['an empty file', [], /empty/], ['a file that is not JSON', ['hello'], /not JSON/], ['entries without a header', [lines[1] ?? ''], /before the header/],
    ['a header of a format to come', [JSON.stringify({ stoa: 'audit-export', v: 2 })], /does not know/], ['two exports in one file', [...lines, ...lines], /second header/], ['null', ['null'], /not a line/],
  ])('answers %s with what is wrong', (_name, given, problem) => { expect(verify(given).fault?.problem).toMatch(problem); });

  it('bears kept checkpoints that were kept twice, and convicts two that differ', () => {
    expect(verify(lines, { anchors: [...anchors, ...anchors] }).fault).toBeUndefined();
    const forked = chainOf('acme', 57).checkpoints;
    expect(verify(lines, { anchors: [...anchors, ...forked.slice(4)] }).fault?.problem).toBeDefined();
  });

  it('is not vouched for by a key that the verifier was not given', () => {
    expect(verify(lines, { keys: readKeys([new CheckpointSigner(newSigningKey()).publicKey]) }).fault?.problem).toContain('not among the given ones');
  });
});
