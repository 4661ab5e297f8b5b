/** What people say, and the word that API documents use for it. One direction: the right-hand word stands for all of them. */
const SAME: Readonly<Record<string, string>> = {
  remove: 'delete', erase: 'delete', destroy: 'delete', drop: 'delete', kick: 'delete',
  add: 'create', make: 'create', new: 'create', open: 'create', insert: 'create', register: 'create',
  edit: 'update', change: 'update', modify: 'update', set: 'update', rename: 'rename',
  show: 'get', retrieve: 'get', fetch: 'get', read: 'get', look: 'get', detail: 'get', view: 'get',
  find: 'search', query: 'search', repo: 'repository', org: 'organization', auth: 'authentication', authenticated: 'my', current: 'my', mine: 'my', i: 'my', doc: 'document',
  channel: 'conversation', assigne: 'assign', assignee: 'assign', follower: 'follow', currency: 'exchange', leak: 'scanning', popular: 'top', description: 'purpose',
  pic: 'image', picture: 'image', photo: 'image', cover: 'image', off: 'disable', on: 'enable', disturb: 'dnd', snooze: 'dnd', msg: 'message', person: 'people', member: 'member',
};
/** Words that say nothing of what is meant. */
const EMPTY: ReadonlySet<string> = new Set('a an the of to for in on at by with from and or is are was were be this that these those it its me you your our we their his her can could would should do does did how what which who where when there have has had if into as about any not only also than then so such per via using use used uses must may will more most all please want need see http https www com docs api endpoint endpoints'.split(' '));

/** A light stem: enough that one word's forms meet, and never so much that two words do. */
function stem(word: string): string {
  if (word.length > 4 && word.endsWith('ies')) return `${word.slice(0, -3)}y`;
  if (word.length > 4 && /(?:ses|xes|zes|ches|shes)$/.test(word)) return word.slice(0, -2);
  if (word.length > 3 && word.endsWith('s') && !/(?:ss|us|is)$/.test(word)) return word.slice(0, -1);
  if (word.length > 5 && word.endsWith('ing')) return undoubled(word.slice(0, -3));
  if (word.length > 4 && word.endsWith('ed')) return undoubled(word.slice(0, -2));
  return word;
}
const undoubled = (word: string): string => (/([b-df-hj-np-tv-z])\1$/.test(word) && !/(?:ll|ss|zz)$/.test(word) ? word.slice(0, -1) : word);
/** `archive` and `archived` meet in `archiv`. */
const root = (word: string): string => (word.length > 4 && word.endsWith('e') ? word.slice(0, -1) : word);

/** The words of a text as they are indexed and asked for: lower case, camel case and identifiers taken apart, forms and synonyms made one. */
export function words(text: string): readonly string[] {
  return text.replaceAll(/<[^>]{0,500}>/g, ' ').replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2').toLowerCase().split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '' && !EMPTY.has(word)).map((word) => { const stemmed = stem(word); return root(SAME[stemmed] ?? SAME[word] ?? stemmed); });
}
