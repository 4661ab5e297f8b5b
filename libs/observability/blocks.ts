import { type DestinationStream, pino } from 'pino';

/** Characters that are written at a time. */
const BLOCK = 65_536;
/** A line waits at most this long, in milliseconds. */
const LONGEST_WAIT = 100;

/** Lines to a file descriptor, in blocks and off the main thread: to hand each line over alone costs more than to make it. */
export interface Blocks extends DestinationStream {
  /** Writes out what waits, before it returns. */
  flushSync(): void;
}

const open = new Set<Blocks>();
process.on('exit', () => { for (const blocks of open) blocks.flushSync(); });

/** What waits is written when a block is full, after 100 ms, and at exit; what a kill leaves no time for is lost. */
export function blocksTo(fd: number): Blocks {
  const sink = pino.destination({ dest: fd, sync: false, minLength: 0, maxWrite: 2 * BLOCK });
  let lines: string[] = [];
  let length = 0;
  let timer: NodeJS.Timeout | undefined;
  const handOver = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (length === 0) return;
    const block = lines.join('');
    lines = [];
    length = 0;
    sink.write(block);
  };
  const blocks: Blocks = {
    write(line) {
      lines.push(line);
      length += line.length;
      if (length >= BLOCK) handOver();
      else timer ??= setTimeout(handOver, LONGEST_WAIT).unref();
    },
    flushSync() { handOver(); sink.flushSync(); },
  };
  open.add(blocks);
  return blocks;
}
