/** One thing of the shop. `count` is a 64-bit integer as its digits. */
export interface Item { readonly id: string; readonly name: string; readonly note: string | null; readonly tags: readonly string[]; readonly count: string }

/** What reached the backend: what was asked for, and everything beside it, names in lower case. */
export interface Received { readonly operation: string; readonly args: Readonly<Record<string, unknown>>; readonly headers: Readonly<Record<string, string>>; readonly query: Readonly<Record<string, string>> }

/** How the shop answers; each kind of server says it in its own words. */
export type Reply =
  | { readonly value: Readonly<Record<string, unknown>> }
  /** `wrong`: an answer that no client can read as what was promised; `hang`: none at all; `unproved`: it does not know who asks. */
  | { readonly fault: 'error' | 'missing' | 'wrong' | 'hang' | 'unproved'; readonly message: string };

/** A number that a double cannot hold. */
export const BIG = '9007199254740993';
export const LARGE = 200_000;

/** The business behind every server of the suite: five operations, the same for each kind of API. */
export class Shop {
  readonly received: Received[] = [];
  /** Requests that the caller gave up before they were answered. */
  aborted = 0;
  /** Told why a request is not proved; undefined: it is. */
  prove: (received: Received) => string | undefined = () => undefined;
  readonly #items = new Map<string, Item>();

  constructor() {
    for (let at = 1; at <= 5; at += 1) this.#items.set(`i${at}`, { id: `i${at}`, name: `Näme ${at} 🐕`, note: at % 2 === 0 ? null : '', tags: at === 1 ? [] : ['ä', '日本', 'plain'], count: at === 1 ? BIG : String(at) });
  }

  reset(): void { this.received.length = 0; this.aborted = 0; this.prove = () => undefined; }

  ask(received: Received): Reply {
    this.received.push(received);
    const unproved = this.prove(received);
    if (unproved !== undefined) return { fault: 'unproved', message: unproved };
    const { operation, args } = received;
    switch (operation) {
      case 'getItem': {
        const found = this.#items.get(String(args['id']));
        return found ? { value: { ...found } } : { fault: 'missing', message: `there is no item ${String(args['id'])}` };
      }
      case 'listItems': {
        const all = [...this.#items.values()];
        const from = typeof args['after'] === 'string' && args['after'] !== '' ? all.findIndex(({ id }) => id === args['after']) + 1 : 0;
        const items = all.slice(from, from + Number(args['limit']));
        const last = items.at(-1);
        return { value: { items, next: last !== undefined && from + items.length < all.length ? last.id : null } };
      }
      case 'addItem': return { value: { id: 'new', name: args['name'] ?? '', note: args['note'] ?? null, tags: args['tags'] ?? [], count: JSON.stringify(args['count'] ?? 0) } };
      case 'deleteItem': return { value: { done: this.#items.has(String(args['id'])) } };
      default: return this.#act(String(args['how']), received);
    }
  }

  #act(how: string, { headers, query }: Received): Reply {
    switch (how) {
      case 'hang': case 'wrong': return { fault: how, message: '' };
      case 'error': return { fault: 'error', message: 'the till is jammed' };
      case 'large': return { value: { text: 'x'.repeat(LARGE) } };
      case 'quote': return { value: { text: JSON.stringify({ headers, query }) } };
      default: return { value: { text: how } };
    }
  }
}

/** JSON text whose counts are numbers: all their digits, which no double could carry. */
export const json = (value: unknown): string => JSON.stringify(value).replaceAll(/"count":"(-?\d+)"/g, '"count":$1');
