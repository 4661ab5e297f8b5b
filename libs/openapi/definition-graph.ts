import { createHash } from 'node:crypto';
import type { VerdictReason } from '#libs/core/conversion.js';
import type { PoolEntry } from '#libs/openapi/schema-pool.js';

export interface Findable { readonly reasons: readonly VerdictReason[]; readonly notes: readonly VerdictReason[] }
const NOTHING: Findable = { reasons: [], notes: [] };

/** What can be reached from a definition: once for each, however many tools ask. */
export class DefinitionGraph {
  readonly #entries: ReadonlyMap<string, PoolEntry>;
  readonly #component = new Map<string, number>();
  readonly #digests: string[] = [];
  readonly #findings = new Map<string, Findable>();
  readonly #speaking: ReadonlySet<string>;

  constructor(entries: ReadonlyMap<string, PoolEntry>) {
    this.#entries = entries;
    for (const members of components(entries)) this.#digest(members);
    this.#speaking = reaching(entries, (entry) => entry.reasons.length > 0 || entry.notes.length > 0);
  }

  /** Changes when any schema that these definitions lead to changes. */
  digest(keys: Iterable<string>): string {
    return [...keys].toSorted().map((key) => `${key} ${this.#digests[this.#component.get(key) ?? -1] ?? ''}`).join('\n');
  }

  /** What was found out about the definition and all that it leads to. */
  findings(key: string): Findable {
    if (!this.#speaking.has(key)) return NOTHING;
    let known = this.#findings.get(key);
    if (!known) {
      known = this.#collect(key);
      this.#findings.set(key, known);
    }
    return known;
  }

  #collect(key: string): Findable {
    const reasons: VerdictReason[] = [];
    const notes: VerdictReason[] = [];
    const seen = new Set([key]);
    for (const at of seen) {
      const entry = this.#entries.get(at);
      if (!entry) continue;
      reasons.push(...entry.reasons);
      notes.push(...entry.notes);
      for (const used of entry.uses) if (this.#speaking.has(used)) seen.add(used);
    }
    return { reasons, notes };
  }

  /** Components come with those that they use first. */
  #digest(members: readonly string[]): void {
    const index = this.#digests.length;
    for (const key of members) this.#component.set(key, index);
    const hash = createHash('sha256');
    const outside = new Set<number>();
    for (const key of [...members].toSorted()) {
      const entry = this.#entries.get(key);
      hash.update(`${key}\n${JSON.stringify(entry?.schema)}\n`);
      for (const used of entry?.uses ?? []) {
        const component = this.#component.get(used);
        if (component !== undefined && component !== index) outside.add(component);
      }
    }
    for (const digest of [...outside].map((component) => this.#digests[component] ?? '').toSorted()) hash.update(digest);
    this.#digests.push(hash.digest('hex'));
  }
}

/** Keys from which an entry that fulfils the condition can be reached. */
function reaching(entries: ReadonlyMap<string, PoolEntry>, condition: (entry: PoolEntry) => boolean): ReadonlySet<string> {
  const users = new Map<string, string[]>();
  for (const entry of entries.values()) {
    for (const used of entry.uses) {
      const list = users.get(used);
      if (list) list.push(entry.key); else users.set(used, [entry.key]);
    }
  }
  const found = new Set([...entries.values()].filter(condition).map((entry) => entry.key));
  for (const key of found) for (const user of users.get(key) ?? []) found.add(user);
  return found;
}

/** Strongly connected components, each after those it leads to (Tarjan 1972, without recursion). */
export function* components(entries: ReadonlyMap<string, { readonly uses: Iterable<string> }>): Generator<readonly string[]> {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const onStack = new Set<string>();
  for (const root of entries.keys()) {
    if (index.has(root)) continue;
    const open: { key: string; rest: Iterator<string> }[] = [];
    const enter = (key: string): void => {
      index.set(key, index.size);
      low.set(key, index.size - 1);
      stack.push(key);
      onStack.add(key);
      open.push({ key, rest: (entries.get(key)?.uses ?? [])[Symbol.iterator]() });
    };
    enter(root);
    for (let at = open.at(-1); at; at = open.at(-1)) {
      const { key, rest } = at;
      const next = rest.next();
      if (next.done !== true) {
        if (!index.has(next.value)) { if (entries.has(next.value)) enter(next.value); }
        else if (onStack.has(next.value)) low.set(key, Math.min(low.get(key) ?? 0, index.get(next.value) ?? 0));
        continue;
      }
      open.pop();
      const parent = open.at(-1);
      if (parent) low.set(parent.key, Math.min(low.get(parent.key) ?? 0, low.get(key) ?? 0));
      if (low.get(key) !== index.get(key)) continue;
      const members: string[] = [];
      for (let member = stack.pop(); member !== undefined; member = stack.pop()) {
        onStack.delete(member);
        members.push(member);
        if (member === key) break;
      }
      yield members;
    }
  }
}
