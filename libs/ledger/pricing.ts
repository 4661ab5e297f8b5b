import type { Sql, SqlDatabase } from '#libs/core/sql.js';
import type { Accounts, Pricing } from './apply-charges.js';
import { BookShelf, type StoredBook } from './books.js';
import { readPriceBook } from './read-price-book.js';
import { OWN_ACCOUNT } from './rate.js';

interface Subscription { readonly tenant: string; readonly id: string; readonly plan: string; readonly book: string | null; readonly key_id: string; readonly starts_at: Date; readonly ended_at: Date | null }

/** Books and subscriptions as the database has them, read again when they changed. */
export class StoredPricing {
  #stamp: string | undefined;
  #pricing: Pricing = { books: new BookShelf([]), accounts: { of: () => OWN_ACCOUNT } };
  constructor(private readonly database: SqlDatabase) {}

  /** As last read; the shipped book before that. */
  get latest(): Pricing { return this.#pricing; }

  current(): Promise<Pricing> {
    return this.database.control(async (sql) => {
      const [row] = await sql.query<{ stamp: string }>(`SELECT concat_ws('/', (SELECT count(*) FROM ledger.price_books), (SELECT md5(string_agg(tenant || '/' || name || '=' || coalesce(book, ''), ',' ORDER BY tenant, name)) FROM ledger.plans),
        (SELECT concat(count(*), '-', count(ended_at), '-', extract(epoch FROM max(starts_at))) FROM ledger.subscriptions)) AS stamp`);
      if (row?.stamp !== this.#stamp) {
        this.#pricing = { books: new BookShelf(await readBooks(sql)), accounts: accountsOf(await sql.query<Subscription>(
          `SELECT s.tenant, s.id::text AS id, s.plan, p.book, s.key_id, s.starts_at, s.ended_at FROM ledger.subscriptions s JOIN ledger.plans p ON p.tenant = s.tenant AND p.name = s.plan`)) };
        this.#stamp = row?.stamp;
      }
      return this.#pricing;
    });
  }
}

const readBooks = async (sql: Sql): Promise<StoredBook[]> => (await sql.query<{ version: number; tenant: string | null; content: unknown }>(`SELECT version, tenant, content FROM ledger.price_books`))
  .map(({ version, tenant, content }) => ({ version, tenant: tenant ?? undefined, book: readPriceBook(content) }));

/** A key belongs to one subscription for good; calls before its start or after its end are the tenant's own. */
function accountsOf(subscriptions: readonly Subscription[]): Accounts {
  const byKey = new Map(subscriptions.map((one) => [`${one.tenant}\0${one.key_id}`, one]));
  return {
    of: ({ tenant, credential, at }) => {
      const found = credential === null ? undefined : byKey.get(`${tenant}\0${credential}`);
      if (!found || at < found.starts_at.getTime() || (found.ended_at !== null && at > found.ended_at.getTime())) return OWN_ACCOUNT;
      return { id: found.id, plan: found.plan, ...(found.book === null ? {} : { book: found.book }) };
    },
  };
}
