import { DEFAULT_BOOK, type PriceBook } from './price-book.js';
import { readPriceBook } from './read-price-book.js';

/** A book as the ledger keeps it. */
export interface StoredBook { readonly book: PriceBook; readonly version: number; /** Undefined: for every tenant. */ readonly tenant: string | undefined }

export const SHIPPED: StoredBook = { book: readPriceBook(DEFAULT_BOOK), version: 0, tenant: undefined };

/**
 * The books in force: the plan's by name, else the tenant's own of the latest begin, else the shared `default`; of each the version that is valid at the
 * time of the call, the newest of several with the same begin.
 */
export class BookShelf {
  readonly #byName = new Map<string, StoredBook[]>();
  readonly #byTenant = new Map<string, StoredBook[]>();
  readonly #byHash = new Map<string, PriceBook>();

  constructor(stored: readonly StoredBook[]) {
    for (const one of [SHIPPED, ...stored].toSorted((a, b) => b.book.validFrom - a.book.validFrom || b.version - a.version)) {
      add(this.#byName, one.book.name, one);
      if (one.tenant !== undefined) add(this.#byTenant, one.tenant, one);
      this.#byHash.set(one.book.hash, one.book);
    }
  }

  byHash(hash: string): PriceBook | undefined { return this.#byHash.get(hash); }

  at(time: number, tenant: string, name: string | undefined): PriceBook | undefined {
    const valid = ({ book, tenant: owner }: StoredBook): boolean => book.validFrom <= time && (owner === undefined || owner === tenant);
    const named = name === undefined ? this.#byTenant.get(tenant)?.find(valid) : this.#byName.get(name)?.find(valid);
    return (named ?? this.#byName.get('default')?.find(valid))?.book;
  }
}

function add<K>(map: Map<K, StoredBook[]>, key: K, value: StoredBook): void {
  const list = map.get(key);
  if (list) list.push(value); else map.set(key, [value]);
}
