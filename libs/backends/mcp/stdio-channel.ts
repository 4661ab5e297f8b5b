import { spawn } from 'node:child_process';
import { OutboundFailure } from '#libs/core/outbound.js';
import type { Channel, ChannelEvents } from '#libs/backends/mcp/channel-upstream.js';
import { Lines } from '#libs/backends/mcp/lines.js';
import type { StdioServer } from '#libs/backends/mcp/operator-list.js';

/** Where programs are found, unless an entry says otherwise; as POSIX systems have it, whatever this process was started with. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** How long a process has to go by itself once its input ended, and once it was asked to. */
const GRACE_MS = 1_000;
/** Bytes of what it says of itself that are kept for a person to read. */
const STDERR_KEPT = 2_048;
/** Messages that may wait for a process that does not read. */
const MAX_WAITING = 16 * 1024 * 1024;

/**
 * An MCP server as a process of its own group (MCP, stdio): no shell, its arguments as they stand in the operator's list, and an environment of nothing but that
 * list's and PATH. It dies with its whole group.
 */
export function openProcess({ command, args, env, cwd }: StdioServer, maxBytes: number, events: ChannelEvents): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      shell: false, detached: true, stdio: ['pipe', 'pipe', 'pipe'], env: { PATH, ...env }, ...(cwd === undefined ? {} : { cwd }),
    });
    const lines = new Lines(maxBytes);
    let said = '';
    let why: Error | undefined;
    let gone = false;
    const over = Promise.withResolvers<undefined>();

    const signalGroup = (signal: NodeJS.Signals): void => {
      if (child.pid === undefined) return;
      // The group may outlive its leader: whoever is left of it goes too.
      try { process.kill(-child.pid, signal); } catch { /* nobody is left */ }
    };
    const end = (reason: Error): void => {
      if (gone) return;
      gone = true;
      signalGroup('SIGKILL');
      over.resolve(undefined);
      events.closed(why ?? reason);
    };
    const cutOff = (reason: Error): void => { why ??= reason; signalGroup('SIGKILL'); };

    child.once('error', (failure: NodeJS.ErrnoException) => {
      const reason = new OutboundFailure('unreachable', `The MCP server's process cannot be started (${failure.code ?? 'unknown reason'})`, { cause: failure });
      reject(reason);
      end(reason);
    });
    child.once('spawn', () => {
      resolve({
        send: (message) => {
          if (gone || child.stdin.destroyed) return;
          if (child.stdin.writableLength > MAX_WAITING) { cutOff(new OutboundFailure('unreachable', 'The MCP server\'s process does not read what it is sent')); return; }
          child.stdin.write(`${message}\n`);
        },
        close: async () => {
          if (gone) return over.promise;
          child.stdin.end();
          const asked = setTimeout(() => { signalGroup('SIGTERM'); }, GRACE_MS);
          const forced = setTimeout(() => { signalGroup('SIGKILL'); }, 2 * GRACE_MS);
          await over.promise;
          clearTimeout(asked);
          clearTimeout(forced);
          return undefined;
        },
      });
    });
    child.stdin.on('error', () => { /* its exit tells */ });
    child.stdout.on('data', (chunk: Buffer) => {
      try { for (const line of lines.push(chunk)) events.message(line); } catch (failure) { cutOff(failure as Error); }
    });
    child.stdout.on('error', () => { /* its exit tells */ });
    child.stderr.on('data', (chunk: Buffer) => { said = (said + chunk.toString('utf8')).slice(-STDERR_KEPT); });
    child.stderr.on('error', () => { /* nobody needs it */ });
    // `exit`, not `close`: a grandchild that holds the pipes open must not hold this up.
    child.once('exit', (code, signal) => {
      const last = said.trim().split('\n').at(-1)?.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 200) ?? '';
      end(new OutboundFailure('unreachable', `The MCP server's process ended (${signal ?? `exit code ${code ?? 'unknown'}`})${last === '' ? '' : `, last words: ${last}`}`));
    });
  });
}
