/**
 * Compiles libs/policy/bundle/authz.rego to policy.wasm, the file that the embedded evaluator runs, and records what it was made of.
 *   node tools/build-policy.mjs           needs Go (tools/rego-compiler.sh)
 *   node tools/build-policy.mjs --check   needs nothing: fails when a recorded digest does not fit the files
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const at = (...parts) => join(root, 'libs/policy/bundle', ...parts);
const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
const source = readFileSync(at('authz.rego'));

if (process.argv.includes('--check')) {
  const wrong = existsSync(at('bundle.json')) && existsSync(at('policy.wasm')) ? faults(JSON.parse(readFileSync(at('bundle.json'), 'utf8'))) : ['libs/policy/bundle/policy.wasm or bundle.json is missing'];
  for (const line of wrong) console.error(`${line}: run node tools/build-policy.mjs`);
  if (wrong.length > 0) process.exitCode = 1;
  else console.log('libs/policy/bundle is made of its sources');
} else {
  const folder = execFileSync('bash', [join(root, 'tools/rego-compiler.sh')], { encoding: 'utf8' }).trim();
  const { loadRegoCompiler } = await import('../libs/policy/load-rego-compiler.mjs');
  const compiler = await loadRegoCompiler(folder);
  const built = compiler.ask({ op: 'build', modules: { 'authz.rego': source.toString('utf8') }, entrypoints: ['stoa/authz/decision', 'stoa/authz/administration'] });
  if (built.wasm === undefined) {
    for (const { file, line, message } of built.issues) console.error(`${file}:${line}: ${message}`);
    process.exit(1);
  }
  const wasm = Buffer.from(built.wasm, 'base64');
  writeFileSync(at('policy.wasm'), wasm);
  const opa = /opa (v\S+)/.exec(readFileSync(join(root, 'tools/rego-compiler/go.mod'), 'utf8'))[1];
  writeFileSync(at('bundle.json'), `${JSON.stringify({ entrypoints: ['stoa/authz/decision', 'stoa/authz/administration'], opa, source_sha256: digest(source), wasm_sha256: digest(wasm) }, null, 2)}\n`);
  console.log(`libs/policy/bundle/policy.wasm written, ${wasm.length} bytes`);
  process.exit(0);
}

function faults(record) {
  return [
    ...(record.source_sha256 === digest(source) ? [] : ['libs/policy/bundle/authz.rego was changed after policy.wasm was made']),
    ...(record.wasm_sha256 === digest(readFileSync(at('policy.wasm'))) ? [] : ['libs/policy/bundle/policy.wasm is not the file that was made']),
  ];
}
