// `npm run proof [NAME…]`: the long form of the proofs of billing and reliability, with their figures. The short forms are in `npm test` and `npm run test:real`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const run = (title, args, env = {}) => {
  console.log(`\n== ${title}`);
  const began = Date.now();
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...args], { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  console.log(`${title}: ${status === 0 ? 'holds' : 'DOES NOT HOLD'} (${Math.round((Date.now() - began) / 1000)} s)`);
  return status === 0;
};
const real = ['--config', 'vitest.real.config.ts'];
const PROOFS = {
  'reliability': () => run('REL-01, 02, 03, 13, BILL-01, BILL-12: 50,000 calls, 8 kills, a broker away for 45 s, Postgres for 10 s, a full disk', [...real, 'test/proof/reliability.proof.ts'], { STOA_PROOF: 'long' }),
  'kill': () => run('BILL-01: 20 kills of a metered gateway at random moments', [...real, 'test/real/metering-kill.test.ts'], { KILLS: '20', CALLS_EACH: '2500' }),
  'kafka': () => run('BILL-04, 12: the topic up to five times, brokers killed under load', [...real, 'test/real/metering.test.ts', 'test/real/ledger-kafka.test.ts', 'test/real/ledger.test.ts']),
  'oracle': () => run('BILL-06: a million random events against fractions of bigints', ['libs/ledger/rate.test.ts'], { STOA_PROOF_EVENTS: '1000000' }),
  'unit': () => run('BILL-02, 03, 05, 07 to 11, 13, REL-14: torn writes, full disks, re-rating, who pays, caps, clocks', ['libs/metering', 'libs/ledger', 'test/billing']),
  'mutations': () => { console.log('\n== BILL-15: each safeguard removed turns a test red'); return spawnSync(process.execPath, [join(root, 'tools/mutations.mjs')], { cwd: root, stdio: 'inherit' }).status === 0; },
};
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(PROOFS, name));
if (unknown.length > 0) { console.error(`There is no proof ${unknown.join(', ')}: ${Object.keys(PROOFS).join(', ')}`); process.exit(2); }
const failed = Object.entries(PROOFS).filter(([name, prove]) => (wanted.length === 0 || wanted.includes(name)) && !prove()).map(([name]) => name);
console.log(failed.length === 0 ? '\nAll proofs hold.' : `\nNot proved: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
