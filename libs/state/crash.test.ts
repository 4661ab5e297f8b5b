import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { slug } from './control-store.contract.js';
import { databaseCatalogueSource } from './catalogue-source.js';
import { databaseControlStore } from './control-store.js';
import { openDatabase } from './database.js';
import { emptyFolder } from './empty-folder.contract.js';
import { migrate } from './migrate.js';

const acme = slug('acme');
/** Node runs the sources as they are, but for the `.js` of their imports. */
const SOURCES = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({ resolve(name, context, next) {
    try { return next(name, context); } catch (failure) { if (/^\\./.test(name) && name.endsWith('.js')) return next(name.slice(0, -3) + '.ts', context); throw failure; }
  } });`)}`;

/** Lets a child publish until it has acknowledged `until`, kills it (kill -9) wherever it is then, and answers the last number acknowledged. */
async function publishAndDie(folder: string, first: number, until: number): Promise<number> {
  const child = spawn(process.execPath, ['--conditions=stoa-source', '--experimental-transform-types', '--no-warnings', '--import', SOURCES, 'libs/state/crash.contract.ts', folder, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'exit');
  let acknowledged = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged = Number(line);
    if (acknowledged === until) child.kill('SIGKILL');
  }
  expect(await gone).toEqual([null, 'SIGKILL']);
  return acknowledged;
}

it('keeps every acknowledged publication, whole, when the process is killed while it publishes', async () => {
  const { data, remove } = await emptyFolder();
  const prepared = await openDatabase({ directory: data });
  await migrate(prepared);
  await databaseControlStore(prepared).createTenant({ slug: acme, displayName: '', description: '' });
  await prepared.close();

  let next = 1;
  for (const publications of [1, 7, 12]) {
    const acknowledged = await publishAndDie(data, next, next + publications - 1);
    // The folder of the dead owner is taken over.
    const database = await openDatabase({ directory: data });
    const snapshot = await databaseCatalogueSource(database).load(acme);
    const document = await databaseControlStore(database).getDocument(acme, 'pets');
    await database.close();
    const kept = Number(new TextDecoder().decode(document?.bytes));
    // At most the one that was under way may have been kept without having been acknowledged.
    expect(kept).toBeGreaterThanOrEqual(acknowledged);
    expect(kept).toBeLessThanOrEqual(acknowledged + 1);
    const tools = snapshot?.targets.filter((target) => target.kind === 'tool') ?? [];
    expect(tools).toHaveLength(21);
    expect(new Set(tools.map((tool) => tool.description))).toEqual(new Set([String(kept)]));
    next = kept + 1;
  }
  await remove();
}, 120_000);
