// The load generator: raw sockets, requests built beforehand. Closed loop finds the most that a server answers; open loop sends at
// random times that do not wait for answers and counts latency from when a request was due, so that a stall is seen by all it delays.
import { connect, type Socket } from 'node:net';
import type * as Backend from './backend.ts';

export interface LoadOrder {
  readonly port: number;
  /** Whole HTTP requests, sent in turn. */
  readonly requests: readonly string[];
  readonly connections: number;
  readonly seconds: number;
  /** Requests per second; undefined: closed loop. */
  readonly rate?: number;
}
export interface LoadReport {
  readonly calls: number;
  readonly seconds: number;
  readonly failures: number;
  readonly firstFailure: string | undefined;
  readonly bytes: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const END = Buffer.from('\r\n\r\n');

class Connection {
  /** What has come of the next answer's head. */
  private rest: Buffer | undefined;
  /** Of the answer whose body is coming: its size, and how much is still to come. */
  private current = { size: 0, missing: 0, ok: true, text: '' };
  private readonly socket: Socket;
  private readonly listener: { done: (answer: Answer) => void };
  constructor(port: number, listener: { done: (answer: Answer) => void }) {
    this.listener = listener;
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('error', (error) => { listener.done({ ok: false, bytes: 0, text: error.message }); });
    this.socket.on('data', (chunk: Buffer) => { this.take(chunk); });
  }
  private take(chunk: Buffer): void {
    let data = chunk;
    while (data.length > 0) {
      const { current } = this;
      if (current.missing > 0) {
        const taken = Math.min(current.missing, data.length);
        if (!current.ok) current.text += data.toString('utf8', 0, Math.min(taken, 1000));
        current.missing -= taken;
        data = data.subarray(taken);
      } else {
        if (this.rest) data = Buffer.concat([this.rest, data]);
        this.rest = undefined;
        const end = data.indexOf(END);
        if (end < 0) { this.rest = data; return; }
        const head = data.toString('latin1', 0, end);
        const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
        if (length === undefined) { this.listener.done({ ok: false, bytes: 0, text: head }); return; }
        const ok = head.startsWith('HTTP/1.1 200');
        this.current = { size: end + 4 + Number(length), missing: Number(length), ok, text: ok ? '' : head };
        data = data.subarray(end + 4);
      }
      if (this.current.missing === 0) this.listener.done({ ok: this.current.ok, bytes: this.current.size, text: this.current.text });
    }
  }
  opened(): Promise<void> { return new Promise((resolve) => { this.socket.once('connect', () => { resolve(); }); this.socket.once('error', () => { resolve(); }); }); }
  send(request: Buffer): void { this.socket.write(request); }
  close(): void { this.socket.destroy(); }
}
interface Answer { readonly ok: boolean; readonly bytes: number; readonly text: string }

async function run(order: LoadOrder): Promise<LoadReport> {
  const requests = order.requests.map((text) => Buffer.from(text));
  const latencies: number[] = [];
  let next = 0; let failures = 0; let bytes = 0; let running = true;
  let firstFailure: string | undefined;
  const idle: number[] = [];
  const dueAt: number[] = [];
  /** Times of requests that found every connection busy. */
  const waiting: number[] = [];
  const start = (index: number, due: number): void => {
    dueAt[index] = due;
    connections[index]?.send(requests[next++ % requests.length] ?? Buffer.alloc(0));
  };
  const connections = Array.from({ length: order.connections }, (_, index) => new Connection(order.port, {
    done: (answer) => {
      if (!running) return;
      latencies.push(performance.now() - (dueAt[index] ?? 0));
      bytes += answer.bytes;
      if (!answer.ok) { failures += 1; firstFailure ??= answer.text; }
      if (order.rate === undefined) { start(index, performance.now()); return; }
      const due = waiting.shift();
      if (due === undefined) idle.push(index); else start(index, due);
    },
  }));
  await Promise.all(connections.map((connection) => connection.opened()));
  // A core that sleeps between two answers must be woken by the server under test, at its cost, and the more often the slower it is.
  const stayAwake = (): void => { if (running) setImmediate(stayAwake); };
  stayAwake();
  const began = performance.now();
  const until = began + order.seconds * 1000;
  if (order.rate === undefined) {
    connections.forEach((_, index) => { start(index, performance.now()); });
    await new Promise((resolve) => { setTimeout(resolve, order.seconds * 1000); });
  } else {
    idle.push(...connections.keys());
    const gap = 1000 / order.rate;
    let due = began;
    await new Promise<void>((resolve) => {
      const tick = (): void => {
        const now = performance.now();
        while (due <= now) {
          const free = idle.pop();
          if (free === undefined) waiting.push(due); else start(free, due);
          due += -Math.log(1 - Math.random()) * gap;
        }
        if (now >= until) resolve(); else setTimeout(tick, 1);
      };
      tick();
    });
  }
  running = false;
  const seconds = (performance.now() - began) / 1000;
  connections.forEach((connection) => { connection.close(); });
  // What was due and never answered is slow, not absent.
  const unanswered = waiting.map((due) => performance.now() - due);
  const sorted = Float64Array.from([...latencies, ...unanswered]).toSorted();
  const at = (quantile: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? 0;
  return { calls: latencies.length - failures, seconds, failures, firstFailure, bytes, p50Ms: at(0.5), p99Ms: at(0.99) };
}

process.on('message', (order: LoadOrder) => { void (async () => { process.send?.(await run(order)); })(); });
process.on('disconnect', () => { process.exit(); });
const { listening } = await import(new URL('./backend.ts', import.meta.url).href) as typeof Backend;
process.send?.({ port: await listening });
