import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { blocksTo } from './blocks.js';

const file = (): string => join(mkdtempSync(join(tmpdir(), 'blocks-')), 'log');

it('keeps every line and their order, whatever the block size', () => {
  const path = file();
  const fd = openSync(path, 'w');
  const blocks = blocksTo(fd);
  const lines = Array.from({ length: 5_000 }, (_, i) => `{"line":${i},"é":"${'x'.repeat(i % 97)}"}\n`);
  for (const line of lines) blocks.write(line);
  blocks.flushSync();
  closeSync(fd);
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
});

it('does not keep a line for long when nothing follows it', async () => {
  const path = file();
  blocksTo(openSync(path, 'w')).write('alone\n');
  await vi.waitFor(() => { expect(readFileSync(path, 'utf8')).toBe('alone\n'); });
});

it('writes what waits when the process ends, also by an exception that nobody caught', () => {
  const module = join(import.meta.dirname, 'blocks.ts');
  for (const [end, status] of [['process.exit(3)', 3], ['throw new Error("lost")', 1], ['', 0]] as const) {
    const path = file();
    const script = `const { blocksTo } = await import(${JSON.stringify(module)}); const { openSync } = await import('node:fs'); blocksTo(openSync(${JSON.stringify(path)}, 'w')).write('last words\\n'); ${end}`;
    const ran = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(ran).toMatchObject({ status });
    expect(readFileSync(path, 'utf8')).toBe('last words\n');
  }
});
