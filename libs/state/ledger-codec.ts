import type { OperationVerdict, Verdict, VerdictReason } from '#libs/core/conversion.js';

/** One operation as it is stored: most are exact and have neither reasons nor notes, so a short tuple says it all. */
type Row = readonly [method: string, path: string, operationId: string | 0, tool: string | 0, verdict: Verdict, reasons?: readonly VerdictReason[], notes?: readonly VerdictReason[]];

export function packLedger(ledger: readonly OperationVerdict[]): string {
  return JSON.stringify(ledger.map(({ method, path, operationId, tool, verdict, reasons, notes }): Row => {
    const short = [method, path, operationId ?? 0, tool ?? 0, verdict] as const;
    return notes.length > 0 ? [...short, reasons, notes] : reasons.length > 0 ? [...short, reasons] : short;
  }));
}

/** One entry for each operation, in document order. */
export function unpackLedger(text: string): OperationVerdict[] {
  return (JSON.parse(text) as Row[]).map(([method, path, operationId, tool, verdict, reasons = [], notes = []]) => ({
    method, path, operationId: operationId === 0 ? undefined : operationId, tool: tool === 0 ? undefined : tool, verdict, reasons, notes,
  }));
}

export function countVerdicts(ledger: readonly OperationVerdict[]): { operations: number } & Record<Verdict, number> {
  const counts = { operations: ledger.length, exact: 0, degraded: 0, refused: 0 };
  for (const { verdict } of ledger) counts[verdict] += 1;
  return counts;
}
