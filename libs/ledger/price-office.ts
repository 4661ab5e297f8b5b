import { NoSuchRecord } from '#libs/core/control-store.js';
import type { Sql, SqlDatabase } from '#libs/core/sql.js';
import type { BudgetRecord, PlanRecord, PriceBookRecord, PriceOffice, SubscriptionRecord } from '#libs/core/usage-ledger.js';
import { SHIPPED } from './books.js';
import { amountText, nanoOf } from './money.js';
import { contentText } from './price-book.js';
import { PriceBookRefused, readPriceBook } from './read-price-book.js';

interface BookRow { readonly name: string; readonly version: number; readonly hash: string; readonly tenant: string | null; readonly valid_from: Date; readonly created_by: string; readonly content: unknown }
const bookRecord = (row: BookRow): PriceBookRecord => ({ name: row.name, version: row.version, hash: row.hash, tenant: row.tenant ?? undefined, validFrom: row.valid_from.toISOString(), createdBy: row.created_by, content: row.content });
const SHIPPED_RECORD: PriceBookRecord = { name: 'default', version: 0, hash: SHIPPED.book.hash, tenant: undefined, validFrom: new Date(SHIPPED.book.validFrom).toISOString(), createdBy: 'stoa', content: SHIPPED.book.content };
const BOOK = 'name, version, hash, tenant, valid_from, created_by, content';

interface PlanRow { readonly name: string; readonly title: string; readonly fee: string; readonly quota: string | null; readonly cap: string | null; readonly book: string | null }
const planRecord = ({ name, title, fee, quota, cap, book }: PlanRow): PlanRecord => ({ name, title, fee: amountText(BigInt(fee)), quota: quota ?? undefined, cap: cap === null ? undefined : amountText(BigInt(cap)), book: book ?? undefined });

interface SubscriptionRow { readonly id: string; readonly plan: string; readonly subscriber: string; readonly key_id: string; readonly starts_at: Date; readonly ended_at: Date | null }
const subscriptionRecord = (row: SubscriptionRow): SubscriptionRecord => ({ id: row.id, plan: row.plan, subscriber: row.subscriber, keyId: row.key_id, startsAt: row.starts_at.toISOString(), endedAt: row.ended_at?.toISOString() });
const SUBSCRIPTION = 'id::text AS id, plan, subscriber, key_id, starts_at, ended_at';

/** An amount as nano-units in decimal text for a statement; null for none. Throws `RangeError` for what is not one. */
function nanoText(amount: string | undefined): string | null {
  if (amount === undefined) return null;
  const nano = nanoOf(amount);
  if (nano === undefined) throw new RangeError(`${amount.slice(0, 40)} is not an amount such as 12.50 with 9 decimals at most`);
  return String(nano);
}

export const priceOffice = (database: SqlDatabase): PriceOffice => ({
  listBooks: async (tenant) => [
    ...await database.control(async (sql) => (await sql.query<BookRow>(`SELECT ${BOOK} FROM ledger.price_books WHERE $1::text IS NULL OR tenant IS NULL OR tenant = $1 ORDER BY name, version DESC`, tenant ?? null)).map(bookRecord)),
    SHIPPED_RECORD,
  ],

  putBook: (content, { tenant, createdBy, knownTools }) => database.control(async (sql) => {
    const { name, hash, validFrom } = readPriceBook(content, { knownTools });
    // One at a time: versions are without gaps.
    await sql.query(`SELECT pg_advisory_xact_lock(7072736902)::text AS locked`);
    const [same] = await sql.query<BookRow>(`SELECT ${BOOK} FROM ledger.price_books WHERE hash = $1`, hash);
    if (hash === SHIPPED.book.hash) return SHIPPED_RECORD;
    if (same && (same.tenant ?? undefined) === tenant) return bookRecord(same);
    const [owner] = await sql.query<{ tenant: string | null }>(`SELECT tenant FROM ledger.price_books WHERE name = $1 LIMIT 1`, name);
    if (same || (owner && (owner.tenant ?? undefined) !== tenant) || (name === 'default' && tenant !== undefined)) {
      throw new PriceBookRefused([{ path: ['name'], message: `name ${name} is taken: choose another` }]);
    }
    const [row] = await sql.query<BookRow>(`INSERT INTO ledger.price_books (hash, name, version, tenant, valid_from, content, created_by)
      SELECT $1, $2, 1 + coalesce(max(version), 0), $3, $4::text::timestamptz, $5::text::json, $6 FROM ledger.price_books WHERE name = $2 RETURNING ${BOOK}`,
    hash, name, tenant ?? null, new Date(validFrom).toISOString(), contentText(content), createdBy);
    if (!row) throw new Error('the price book was not stored');
    return bookRecord(row);
  }),

  listPlans: (tenant) => database.tenant(tenant, async (sql) => (await sql.query<PlanRow>(`SELECT name, title, fee::text AS fee, quota::text AS quota, cap::text AS cap, book FROM ledger.plans WHERE tenant = $1 ORDER BY name`, tenant)).map(planRecord)),

  putPlan: (tenant, plan) => database.tenant(tenant, async (sql) => {
    if (plan.book !== undefined && plan.book !== 'default') {
      const [book] = await sql.query(`SELECT 1 AS found FROM ledger.price_books WHERE name = $1 AND (tenant IS NULL OR tenant = $2)`, plan.book, tenant);
      if (!book) throw new NoSuchRecord('Price book', plan.book);
    }
    const [row] = await sql.query<PlanRow>(`INSERT INTO ledger.plans (tenant, name, title, fee, quota, cap, book) VALUES ($1, $2, $3, $4::text::numeric, $5::text::bigint, $6::text::numeric, $7)
      ON CONFLICT (tenant, name) DO UPDATE SET title = excluded.title, fee = excluded.fee, quota = excluded.quota, cap = excluded.cap, book = excluded.book
      RETURNING name, title, fee::text AS fee, quota::text AS quota, cap::text AS cap, book`, tenant, plan.name, plan.title, nanoText(plan.fee), plan.quota ?? null, nanoText(plan.cap), plan.book ?? null);
    if (!row) throw new Error('the plan was not stored');
    await sql.query(`INSERT INTO ledger.budgets (tenant, account, cap, quota) SELECT $1, id::text, $3::text::numeric, $4::text::bigint FROM ledger.subscriptions WHERE tenant = $1 AND plan = $2 AND ended_at IS NULL
      ON CONFLICT (tenant, account) DO UPDATE SET cap = excluded.cap, quota = excluded.quota`, tenant, plan.name, nanoText(plan.cap), plan.quota ?? null);
    return planRecord(row);
  }),

  listSubscriptions: (tenant) => database.tenant(tenant, async (sql) => (await sql.query<SubscriptionRow>(`SELECT ${SUBSCRIPTION} FROM ledger.subscriptions WHERE tenant = $1 ORDER BY starts_at DESC, id`, tenant)).map(subscriptionRecord)),

  subscribe: (tenant, { plan, subscriber, keyId }) => database.tenant(tenant, async (sql) => {
    const [limits] = await sql.query<{ cap: string | null; quota: string | null }>(`SELECT cap::text AS cap, quota::text AS quota FROM ledger.plans WHERE tenant = $1 AND name = $2`, tenant, plan);
    if (!limits) throw new NoSuchRecord('Plan', plan);
    const [row] = await sql.query<SubscriptionRow>(`INSERT INTO ledger.subscriptions (tenant, plan, subscriber, key_id) VALUES ($1, $2, $3, $4) RETURNING ${SUBSCRIPTION}`, tenant, plan, subscriber, keyId);
    if (!row) throw new Error('the subscription was not stored');
    await sql.query(`INSERT INTO ledger.budgets (tenant, account, cap, quota) VALUES ($1, $2, $3::text::numeric, $4::text::bigint)`, tenant, row.id, limits.cap, limits.quota);
    return subscriptionRecord(row);
  }),

  unsubscribe: (tenant, id) => database.tenant(tenant, async (sql) => {
    await sql.query(`UPDATE ledger.subscriptions SET ended_at = clock_timestamp() WHERE tenant = $1 AND id::text = $2 AND ended_at IS NULL`, tenant, id);
    return subscriptionOf(sql, tenant, id);
  }),

  listBudgets: (tenant) => database.tenant(tenant, async (sql) => {
    const rows = await sql.query<{ account: string; cap: string | null; quota: string | null; spent: string; committed: string; alerts: { percent: number; at: string }[] | null }>(
      `SELECT b.account, b.cap::text AS cap, b.quota::text AS quota, coalesce(m.spent, 0)::text AS spent, coalesce(m.committed, 0)::text AS committed,
        (SELECT jsonb_agg(jsonb_build_object('percent', a.percent, 'at', a.at) ORDER BY a.percent) FROM ledger.budget_alerts a WHERE a.tenant = b.tenant AND a.account = b.account AND a.month = date_trunc('month', now())::date) AS alerts
       FROM ledger.budgets b LEFT JOIN ledger.budget_months m ON m.tenant = b.tenant AND m.account = b.account AND m.month = date_trunc('month', now())::date WHERE b.tenant = $1 ORDER BY b.account`, tenant);
    return rows.map(({ account, cap, quota, spent, committed, alerts }): BudgetRecord =>
      ({ account, cap: cap === null ? undefined : amountText(BigInt(cap)), quota: quota ?? undefined, spent: amountText(BigInt(spent)), committed: amountText(BigInt(committed)), alerts: alerts ?? [] }));
  }),

  setBudget: (tenant, account, { cap, quota }) => database.tenant(tenant, async (sql) => {
    if (account !== '') await subscriptionOf(sql, tenant, account);
    if (cap === undefined && quota === undefined) await sql.query(`DELETE FROM ledger.budgets WHERE tenant = $1 AND account = $2`, tenant, account);
    else await sql.query(`INSERT INTO ledger.budgets (tenant, account, cap, quota) VALUES ($1, $2, $3::text::numeric, $4::text::bigint) ON CONFLICT (tenant, account) DO UPDATE SET cap = excluded.cap, quota = excluded.quota`, tenant, account, nanoText(cap), quota ?? null);
  }),
});

async function subscriptionOf(sql: Sql, tenant: string, id: string): Promise<SubscriptionRecord> {
  const [row] = await sql.query<SubscriptionRow>(`SELECT ${SUBSCRIPTION} FROM ledger.subscriptions WHERE tenant = $1 AND id::text = $2`, tenant, id);
  if (!row) throw new NoSuchRecord('Subscription', id);
  return subscriptionRecord(row);
}
