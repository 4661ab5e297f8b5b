import MiniSearch from 'minisearch';
import type { Target } from '#libs/core/target.js';
import { words } from '#libs/discovery/words.js';

/** A tool that answers a question, best first. `score` compares within one answer only. */
export interface Found { readonly target: Target; readonly score: number }

interface Entry { readonly id: number; readonly name: string; readonly title: string; readonly path: string; readonly summary: string; readonly description: string; readonly tags: string }

/** What the name of an operation says more surely than its description. */
const BOOST = { name: 3, title: 3, path: 2.5, summary: 3, tags: 1.5, description: 0.6 };

/**
 * Finds tools by what a person would ask (BM25 over names, paths, titles and descriptions). Made of a principal's visible list, so that it cannot find what that principal
 * may not call.
 */
export class ToolIndex {
  readonly #index: MiniSearch<Entry>;
  readonly #targets: readonly Target[];

  constructor(targets: readonly Target[]) {
    this.#targets = targets;
    this.#index = new MiniSearch<Entry>({
      fields: Object.keys(BOOST), tokenize: (text) => [...words(text)], processTerm: (term) => term,
      searchOptions: { boost: BOOST, combineWith: 'OR', fuzzy: (term) => (term.length > 5 ? 0.15 : false), prefix: (term) => term.length > 4, weights: { fuzzy: 0.3, prefix: 0.35 }, bm25: { k: 1.2, b: 0.55, d: 0.5 } },
    });
    this.#index.addAll(targets.map((target, id) => entryOf(target, id)));
  }

  /** At most `limit`; none when no word of the question occurs. */
  search(question: string, limit: number): readonly Found[] {
    const list = words(question);
    const asked: Question = { words: new Set(list), ...wanted(question, list) };
    return this.#index.search(question).slice(0, Math.max(limit * 10, 200))
      .map(({ id, score, queryTerms }) => {
        const target = this.#targets[id as number] as Target;
        return { target, score: score * fit(target, asked, new Set(queryTerms).size) };
      })
      .toSorted((a, b) => b.score - a.score || (a.target.name < b.target.name ? -1 : 1)).slice(0, limit);
  }
}

function entryOf(target: Target, id: number): Entry {
  const { name, title = '', description, tags, backend } = target;
  const path = backend.kind === 'rest' ? backend.path : backend.kind === 'grpc' ? backend.path : '';
  const method = backend.kind === 'rest' ? backend.method : '';
  const summary = /^(?:Deprecated\.\s*)?(?:<[^>]+>)*([^.\n]{0,160})/.exec(description)?.[1] ?? '';
  return { id, name, title, path: `${verbOf(method, path)} ${fixedWords(path)}`, summary, description: description.slice(0, 600), tags: tags.join(' ') };
}

/** What a method means at the end of a path, in a person's words. */
function verbOf(method: string, path: string): string {
  const one = path.endsWith('}');
  return { GET: one ? 'get' : 'list', HEAD: 'check', POST: one ? 'update' : 'create', PUT: 'update', PATCH: 'update', DELETE: 'delete' }[method] ?? '';
}

/** Without its parameters. */
const fixedWords = (path: string): string => path.replaceAll(/\{[^}]*\}/g, ' ');

/** What is done to things, as far as words and methods tell. */
type Deed = 'act' | 'list' | 'get' | 'create' | 'update' | 'delete' | 'search' | 'check' | 'other';
const DEEDS: Readonly<Record<string, Deed>> = {
  list: 'list', all: 'list', get: 'get', creat: 'create', updat: 'update', delet: 'delete', search: 'search', check: 'check', post: 'create', send: 'create', upload: 'create', put: 'update', replac: 'update', invit: 'create', request: 'create', 
};
/** Verbs that are operations of their own: a tool whose name has the verb is meant, and no list of what was done so. */
const ACTS: ReadonlySet<string> = new Set(['block', 'unblock', 'merg', 'protect', 'archiv', 'unarchiv', 'refund', 'confirm', 'lock', 'unlock', 'assign', 'unassign', 'approv', 'cancel', 'enabl', 'disabl', 'restrict', 'transfer', 'rename', 'capture', 'finaliz', 'void', 'pay', 'follow', 'unfollow', 'skip', 'pause', 'resum', 'lea', 'leav', 'clos', 'reopen', 'mark', 'star', 'unstar', 'fork', 'restor', 'rerequest', 'increas', 'uninstall', 'deploy', 'rerun', 'publish', 'turn', 'revok', 'accept', 'declin', 'dismiss', 'submit', 'kick', 'renam', 'captur']);
const deedIn = (list: readonly string[]): Deed | undefined => list.map((word) => (Object.hasOwn(DEEDS, word) ? DEEDS[word] : undefined)).find((deed) => deed !== undefined);

/** By the verb of the title or name; else by what the method means at the end of the path. */
function deedOf({ title, name, backend, operationClass }: Target): Deed {
  const said = deedIn(words(title ?? '').slice(0, 2)) ?? deedIn(words(name));
  if (said !== undefined) return said;
  if (backend.kind !== 'rest') return operationClass === 'read' ? 'get' : operationClass === 'destructive' ? 'delete' : 'other';
  const one = backend.path.endsWith('}');
  return ({ GET: one ? 'get' : 'list', POST: one ? 'update' : 'create', PUT: 'update', PATCH: 'update', DELETE: 'delete' } as Readonly<Record<string, Deed>>)[backend.method] ?? 'other';
}

/** What a question wants done: its verb, else a look at one thing or, where it speaks of several, at many. */
function wanted(question: string, asked: readonly string[]): { readonly deed: Deed; readonly said: boolean } {
  if (/^\s*(?:is|are|was|were|has|have|does|did|do|am)\b/i.test(question)) return { deed: 'check', said: true };
  const said = deedIn(asked.slice(0, 2));
  if (said === undefined && ACTS.has(asked[0] ?? '') && !/^\S*(?:s|ed)\b/i.test(question)) return { deed: 'act', said: true };
  if (said !== undefined) return { deed: said === 'get' && isPlural(question) ? 'list' : said, said: true };
  return { deed: isPlural(question) ? 'list' : 'get', said: false };
}
/** The thing that a question is about stands before its first preposition. */
const isPlural = (question: string): boolean => (question.toLowerCase().split(/\b(?:of|in|on|for|from|with|to|by|at|that|as)\b/)[0] ?? '').split(/\s+/).some((word) => /^[a-z]{2,}s$/.test(word) && !SINGULAR.has(word));
const SINGULAR: ReadonlySet<string> = new Set(['is', 'was', 'has', 'does', 'this', 'settings', 'details', 'status', 'address', 'access', 'us']);

/** How near two deeds are: a list is a better answer than a deletion where one thing was asked for. */
function nearness(asked: Deed, is: Deed): number {
  if (asked === 'act') return is === 'list' || is === 'get' || is === 'check' || is === 'search' ? 0.55 : is === 'delete' ? 0.7 : 1;
  if (asked === is) return 1;
  const reads: ReadonlySet<Deed> = new Set(['list', 'get', 'search', 'check']);
  if (reads.has(asked) && reads.has(is)) return is === 'check' ? 0.65 : 0.8;
  if ((asked === 'create' || asked === 'update') && is === 'delete') return 0.5;
  if (reads.has(asked) !== reads.has(is) && is !== 'other') return 0.62;
  return 0.76;
}

interface Question { readonly words: ReadonlySet<string>; readonly deed: Deed; readonly said: boolean }

/** How well a tool fits beyond its words: most of the question covered, little beside it, the deed that was asked for, nothing deprecated. */
function fit(target: Target, { words: asked, deed, said }: Question, matched: number): number {
  const own = new Set([...words(target.name), ...words(target.backend.kind === 'rest' ? fixedWords(target.backend.path) : ''), ...words(target.title ?? '')].filter((word) => !Object.hasOwn(DEEDS, word) && word.length > 2 && !/^v\d/.test(word)));
  // A word inside a longer one, as identifiers without separators have them, counts half.
  const shared = [...own].reduce((sum, word) => sum + (asked.has(word) ? 1 : [...asked].some((one) => one.length > 4 && word.includes(one)) ? 0.5 : 0), 0);
  const coverage = asked.size === 0 ? 0 : Math.min(1, matched / asked.size);
  const precision = own.size === 0 ? 0 : shared / own.size;
  // A title that says nothing but what was asked is the thing itself.
  const title = words(target.title ?? '');
  const named = title.length > 0 && title.every((word) => asked.has(word)) ? (new Set(title).size === asked.size ? 1.6 : 1.3) : 1;
  const near = nearness(deed, deedOf(target));
  return named * (0.35 + 0.65 * coverage ** 2) * (0.4 + 0.6 * precision) * (said ? near : 0.35 + 0.65 * near) * (target.description.startsWith('Deprecated') ? 0.6 : 1);
}
