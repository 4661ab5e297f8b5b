/** What one document gave. */
export interface DocumentRow {
  readonly file: string;
  readonly bytes: number;
  /** Reading and converting, in milliseconds. */
  readonly ms: number;
  readonly error: string | undefined;
  /** Operations by the independent count: in paths, and through references of path items. */
  readonly written: number;
  readonly referred: number;
  readonly tools: number;
  /** The document's whole `tools/list`. */
  readonly listedBytes: number;
  readonly dangling: number;
  /** Operations by verdict, by code of a reason, by code of a note. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly reasons: Readonly<Record<string, number>>;
  readonly notes: Readonly<Record<string, number>>;
}

export interface Scoreboard {
  readonly documents: { readonly found: number; readonly loaded: number; readonly failed: readonly { readonly file: string; readonly reason: string }[] };
  readonly operations: {
    readonly written: number; readonly throughPathReferences: number; readonly verdicts: number;
    readonly exact: number; readonly degraded: number; readonly refused: number; readonly exactShare: number;
  };
  readonly reasons: Readonly<Record<string, number>>;
  readonly notes: Readonly<Record<string, number>>;
  readonly toolsListBytes: { readonly p50: number; readonly p99: number; readonly max: number; readonly maxFile: string; readonly averagePerTool: number };
  readonly danglingReferences: number;
  readonly slowest: { readonly file: string; readonly ms: number };
  readonly seconds: number;
  readonly operationsPerSecond: number;
  readonly peakMemoryMiB: number;
  /** Documents in which the independent count and the verdicts differ. */
  readonly miscounted: readonly { readonly file: string; readonly counted: number; readonly verdicts: number }[];
}

export function scoreboard(rows: readonly DocumentRow[], seconds: number, peakMemoryMiB: number): Scoreboard {
  const loaded = rows.filter((row) => row.error === undefined);
  const verdicts = sumOf(loaded.map((row) => row.verdicts));
  const total = Object.values(verdicts).reduce((sum, n) => sum + n, 0);
  const sizes = loaded.map((row) => row.listedBytes).toSorted((a, b) => a - b);
  const biggest = loaded.reduce<DocumentRow | undefined>((max, row) => (max && max.listedBytes >= row.listedBytes ? max : row), undefined);
  const slowest = loaded.reduce<DocumentRow | undefined>((max, row) => (max && max.ms >= row.ms ? max : row), undefined);
  const tools = add(loaded, (row) => row.tools);
  return {
    documents: { found: rows.length, loaded: loaded.length, failed: rows.flatMap(({ file, error }) => (error === undefined ? [] : [{ file, reason: error }])) },
    operations: {
      written: add(loaded, (row) => row.written), throughPathReferences: add(loaded, (row) => row.referred), verdicts: total,
      exact: verdicts['exact'] ?? 0, degraded: verdicts['degraded'] ?? 0, refused: verdicts['refused'] ?? 0, exactShare: total === 0 ? 0 : (verdicts['exact'] ?? 0) / total,
    },
    reasons: sumOf(loaded.map((row) => row.reasons)),
    notes: sumOf(loaded.map((row) => row.notes)),
    toolsListBytes: {
      p50: percentile(sizes, 0.5), p99: percentile(sizes, 0.99), max: sizes.at(-1) ?? 0, maxFile: biggest?.file ?? '',
      averagePerTool: tools === 0 ? 0 : Math.round(add(loaded, (row) => row.listedBytes) / tools),
    },
    danglingReferences: add(loaded, (row) => row.dangling),
    slowest: { file: slowest?.file ?? '', ms: Math.round(slowest?.ms ?? 0) },
    seconds, operationsPerSecond: seconds > 0 ? Math.round(total / seconds) : 0, peakMemoryMiB,
    miscounted: loaded.map((row) => ({ file: row.file, counted: row.written + row.referred, verdicts: Object.values(row.verdicts).reduce((sum, n) => sum + n, 0) })).filter((row) => row.counted !== row.verdicts),
  };
}

/** Whether what the scoreboard promises holds: each operation has its verdict, and no reference leads nowhere. */
export function holds(board: Scoreboard): boolean {
  return board.miscounted.length === 0 && board.danglingReferences === 0 && board.operations.verdicts === board.operations.written + board.operations.throughPathReferences;
}

export function scoreboardLines(board: Scoreboard): readonly string[] {
  const { documents, operations, toolsListBytes: list } = board;
  return [
    `documents    ${documents.loaded} of ${documents.found} loaded`,
    ...documents.failed.map(({ reason }) => `    failed: ${reason}`),
    `operations   ${operations.written} written + ${operations.throughPathReferences} through path references; ${operations.verdicts} verdicts`,
    `  exact      ${operations.exact} (${(operations.exactShare * 100).toFixed(2)} %)`,
    `  degraded   ${operations.degraded}`,
    `  refused    ${operations.refused}`,
    ...(Object.keys(board.reasons).length > 0 ? ['  operations by reason', ...counts(board.reasons)] : []),
    ...(Object.keys(board.notes).length > 0 ? ['  operations by note (no loss)', ...counts(board.notes)] : []),
    `tools/list   p50 ${list.p50} B, p99 ${list.p99} B, max ${list.max} B a document (${list.maxFile}); ${list.averagePerTool} B a tool`,
    `dangling     ${board.danglingReferences} references`,
    `speed        ${board.operationsPerSecond} operations/s (${board.seconds.toFixed(1)} s); slowest ${board.slowest.file}: ${board.slowest.ms} ms`,
    `memory       ${board.peakMemoryMiB} MiB at the peak`,
    ...board.miscounted.map(({ file, counted, verdicts }) => `MISCOUNTED   ${file}: ${counted} operations, ${verdicts} verdicts`),
  ];
}

function counts(of: Readonly<Record<string, number>>): readonly string[] {
  return Object.entries(of).toSorted(([, a], [, b]) => b - a).map(([code, n]) => `    ${String(n).padStart(7)}  ${code}`);
}

function sumOf(records: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum = new Map<string, number>();
  for (const record of records) for (const [key, n] of Object.entries(record)) sum.set(key, (sum.get(key) ?? 0) + n);
  return Object.fromEntries(sum);
}

function add(rows: readonly DocumentRow[], of: (row: DocumentRow) => number): number {
  return rows.reduce((sum, row) => sum + of(row), 0);
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
