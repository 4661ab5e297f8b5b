// The REST backend of the benchmark: one fixed JSON answer per GET, as cheap as a socket allows, so that it never is the bottleneck. It lives in
// the process of the load.
import { createServer, type AddressInfo } from 'node:net';

const body = '{"id":7,"name":"Rex","status":"available","tags":["calm","large"],"ok":1}';
const answer = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
const END = Buffer.from('\r\n\r\n');

const server = createServer((socket) => {
  socket.setNoDelay(true);
  let rest: Buffer | undefined;
  socket.on('error', () => { socket.destroy(); });
  socket.on('data', (chunk: Buffer) => {
    // GET has no body: each blank line ends one request.
    let data = rest ? Buffer.concat([rest, chunk]) : chunk;
    for (let end = data.indexOf(END); end >= 0; end = data.indexOf(END)) {
      socket.write(answer);
      data = data.subarray(end + 4);
    }
    rest = data.length > 0 ? data : undefined;
  });
});
/** Answers the port. */
export const listening = new Promise<number>((resolve) => { server.listen(0, '127.0.0.1', () => { resolve((server.address() as AddressInfo).port); }); });
