import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { parse } from 'yaml';
import { convertDocument } from '#libs/openapi/convert.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { definitionsNamedIn } from '#libs/tool-listing/self-contained.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import { countOperations } from '#apps/cli/src/corpus-count.js';
import type { DocumentRow } from '#apps/cli/src/corpus-scoreboard.js';

/** Worker thread: takes a file's path, answers its row of the scoreboard. */
const port = parentPort;
if (!port) throw new Error('this file runs as a worker thread');
port.on('message', async (file: string) => { port.postMessage(await measure(file)); });

async function measure(file: string): Promise<DocumentRow> {
  const bytes = readFileSync(file);
  const start = performance.now();
  const blank: DocumentRow = { file, bytes: bytes.byteLength, ms: 0, error: undefined, written: 0, referred: 0, tools: 0, listedBytes: 0, dangling: 0, verdicts: {}, reasons: {}, notes: {} };
  let document: ConvertedDocument;
  try {
    document = await convertDocument(bytes, { fileName: file });
  } catch (error) {
    const reason = error instanceof DocumentError ? `${error.code}: ${error.message}` : `crash: ${error instanceof Error ? error.message : String(error)}`;
    return { ...blank, ms: performance.now() - start, error: reason };
  }
  const ms = performance.now() - start;
  const count = countOperations(plainly(bytes));
  const { verdicts, reasons, notes } = tally(document);
  return { ...blank, ms, ...count, tools: document.tools.length, listedBytes: bytesOfList(document), dangling: danglingIn(document), verdicts, reasons, notes };
}

function plainly(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes);
  try { return JSON.parse(text); } catch { return parse(text); }
}

function tally({ ledger }: ConvertedDocument): Pick<DocumentRow, 'verdicts' | 'reasons' | 'notes'> {
  const verdicts: Record<string, number> = {};
  const reasons: Record<string, number> = {};
  const notes: Record<string, number> = {};
  for (const verdict of ledger) {
    add(verdicts, verdict.verdict);
    for (const code of new Set(verdict.reasons.map((reason) => reason.code))) add(reasons, code);
    for (const code of new Set(verdict.notes.map((note) => note.code))) add(notes, code);
  }
  return { verdicts, reasons, notes };
}

function add(to: Record<string, number>, key: string): void {
  to[key] = (to[key] ?? 0) + 1;
}

function bytesOfList({ tools }: ConvertedDocument): number {
  return tools.reduce((sum, tool) => sum + Buffer.byteLength(tool.listed) + 1, 0);
}

/** References that lead nowhere: in what a client is sent, and in what arguments and answers are checked against. */
function danglingIn({ tools, definitions }: ConvertedDocument): number {
  let dangling = 0;
  for (const schema of Object.values(definitions)) for (const key of definitionsNamedIn(schema)) if (!Object.hasOwn(definitions, key)) dangling += 1;
  for (const tool of tools) {
    for (const schema of [tool.inputSchema, tool.outputSchema]) for (const key of definitionsNamedIn(schema)) if (!Object.hasOwn(definitions, key)) dangling += 1;
    const listed = JSON.parse(tool.listed) as { inputSchema: { $defs?: object }; outputSchema?: { $defs?: object } };
    for (const schema of [listed.inputSchema, listed.outputSchema]) for (const key of definitionsNamedIn(schema)) if (!Object.hasOwn(schema?.$defs ?? {}, key)) dangling += 1;
  }
  return dangling;
}
