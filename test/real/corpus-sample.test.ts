import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, expect, it } from 'vitest';
import type { Definitions, JsonSchema } from '#libs/core/json-schema.js';
import { DIALECTS, inDialect } from '#libs/discovery/dialects.js';
import { lintDialect } from '#libs/discovery/lint-dialect.js';
import { convertDocument } from '#libs/openapi/convert.js';
import type { Scoreboard } from '#apps/cli/src/corpus-scoreboard.js';
import { corpusCommand, documentsBelow } from '#apps/cli/src/corpus.js';
import { corpusFolder } from '../../tools/corpus.mjs';

const SAMPLE = 200;
let folder = '';
beforeAll(() => { folder = corpusFolder(); });

it(`${SAMPLE} public documents load, every operation has its verdict, and nearly all are exact`, async () => {
  const out: string[] = [];
  const code = await corpusCommand([folder, '--sample', String(SAMPLE), '--json'], { out: (line) => out.push(line), err: (line) => out.push(line), stdin: () => new Uint8Array(), env: {} });
  const board = JSON.parse(out.join('')) as Scoreboard;
  expect(code).toBe(0);
  expect(board.documents).toMatchObject({ found: SAMPLE, loaded: SAMPLE, failed: [] });
  expect(board.miscounted).toEqual([]);
  expect(board.danglingReferences).toBe(0);
  expect(board.operations.exactShare).toBeGreaterThanOrEqual(0.99);
  expect(board.toolsListBytes.averagePerTool).toBeLessThanOrEqual(2048);
}, 300_000);

/** Definitions under one name of their own, so that a tool's schemas share what is compiled of them. */
const inPool = (schema: JsonSchema | Definitions): object => JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"pool#/$defs/')) as object;
const options = { strict: false, logger: false, validateFormats: false } as const;

it('the schemas of public documents compile, those that arguments are checked against and those that clients are sent', async () => {
  let compiled = 0;
  for (const file of documentsBelow(folder, SAMPLE)) {
    const bytes = readFileSync(join(folder, file));
    if (bytes.byteLength > 1024 * 1024) continue;
    // oxlint-disable-next-line no-await-in-loop -- one document in memory at a time
    const { tools, definitions } = await convertDocument(bytes, { fileName: file });
    const full = new Ajv2020(options).addSchema({ $id: 'pool', $defs: inPool(definitions) });
    for (const tool of tools.slice(0, 10)) {
      const listed = JSON.parse(tool.listed) as { inputSchema: object; outputSchema?: object };
      for (const schema of [tool.inputSchema, tool.outputSchema]) if (schema !== undefined) full.compile(inPool(schema));
      for (const schema of [listed.inputSchema, listed.outputSchema]) if (schema !== undefined) new Ajv2020(options).compile(schema);
      compiled += 1;
    }
  }
  expect(compiled).toBeGreaterThan(500);
}, 300_000);

it('the 452 tools of one large public API list in less than 1 MB', async () => {
  const { tools } = await convertDocument(readFileSync(join(folder, 'stripe.com.json')), {});
  const bytes = tools.reduce((sum, tool) => sum + Buffer.byteLength(tool.listed) + 1, 0);
  expect(tools).toHaveLength(452);
  expect(bytes).toBeLessThanOrEqual(1_000_000);
  expect(bytes / tools.length).toBeLessThanOrEqual(2048);
});

it('tools of public documents are taken by every provider, in its dialect', async () => {
  const faults: string[] = [];
  let tools = 0;
  for (const file of documentsBelow(folder, SAMPLE)) {
    const bytes = readFileSync(join(folder, file));
    if (bytes.byteLength > 1024 * 1024) continue;
    // oxlint-disable-next-line no-await-in-loop -- one document in memory at a time
    for (const { listed } of (await convertDocument(bytes, { fileName: file })).tools) {
      tools += 1;
      for (const dialect of DIALECTS) faults.push(...lintDialect(JSON.parse(inDialect(listed, dialect)) as Parameters<typeof lintDialect>[0], dialect).map((fault) => `${file} ${dialect} ${fault}`));
    }
  }
  expect(tools).toBeGreaterThan(1000);
  expect(faults.slice(0, 20)).toEqual([]);
}, 300_000);
