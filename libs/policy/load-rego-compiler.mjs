import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';

/**
 * OPA's Go library as WebAssembly, from the folder that tools/rego-compiler.sh prints. Calls are synchronous and the module takes
 * about 300 MB while it is loaded: in a serving process only inside a worker thread that ends afterwards. Installs a global of its own.
 * @param {string} folder
 * @returns {Promise<{ ask: (request: object) => any }>}
 */
export async function loadRegoCompiler(folder) {
  await import(pathToFileURL(join(folder, 'wasm_exec.js')).href);
  const go = new globalThis.Go();
  const { instance } = await WebAssembly.instantiate(gunzipSync(readFileSync(join(folder, 'rego-compiler.wasm.gz'))), go.importObject);
  void go.run(instance);
  while (globalThis.stoaRegoCompiler === undefined) await new Promise((resolve) => { setTimeout(resolve, 1); });
  return { ask: (request) => JSON.parse(globalThis.stoaRegoCompiler(JSON.stringify(request))) };
}
