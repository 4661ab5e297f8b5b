/* oxlint-disable unicorn/consistent-function-scoping -- helpers stand beside the cases that use them */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countOperations } from '#apps/cli/src/corpus-count.js';
import { holds, scoreboard, scoreboardLines } from '#apps/cli/src/corpus-scoreboard.js';
import type { DocumentRow, Scoreboard } from '#apps/cli/src/corpus-scoreboard.js';
import { corpusCommand, documentsBelow } from '#apps/cli/src/corpus.js';

const FIXTURES = fileURLToPath(new URL('../../../test/fixtures/openapi', import.meta.url));
let folder: string;
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'corpus-')); });
afterEach(() => { rmSync(folder, { recursive: true }); });

async function run(...args: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await corpusCommand(args, { out: (line) => out.push(line), err: (line) => err.push(line), stdin: () => new Uint8Array(), env: {} });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

it('the corpus command accounts for every operation below a folder, and names what did not load', async () => {
  cpSync(FIXTURES, join(folder, 'deep', 'er'), { recursive: true });
  writeFileSync(join(folder, 'broken.json'), '{"openapi":');
  const { code, out } = await run(folder, '--json', '--threads', '1');
  const board = JSON.parse(out) as Scoreboard;
  expect(code).toBe(0);
  // SOURCES.yaml is not OpenAPI: that it failed is said, not hidden.
  expect(board.documents).toMatchObject({ found: 5, loaded: 3, failed: [{ file: 'broken.json' }, { file: 'deep/er/SOURCES.yaml' }] });
  expect(board.operations.verdicts).toBe(board.operations.written);
  expect(board.operations.exact).toBe(board.operations.verdicts);
  expect(board.danglingReferences).toBe(0);
});

it('a sample is the same in every run, and a wrong command line is said', async () => {
  cpSync(FIXTURES, folder, { recursive: true });
  expect(documentsBelow(folder, 2)).toEqual(documentsBelow(folder, 2));
  expect(documentsBelow(folder, 2)).toHaveLength(2);
  expect((await run()).code).toBe(2);
  expect((await run(folder, '--sample', '0')).code).toBe(2);
});

describe('the scoreboard', () => {
  const row = (extra: Partial<DocumentRow>): DocumentRow => ({ file: 'a.json', bytes: 1, ms: 1, error: undefined, written: 2, referred: 0, tools: 2, listedBytes: 100, dangling: 0, verdicts: { exact: 2 }, reasons: {}, notes: {}, ...extra });
  it.each<{ name: string; extra: Partial<DocumentRow>; ok: boolean }>([
    { name: 'every operation has its verdict', extra: {}, ok: true },
    { name: 'verdicts through a path reference count', extra: { referred: 1, verdicts: { exact: 3 } }, ok: true },
    { name: 'an operation has none', extra: { verdicts: { exact: 1 } }, ok: false },
    { name: 'there is a verdict too many', extra: { verdicts: { exact: 2, refused: 1 } }, ok: false },
    { name: 'a reference leads nowhere', extra: { dangling: 1 }, ok: false },
  ])('holds ($ok) when $name', ({ extra, ok }) => { expect(holds(scoreboard([row(extra)], 1, 1))).toBe(ok); });

  it('adds up', () => {
    const board = scoreboard([row({}), row({ file: 'b.json', verdicts: { exact: 1, degraded: 1 }, reasons: { why: 1 }, listedBytes: 300, ms: 9 }), row({ file: 'c.json', error: 'no' })], 2, 7);
    expect(board).toMatchObject({ documents: { found: 3, loaded: 2 }, operations: { written: 4, exact: 3, degraded: 1, exactShare: 0.75 }, reasons: { why: 1 }, toolsListBytes: { max: 300, maxFile: 'b.json', averagePerTool: 100 }, operationsPerSecond: 2, slowest: { file: 'b.json' } });
    expect(scoreboardLines(board).join('\n')).toContain('3 (75.00 %)');
  });
});

it('the independent count takes operations as they are written', () => {
  expect(countOperations({ openapi: '3.0.0', paths: { '/a': { get: {}, post: {}, parameters: [], 'x-y': {} }, 'x-z': { get: {} }, '/b': { $ref: '#/paths/~1a' }, '/c': { $ref: 'gone.json' } } })).toEqual({ written: 2, referred: 3 });
  expect(countOperations({ openapi: '3.2.0', paths: { '/a': { query: {}, additionalOperations: { LINK: {} } } } })).toEqual({ written: 2, referred: 0 });
  expect(countOperations({ openapi: '3.1.0', paths: { '/a': { query: {} } }, webhooks: { w: { get: {} } } })).toEqual({ written: 0, referred: 0 });
});
