// `npm run mutations [NAME…]`: each patch of test/mutations removes one safeguard; the test that it names must turn red. Works on a copy of the last commit.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'test/mutations');
const wanted = process.argv.slice(2);
const patches = readdirSync(folder).filter((name) => name.endsWith('.patch') && (wanted.length === 0 || wanted.some((one) => name.includes(one))));
const copy = mkdtempSync(join(tmpdir(), 'stoa-mutations-'));
const git = (...args) => execFileSync('git', args, { cwd: copy, stdio: ['ignore', 'ignore', 'inherit'] });
const run = (tests) => spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--bail', '1', ...tests], { cwd: copy, encoding: 'utf8', timeout: 300_000, env: { ...process.env, NO_COLOR: '1' } });
let survived = 0;
try {
  execFileSync('git', ['clone', '--quiet', '--shared', root, copy]);
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  // The database's client is made, not kept.
  if (existsSync(join(root, 'libs/state/generated'))) symlinkSync(join(root, 'libs/state/generated'), join(copy, 'libs/state/generated'));
  const named = new Set();
  for (const patch of patches) {
    const path = join(folder, patch);
    const tests = /^test: (.+)$/m.exec(readFileSync(path, 'utf8'))?.[1]?.split(' ');
    if (!tests) throw new Error(`${patch} names no test: give it a line "test: path"`);
    for (const test of tests) named.add(test);
    git('apply', '--whitespace=nowarn', path);
    const { status, stdout, stderr } = run(tests);
    git('checkout', '--quiet', '--', '.');
    const first = /FAIL.*? > (.*)/.exec(stdout + stderr)?.[1];
    // Red means that a test failed, not that nothing ran.
    const red = status !== 0 && first !== undefined;
    if (!red) survived += 1;
    console.log(`${red ? 'red  ' : 'GREEN'} ${patch.replace('.patch', '')}${red ? `: ${first}` : ''}`);
  }
  if (named.size > 0 && run([...named]).status !== 0) throw new Error('the tests fail without any patch: nothing is proved');
} finally { rmSync(copy, { recursive: true, force: true }); }
console.log(`${patches.length - survived} of ${patches.length} safeguards are held by a test`);
process.exit(survived === 0 && patches.length > 0 ? 0 : 1);
