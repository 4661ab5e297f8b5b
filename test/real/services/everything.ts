import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

/** The MCP project's everything server as its package has it. */
export const EVERYTHING = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
/** It listens on every address at a port of its own choice; loopback and a free port are chosen for it, from without. */
const LOOPBACK = `import net from 'node:net';
const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (...given) {
  this.once('listening', () => { console.log('port ' + this.address().port); });
  return listen.call(this, 0, '127.0.0.1', ...given.filter((one) => typeof one === 'function'));
};`;

export interface Everything { readonly url: string; stop(): Promise<void> }

export async function startEverything(transport: 'streamableHttp' | 'sse'): Promise<Everything> {
  const child = spawn(process.execPath, ['--import', `data:text/javascript,${encodeURIComponent(LOOPBACK)}`, EVERYTHING, transport], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => { complaint += chunk.toString(); });
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => { if (line.startsWith('port ')) resolve(Number(line.slice(5))); });
    child.once('error', reject);
    child.once('exit', (code) => { reject(new Error(`the everything server ended with ${code}: ${complaint}`)); });
  });
  return {
    url: `http://127.0.0.1:${port}/${transport === 'sse' ? 'sse' : 'mcp'}`,
    stop: () => new Promise((resolve) => { child.once('exit', () => { resolve(); }); child.kill('SIGKILL'); }),
  };
}
