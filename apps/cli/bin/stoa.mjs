#!/usr/bin/env node
// The `stoa` command: on the product's Node, from the built sources, building them first where they are not there.
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(realpathSync(fileURLToPath(import.meta.url))), '..', '..', '..');
const { CannotPrepare, ensure, productNode } = await import(pathToFileURL(join(root, 'tools', 'ensure.mjs')).href);
try {
  const main = join(root, 'dist', 'apps', 'cli', 'src', 'main.js');
  if (!existsSync(main) || !existsSync(join(root, 'dist', '.stamp'))) ensure();
  const node = productNode();
  if (Number(process.versions.node.split('.')[0]) >= 24) {
    await import(pathToFileURL(main).href);
  } else {
    const done = spawnSync(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
    process.exitCode = done.status ?? 1;
  }
} catch (error) {
  if (!(error instanceof CannotPrepare)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
