#!/usr/bin/env node
// Makes the Prisma client in libs/state/generated from prisma/schema.prisma when the schema, or Prisma itself, is newer.
// Needs no network: client generation never runs the schema engine, but the `prisma` command looks for its binary first and would
// fetch it, so any existing file stands in for it.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => path.join(root, ...parts);
const output = at('libs', 'state', 'generated');
const product = path.join(output, 'client.ts');
const sources = [at('prisma', 'schema.prisma'), at('node_modules', 'prisma', 'package.json')];

/** Answers true when it made the client, false when the one that is there is fresh. Throws when it cannot. */
export function generatePrismaClient() {
  if (existsSync(product)) {
    const made = statSync(product).mtimeMs;
    if (sources.every((source) => statSync(source).mtimeMs <= made)) return false;
  }
  const run = spawnSync(process.execPath, [at('node_modules', 'prisma', 'build', 'index.js'), 'generate'], {
    cwd: root, encoding: 'utf8',
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: fileURLToPath(import.meta.url), PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
  });
  if (run.status !== 0) {
    rmSync(product, { force: true });
    throw new Error(`prisma generate failed:\n${run.stdout}${run.stderr}${run.error?.message ?? ''}`);
  }
  return true;
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  console.log(generatePrismaClient() ? 'made libs/state/generated' : 'libs/state/generated is fresh');
}
