import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { vi } from 'vitest';
import { openDatabase } from './database.js';

// The embedded database is computed, not called: on a busy machine its first start alone takes seconds.
vi.setConfig({ testTimeout: 60_000 });

/** A throwaway folder whose `data` is an embedded database without tables: copying one is far quicker than making one. */
export async function emptyFolder(): Promise<{ readonly folder: string; readonly data: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-state-'));
  const data = path.join(folder, 'data');
  await cp(await template(), data, { recursive: true });
  return { folder, data, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Made once per version of PGlite, for all test processes, under a name that it gets when it is whole. */
async function template(): Promise<string> {
  const { version } = JSON.parse(await readFile('node_modules/@electric-sql/pglite/package.json', 'utf8')) as { version: string };
  const cache = path.resolve('node_modules/.cache/stoa');
  const whole = path.join(cache, `pglite-${version}`);
  if (existsSync(whole)) return whole;
  await mkdir(cache, { recursive: true });
  const making = await mkdtemp(path.join(cache, 'making-'));
  await (await openDatabase({ directory: making })).close();
  try {
    await rename(making, whole);
  } catch (failure) {
    // Another process was first.
    await rm(making, { recursive: true, force: true });
    if (!existsSync(whole)) throw failure;
  }
  return whole;
}
