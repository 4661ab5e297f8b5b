import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildInfo } from './parts.js';

/**
 * What was built: the package's version, the commit (`STOA_COMMIT`, else that of the working copy, else `unknown`), and when
 * (`STOA_BUILT_AT`, else the time of this file, which the build writes).
 */
export function readBuildInfo(env: Readonly<Record<string, string | undefined>>): BuildInfo {
  const file = fileURLToPath(import.meta.url);
  const root = packageRoot(dirname(file));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { version, commit: env['STOA_COMMIT'] ?? headCommit(root) ?? 'unknown', builtAt: env['STOA_BUILT_AT'] ?? statSync(file).mtime.toISOString() };
}

function packageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) || folder === dirname(folder)) return folder;
  }
}

function headCommit(root: string): string | undefined {
  try {
    const head = readFileSync(join(root, '.git', 'HEAD'), 'utf8').trim();
    const commit = head.startsWith('ref: ') ? readFileSync(join(root, '.git', head.slice(5)), 'utf8').trim() : head;
    return /^[0-9a-f]{40,64}$/.test(commit) ? commit : undefined;
  } catch { return undefined; }
}
