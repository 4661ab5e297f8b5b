import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, vi } from 'vitest';
import { openDatabase } from './database.js';

// The embedded database is computed, not called: on a busy machine its first start alone takes seconds.
vi.setConfig({ testTimeout: 60_000 });

let template: Promise<string> | undefined;
afterAll(async () => { if (template) await rm(await template, { recursive: true, force: true }); });

/** A throwaway folder whose `data` is an embedded database without tables: copying one is far quicker than making one. */
export async function emptyFolder(): Promise<{ readonly folder: string; readonly data: string; readonly remove: () => Promise<void> }> {
  template ??= (async () => {
    const made = await mkdtemp(path.join(tmpdir(), 'stoa-template-'));
    await (await openDatabase({ directory: made })).close();
    return made;
  })();
  const folder = await mkdtemp(path.join(tmpdir(), 'stoa-state-'));
  const data = path.join(folder, 'data');
  await cp(await template, data, { recursive: true });
  return { folder, data, remove: () => rm(folder, { recursive: true, force: true }) };
}
