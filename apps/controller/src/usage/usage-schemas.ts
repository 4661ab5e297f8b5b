import { z } from 'zod';
import { TenantSlugField, text } from '../http/fields.js';

export const AmountField = z.string().regex(/^(0|[1-9]\d{0,17})(\.\d{1,9})?$/, 'must be an amount such as "12.50", as text, with 9 decimals at most');
export const MonthField = z.string().regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'must be a month such as 2026-11');
const DIMENSIONS = ['hour', 'day', 'tool', 'consumer', 'outcome', 'account'] as const;

const interval = {
  tenant: TenantSlugField.optional().meta({ description: 'Default: the caller\'s own.' }),
  since: z.iso.datetime({ offset: true }).optional().meta({ description: 'Default: 24 hours ago.' }),
  until: z.iso.datetime({ offset: true }).optional().meta({ description: 'Default: now.' }),
};
const filter = { ...interval, tool: text(256).optional(), consumer: text(256).optional(), outcome: text(32).optional(), account: text(64).optional().meta({ description: 'A subscription\'s id.' }) };
const format = z.enum(['json', 'csv', 'jsonl']).default('json');

export const UsageQuery = z.strictObject({
  ...filter, format,
  by: z.string().default('tool,consumer,outcome').transform((value, context) => {
    const names = value.split(',').filter((name) => name !== '');
    const found = names.flatMap((name) => DIMENSIONS.filter((dimension) => dimension === name));
    if (found.length === names.length) return found;
    context.issues.push({ code: 'custom', message: `must be of ${DIMENSIONS.join(', ')}, separated by commas`, input: value });
    return z.NEVER;
  }),
});
export type UsageQuery = z.infer<typeof UsageQuery>;
export const LedgerQuery = z.strictObject({ ...filter, format, limit: z.coerce.number().int().min(1).max(10_000).default(100), cursor: z.string().regex(/^\d{4}-\d{2}-01\.\d{1,18}$/, 'must be a nextCursor').optional() });
export type LedgerQuery = z.infer<typeof LedgerQuery>;
export const ExportQuery = z.strictObject({ ...interval, format });
export type ExportQuery = z.infer<typeof ExportQuery>;
export const ReconcileQuery = z.strictObject(interval);
export type ReconcileQuery = z.infer<typeof ReconcileQuery>;
export const BillQuery = z.strictObject({ tenant: interval.tenant, month: MonthField });
export type BillQuery = z.infer<typeof BillQuery>;
export const MonthBody = z.strictObject({ tenant: interval.tenant, month: MonthField }).meta({ id: 'MonthBody' });
export type MonthBody = z.infer<typeof MonthBody>;
export const SimulationBody = z.strictObject({
  tenant: interval.tenant, month: MonthField, priceBook: z.record(z.string(), z.unknown()).meta({ description: 'A price book as it is written (docs/billing.md).' }),
}).meta({ id: 'SimulationBody' });
export type SimulationBody = z.infer<typeof SimulationBody>;

const money = z.string().meta({ description: 'Exact decimal text.' });
const line = z.object({ line: z.string(), quantity: z.string(), amount: money });
export const UsageAnswer = z.object({
  tenant: z.string(), since: z.string(), until: z.string(),
  rows: z.array(z.object({
    hour: z.string().optional(), day: z.string().optional(), tool: z.string().optional(), consumer: z.string().optional(), outcome: z.string().optional(), account: z.string().optional(),
    calls: z.string(), billed: z.string(), requestBytes: z.string(), responseBytes: z.string(), backendMs: z.string(), cost: money,
  })),
}).meta({ id: 'Usage' });
export const LedgerAnswer = z.object({
  entries: z.array(z.object({
    id: z.string(), revision: z.int(), entry: z.enum(['charge', 'reversal', 'correction']), at: z.string(), tool: z.string(), outcome: z.string(), consumer: z.string(), account: z.string(), requestId: z.string().nullable(),
    book: z.string(), why: z.string(), amount: money, lines: z.array(line),
  })),
  nextCursor: z.string().nullable(),
}).meta({ id: 'LedgerPage' });
export const BillAnswer = z.object({
  tenant: z.string(), month: z.string(), currency: z.string(), decimals: z.int(), rounding: z.string(), simulated: z.boolean(), revision: z.int().nullable(),
  lines: z.array(z.object({ account: z.string(), line: z.string(), quantity: z.string(), exact: money, amount: money, carried: money })), total: money, ledger: money,
}).meta({ id: 'Bill' });
export const ExportAnswer = z.object({ aggregates: z.array(z.object({ identifier: z.string(), tenant: z.string(), meter: z.string(), hour: z.string(), revision: z.int(), value: z.string(), cost: money })) }).meta({ id: 'UsageExport' });
export const CorrectionAnswer = z.object({ corrected: z.int(), difference: money }).meta({ id: 'Correction' });
const ids = z.array(z.string());
export const ReconciliationAnswer = z.object({
  sources: z.array(z.object({ source: z.string(), ended: z.boolean(), last: z.string(), missing: z.array(z.object({ from: z.string(), to: z.string() })) })),
  entries: z.string(), callRecords: z.string(), invoked: z.string(), unknown: ids, onlyInLedger: ids, onlyInRecords: ids, rollUpsAgree: z.boolean(), wronglyPriced: ids,
  quarantined: z.array(z.object({ key: z.string(), tenant: z.string().nullable(), reason: z.string(), detail: z.string(), at: z.string() })),
}).meta({ id: 'Reconciliation' });
