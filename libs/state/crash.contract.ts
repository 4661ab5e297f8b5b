import { writeSync } from 'node:fs';
import { databaseControlStore } from './control-store.js';
import { openDatabase } from './database.js';
import { draftOf, petTool } from './pet-draft.contract.js';

// A process of its own, for crash.test.ts to kill: publishes without end and says on standard output what was acknowledged.
// Publication `n` has the tools `counter`, described as `n`, and twenty more with the description `n`.
const [folder = '', first = '1'] = process.argv.slice(2);
const store = databaseControlStore(await openDatabase({ directory: folder }));
for (let n = Number(first); ; n += 1) {
  const tools = [petTool('counter', { description: String(n) }), ...Array.from({ length: 20 }, (_, index) => petTool(`tool${index}`, { description: String(n) }))];
  await store.putApi('acme' as never, draftOf({ tools, bytes: new TextEncoder().encode(String(n)) }));
  writeSync(1, `${n}\n`);
}
