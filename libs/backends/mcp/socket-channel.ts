import { connect } from 'node:net';
import { OutboundFailure } from '#libs/core/outbound.js';
import type { Channel, ChannelEvents } from '#libs/backends/mcp/channel-upstream.js';
import { Lines } from '#libs/backends/mcp/lines.js';

/** Messages that may wait for a server that does not read. */
const MAX_WAITING = 16 * 1024 * 1024;

/** An MCP server on a Unix socket: a message a line, as on stdio. */
export function openSocket(path: string, maxBytes: number, events: ChannelEvents): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const lines = new Lines(maxBytes);
    const over = Promise.withResolvers<undefined>();
    let why: Error | undefined;
    socket.once('connect', () => {
      resolve({
        send: (message) => {
          if (socket.destroyed) return;
          if (socket.writableLength > MAX_WAITING) socket.destroy(new OutboundFailure('unreachable', 'The MCP server does not read what it is sent'));
          else socket.write(`${message}\n`);
        },
        close: () => { socket.destroy(); return over.promise; },
      });
    });
    socket.on('data', (chunk) => {
      try { for (const line of lines.push(chunk)) events.message(line); } catch (failure) { socket.destroy(failure as Error); }
    });
    socket.on('error', (failure) => { why = failure instanceof OutboundFailure ? failure : new OutboundFailure('unreachable', `The MCP server's socket cannot be used (${(failure as NodeJS.ErrnoException).code ?? 'unknown reason'})`, { cause: failure }); });
    socket.once('end', () => { socket.destroy(); });
    socket.once('close', () => {
      const reason = why ?? new OutboundFailure('unreachable', 'The MCP server closed its socket');
      reject(reason);
      over.resolve(undefined);
      events.closed(reason);
    });
  });
}
