// The reference: what a proxy from tools/call to REST costs when it does nothing else. node:http, JSON.parse, undici, JSON.stringify.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

interface Call { readonly id: number; readonly params: { readonly arguments: { readonly petId: number } } }

const backend = new Pool(`http://127.0.0.1:${process.argv[2]}`, { connections: 128, pipelining: 1 });
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => { chunks.push(chunk); });
  request.on('end', () => {
    void (async () => {
      const call = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Call;
      const answer = await backend.request({ path: `/pets/${call.params.arguments.petId}`, method: 'GET', headers: { accept: 'application/json' } });
      const text = await answer.body.text();
      const body = JSON.stringify({
        jsonrpc: '2.0', id: call.id,
        result: { resultType: 'complete', content: [{ type: 'text', text }], structuredContent: JSON.parse(text) as unknown, isError: false },
      });
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
      response.end(body);
    })();
  });
});
server.listen(0, '127.0.0.1', () => { process.send?.({ port: (server.address() as AddressInfo).port }); });
process.on('message', () => { process.send?.({ cpu: process.cpuUsage(), rss: process.memoryUsage().rss }); });
process.on('disconnect', () => { process.exit(); });
