import type { Sql } from '#libs/core/sql.js';
import type { Charged } from './apply-charges.js';
import { monthOf } from './usage.js';

/** Of a cap, when an alert is raised; each once a month. */
export const ALERT_PERCENTS = [50, 80, 100] as const;

/** Adds what was charged to the budgets of its accounts, and raises the alerts whose part of the cap is reached. */
export async function alertBudgets(sql: Sql, charged: readonly Charged[]): Promise<void> {
  const sums = new Map<string, { readonly tenant: string; readonly account: string; readonly month: string; spent: bigint }>();
  for (const { usage: { tenant, at }, account, charge } of charged) {
    if (charge.amount === 0n) continue;
    // A subscription's calls count in its own budget and in its tenant's.
    for (const of of new Set([account, ''])) {
      const month = monthOf(at);
      const key = `${tenant}\0${of}\0${month}`;
      const sum = sums.get(key);
      if (sum) sum.spent += charge.amount; else sums.set(key, { tenant, account: of, month, spent: charge.amount });
    }
  }
  if (sums.size === 0) return;
  const rows = [...sums].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, { spent, ...fields }]) => ({ ...fields, spent: String(spent) }));
  await sql.query(`WITH added AS (
      INSERT INTO ledger.budget_months AS b (tenant, account, month, spent)
      SELECT r.tenant, r.account, r.month, r.spent FROM json_to_recordset($1::json) AS r(tenant text, account text, month date, spent numeric) JOIN ledger.budgets USING (tenant, account) ORDER BY 1, 2, 3
      ON CONFLICT (tenant, account, month) DO UPDATE SET spent = b.spent + excluded.spent RETURNING tenant, account, month, spent
    ) INSERT INTO ledger.budget_alerts (tenant, account, month, percent, spent, cap)
      SELECT tenant, account, month, percent, spent, cap FROM added JOIN ledger.budgets USING (tenant, account) CROSS JOIN json_array_elements_text($2::json) AS p(text) CROSS JOIN LATERAL (SELECT p.text::int AS percent) AS q
      WHERE cap > 0 AND spent * 100 >= cap * percent ON CONFLICT DO NOTHING`, JSON.stringify(rows), JSON.stringify(ALERT_PERCENTS));
}
