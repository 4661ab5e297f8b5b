import type { SqlDatabase } from '#libs/core/sql.js';
import { amountText } from './money.js';

/** An alert as consumers of the alert topic read it. */
export interface BudgetAlert { readonly type: 'budget'; readonly tenant: string; readonly account: string; readonly month: string; readonly percent: number; readonly spent: string; readonly cap: string; readonly at: string }

interface Row { readonly tenant: string; readonly account: string; readonly month: string; readonly percent: number; readonly spent: string; readonly cap: string; readonly at: Date }

/** Sends the alerts that were not sent yet, the oldest first, and remembers that they were. At least once: a crash in between sends them again. Answers how many. */
export async function sendAlerts(database: SqlDatabase, send: (alerts: readonly BudgetAlert[]) => Promise<void>): Promise<number> {
  const rows = await database.control((sql) => sql.query<Row>(`SELECT tenant, account, month::text AS month, percent, spent::text AS spent, cap::text AS cap, at FROM ledger.budget_alerts WHERE sent_at IS NULL ORDER BY at LIMIT 500`));
  if (rows.length === 0) return 0;
  await send(rows.map(({ at, spent, cap, month, ...row }) => ({ type: 'budget', ...row, month: month.slice(0, 7), spent: amountText(BigInt(spent)), cap: amountText(BigInt(cap)), at: at.toISOString() })));
  await database.control((sql) => sql.query(`UPDATE ledger.budget_alerts a SET sent_at = clock_timestamp() FROM json_to_recordset($1::json) AS s(tenant text, account text, month date, percent int)
    WHERE a.tenant = s.tenant AND a.account = s.account AND a.month = s.month AND a.percent = s.percent`, JSON.stringify(rows.map(({ tenant, account, month, percent }) => ({ tenant, account, month, percent })))));
  return rows.length;
}
