// Makes a checkout ready to run: packages installed, database client generated, sources built. Does only what is stale.
// Runs on the host's Node (20 or later) with no dependency, because it is what installs them.
//   node tools/ensure.mjs [--no-build]
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => join(root, ...parts);

/** Thrown with a message fit to be the only line that is shown. */
export class CannotPrepare extends Error {}

/** The Node that the product runs on: the pinned one of the lockfile, else this one where it is new enough. */
export function productNode() {
  const platform = { linux: 'linux', win32: 'win' }[process.platform];
  const pinned = at('node_modules', `node-${platform}-${process.arch}`, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (platform && existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  throw new CannotPrepare(`No Node 24 package exists for ${process.platform}-${process.arch} and this is Node ${process.versions.node}: install Node 24 and try again.`);
}

/** @param {{ build?: boolean, say?: (line: string) => void }} options */
export function ensure({ build = true, say = (line) => console.error(line) } = {}) {
  if (Number(process.versions.node.split('.')[0]) < 20) throw new CannotPrepare(`Node 20 or later is needed, this is ${process.versions.node}.`);
  const unlock = lock(say);
  try {
    if (!installed()) install(say);
    generateClient(say);
    if (build) buildSources(say);
  } finally {
    unlock();
  }
}

// One at a time: `npx stoa` in a second terminal must not run code that `npm start` is still building.
function lock(say) {
  const file = at('dist', '.ensure.lock');
  mkdirSync(dirname(file), { recursive: true });
  for (let waited = 0; waited < 600; waited++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw new CannotPrepare(`Cannot write ${file}: ${error.message}. Make the checkout writable.`);
      if (!alive(Number(readIfThere(file)))) { rmSync(file, { force: true }); continue; }
      if (waited === 0) say('stoa: waiting for another build of this checkout');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    }
  }
  throw new CannotPrepare(`Another build has held ${file} for five minutes. Stop it, or delete the file.`);
}
function alive(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try { process.kill(pid, 0); return true; } catch (error) { return error.code === 'EPERM'; }
}

/** Whether node_modules holds what the lockfile says; packages for other platforms may be absent. */
function installed() {
  const have = readIfThere(at('node_modules', '.package-lock.json'));
  if (have === undefined) return false;
  const actual = JSON.parse(have).packages ?? {};
  const wanted = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages ?? {};
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) return true;
    const found = actual[path];
    if (found === undefined) return entry.optional === true || entry.devOptional === true || entry.peer === true;
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function install(say) {
  say('stoa: installing packages (once, npm ci)');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if (npm?.endsWith('.js')) run(process.execPath, [npm, ...args], 'npm ci');
  else run('npm', args, 'npm ci', process.platform === 'win32');
}

function generateClient(say) {
  const tool = at('tools', 'generate-prisma-client.mjs');
  const schema = at('prisma', 'schema.prisma');
  if (!existsSync(tool) || !existsSync(schema)) return;
  const folder = at('libs', 'state', 'generated');
  const stamp = join(folder, '.stamp');
  const wanted = digest([schema, tool, at('node_modules', 'prisma', 'package.json')]);
  if (readIfThere(stamp) === wanted) return;
  say('stoa: generating the database client');
  run(productNode(), [tool], 'generating the database client');
  mkdirSync(folder, { recursive: true });
  writeFileSync(stamp, wanted);
}

function buildSources(say) {
  const sources = [...filesBelow(at('apps')), ...filesBelow(at('libs')), ...filesBelow(at('prisma'))].filter((file) => !/\.(test|type-test|contract)\.ts$/.test(file));
  const stamp = at('dist', '.stamp');
  const wanted = digest([...sources, at('tsconfig.json'), at('tsconfig.build.json'), at('package.json'), at('package-lock.json')]);
  if (readIfThere(stamp) === wanted) return;
  say('stoa: building');
  rmSync(stamp, { force: true });
  removeOrphans(new Set(sources.map((file) => relative(root, file))));
  run(productNode(), [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', at('tsconfig.build.json')], 'the build');
  for (const file of sources) if (!file.endsWith('.ts')) cpSync(file, at('dist', relative(root, file)));
  writeFileSync(stamp, wanted);
}

/** What was built from a source that is gone must not be importable; nor may the compiler believe that it is still there. */
function removeOrphans(sources) {
  for (const top of ['apps', 'libs']) {
    for (const file of filesBelow(at('dist', top))) {
      const built = relative(at('dist'), file);
      const source = built.replace(/\.js(\.map)?$/, '.ts');
      if (!sources.has(source) && !sources.has(built)) rmSync(file);
    }
  }
  // The incremental state says "already emitted" of files that someone deleted from dist.
  const missing = [...sources].some((source) => source.endsWith('.ts') && !source.endsWith('.d.ts') && !existsSync(at('dist', source.replace(/\.ts$/, '.js'))));
  if (missing) rmSync(at('dist', '.tsbuildinfo'), { force: true });
}

function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !`${entry.parentPath ?? entry.path}${sep}`.includes(`${sep}node_modules${sep}`))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .toSorted();
}
function digest(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${relative(root, file)}\0`).update(readIfThere(file) ?? '').update('\0');
  return hash.digest('hex');
}
function readIfThere(file) {
  try { return readFileSync(file, 'utf8'); } catch { return undefined; }
}

/** Quiet when it works; on failure its whole output, then one line. */
function run(command, args, what, shell = false) {
  const done = spawnSync(command, args, { cwd: root, encoding: 'utf8', shell, maxBuffer: 64 * 1024 * 1024 });
  if (done.error) throw new CannotPrepare(`Cannot run ${command}: ${done.error.message}`);
  if (done.status === 0) return;
  process.stderr.write(`${done.stdout}${done.stderr}`);
  throw new CannotPrepare(`stoa: ${what} failed (${done.signal ?? `exit ${done.status}`}); the lines above say why.`);
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  try {
    ensure({ build: !process.argv.includes('--no-build') });
  } catch (error) {
    if (!(error instanceof CannotPrepare)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}
