import { OutboundFailure } from '#libs/core/outbound.js';

/** Cuts bytes into lines as they come; holds at most one line of at most `maxBytes`. */
export class Lines {
  readonly #held: Buffer[] = [];
  #bytes = 0;
  constructor(private readonly maxBytes: number) {}

  /** The lines that are whole now, without their ends. Throws `OutboundFailure` (`too-large`). */
  push(chunk: Uint8Array): string[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const lines: string[] = [];
    let from = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      this.#hold(bytes.subarray(from, end));
      lines.push(this.#take());
      from = end + 1;
    }
    if (from < bytes.length) this.#hold(bytes.subarray(from));
    return lines;
  }

  /** What stands after the last line end. */
  rest(): string { return this.#take(); }

  #hold(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.maxBytes) {
      this.#held.length = 0;
      throw new OutboundFailure('too-large', `The MCP server sent a line of more than ${this.maxBytes} bytes`);
    }
    this.#held.push(part);
  }

  #take(): string {
    const [only] = this.#held;
    const line = this.#held.length === 1 && only ? only.toString('utf8') : Buffer.concat(this.#held, this.#bytes).toString('utf8');
    this.#held.length = 0;
    this.#bytes = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  }
}

export interface ServerSentEvent { readonly event: string; readonly data: string }

/**
 * The events of a stream (HTML §9.2.6), in order. Lines end with LF or CRLF, as every MCP server sends them. Throws `OutboundFailure` for an event of more than
 * `maxBytes`, and whatever the stream fails with.
 */
export async function* serverSentEvents(body: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<ServerSentEvent, undefined> {
  const lines = new Lines(maxBytes);
  let event = 'message';
  let data: string[] = [];
  let size = 0;
  for await (const chunk of body) {
    for (const line of lines.push(chunk)) {
      if (line === '') {
        if (data.length > 0) yield { event, data: data.join('\n') };
        [event, data, size] = ['message', [], 0];
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
      if (field === 'event') event = value;
      else if (field === 'data') {
        data.push(value);
        if ((size += value.length) > maxBytes) throw new OutboundFailure('too-large', `The MCP server sent an event of more than ${maxBytes} bytes`);
      }
    }
  }
  return undefined;
}
