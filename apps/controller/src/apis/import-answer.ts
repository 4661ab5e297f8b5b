import type { OperationVerdict, Verdict } from '#libs/core/conversion.js';
import { apiAnswer, type ImportAnswer, type LedgerAnswer, type LedgerEntry } from './api-schemas.js';
import type { ImportOutcome } from './importer.js';

const entry = ({ method, path, operationId, tool, verdict, reasons, notes }: OperationVerdict): LedgerEntry => ({
  method, path, operationId: operationId ?? null, tool: tool ?? null, verdict, reasons: reasons.map((reason) => ({ ...reason })), notes: notes.map((note) => ({ ...note })),
});

/** All entries, or those that are told. */
export function ledgerAnswer(ledger: readonly OperationVerdict[], told: (operation: OperationVerdict) => boolean = () => true): LedgerAnswer {
  const count = (verdict: Verdict): number => ledger.filter((operation) => operation.verdict === verdict).length;
  return { operations: ledger.length, exact: count('exact'), degraded: count('degraded'), refused: count('refused'), entries: ledger.filter(told).map(entry) };
}

export function importAnswer({ dryRun, changed, api, revision, document: { ledger }, diff }: ImportOutcome): ImportAnswer {
  const tools = ledger.flatMap(({ tool, method, path, verdict }) => (tool === undefined ? [] : [{ name: tool, method, path, verdict }]));
  return {
    dryRun, changed, api: api === undefined ? null : apiAnswer(api), revision, tools,
    ledger: ledgerAnswer(ledger, ({ verdict }) => verdict !== 'exact'),
    diff: { added: [...diff.added], changed: [...diff.changed], removed: [...diff.removed] },
  };
}
