// `npm start`: make the checkout ready, then run the whole product in one process on the pinned Node.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CannotPrepare, ensure, productNode, root } from './ensure.mjs';

let node;
try {
  ensure();
  node = productNode();
} catch (error) {
  if (!(error instanceof CannotPrepare)) throw error;
  console.error(error.message);
  process.exit(1);
}

// Memory (docs/adr/0009): a small young generation; and the embedded database's code compiled once and quickly, because the optimizing
// compiler takes 600 MiB for one function of it.
const flags = ['--max-semi-space-size=8', '--liftoff-only', '--enable-source-maps'];
const child = spawn(node, [...flags, join(root, 'dist/apps/standalone/src/main.js'), ...process.argv.slice(2)], {
  // The extra channel closes when this process dies, however it dies: the product then stops too and frees its port and folder.
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => { console.error(`Cannot run ${node}: ${error.message}`); process.exit(1); });
child.on('exit', (code, signal) => process.exit(code ?? 128 + ({ SIGKILL: 9, SIGTERM: 15, SIGINT: 2, SIGHUP: 1, SIGABRT: 6, SIGSEGV: 11 }[signal] ?? 0)));

// The same for npm's own death: it leaves its shell, and the shell leaves us.
if (process.env.npm_lifecycle_event) {
  const first = ancestors();
  setInterval(() => { if (ancestors() !== first) child.kill('SIGTERM'); }, 1000).unref();
}
function ancestors() {
  let grandparent;
  try { grandparent = readFileSync(`/proc/${process.ppid}/stat`, 'utf8').replace(/^.*\) \S /s, '').split(' ', 1)[0]; } catch { /* no /proc: the parent alone */ }
  return `${process.ppid} ${grandparent}`;
}
