import { randomBytes } from 'node:crypto';
import type { Exchange } from '#libs/core/call.js';
import { OutboundFailure } from '#libs/core/outbound.js';
import { type Caller, isObject, type JsonObject, type Reply } from '#libs/backends/mcp/rpc.js';

/** What the caller has to be asked before the call goes on; brought back with `requestState`. */
export interface Asked { readonly inputRequests: JsonObject; readonly requestState: string }
type Turn = { readonly reply: Reply } | { readonly failure: Error } | { readonly method: string; readonly params: JsonObject; readonly answer: (value: unknown) => void; readonly refuse: (failure: Error) => void };

interface Waiting {
  readonly answer: (value: unknown) => void;
  readonly refuse: (failure: Error) => void;
  readonly call: Running;
  readonly timer: NodeJS.Timeout;
}
/** `timeoutMs` counts while the server works, not while a person thinks. */
interface Running { readonly next: () => Promise<Turn>; readonly push: (turn: Turn) => void; readonly controller: AbortController; readonly timeoutMs: number }

/** How long a person may think, and calls that may wait for people. */
const PATIENCE_MS = 600_000;
const MAX_WAITING = 1_000;
const MOST_THOUGHT_MS = 3_600_000;
const NAME = 'input';

/**
 * Calls of servers with sessions that asked something in the middle, for callers of 2026-07-28, who are sent away with the question and come back with the answer. The
 * call itself stays open in this process meanwhile; in another replica the caller begins anew. Nobody but the caller can come back: the door seals `requestState` for
 * its principal and arguments.
 */
export class Suspended {
  /** How a state of ours begins. */
  static readonly MARK = 'stoa-suspended:';
  readonly #waiting = new Map<string, Waiting>();

  /** Begins a call with a caller that can be asked. Rejects as the call does. */
  async start(caller: Caller, exchange: Exchange, call: (caller: Caller) => Promise<Reply>): Promise<Reply | Asked> {
    const turns: Turn[] = [];
    let wake: (() => void) | undefined;
    const push = (turn: Turn): void => { turns.push(turn); wake?.(); };
    const next = async (): Promise<Turn> => {
      for (;;) {
        const turn = turns.shift();
        if (turn) return turn;
        await new Promise<void>((resolve) => { wake = resolve; });
      }
    };
    const controller = new AbortController();
    const asking: Caller = {
      ...caller, signal: controller.signal, timeoutMs: caller.timeoutMs + MOST_THOUGHT_MS,
      ask: (method, params) => new Promise((answer, refuse) => { push({ method, params, answer, refuse }); }),
    };
    void (async () => {
      try { push({ reply: await call(asking) }); } catch (failure) { push({ failure: failure instanceof Error ? failure : new Error(String(failure)) }); }
    })();
    return this.#take({ next, push, controller, timeoutMs: caller.timeoutMs }, exchange);
  }

  /** Goes on with what was suspended; undefined: nothing waits under that state any more. */
  async resume(state: string, exchange: Exchange): Promise<Reply | Asked | undefined> {
    const waiting = this.#waiting.get(state);
    if (!waiting) return undefined;
    this.#waiting.delete(state);
    clearTimeout(waiting.timer);
    const answer = exchange.inputResponses?.[NAME];
    if (isObject(answer)) waiting.answer(answer); else waiting.refuse(new Error('The caller came back without an answer.'));
    return this.#take(waiting.call, exchange);
  }

  async #take(call: Running, { signal }: Exchange): Promise<Reply | Asked> {
    const { next, push, controller, timeoutMs } = call;
    const stop = (failure: OutboundFailure): void => { push({ failure }); controller.abort(); };
    const aborted = (): void => { stop(new OutboundFailure('aborted', 'Cancelled')); };
    const deadline = setTimeout(() => { stop(new OutboundFailure('timeout', `No complete answer within ${timeoutMs} ms`)); }, timeoutMs);
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    const turn = await next();
    clearTimeout(deadline);
    signal.removeEventListener('abort', aborted);
    if ('failure' in turn) throw turn.failure;
    if ('reply' in turn) return turn.reply;
    if (this.#waiting.size >= MAX_WAITING) { controller.abort(); throw new OutboundFailure('unreachable', `${MAX_WAITING} calls wait for their callers' answers already`); }
    const { method, params, answer, refuse } = turn;
    const state = Suspended.MARK + randomBytes(18).toString('base64url');
    const timer = setTimeout(() => { this.#waiting.delete(state); controller.abort(); }, PATIENCE_MS);
    timer.unref();
    this.#waiting.set(state, { answer, refuse, call, timer });
    return { inputRequests: { [NAME]: { method, params } }, requestState: state };
  }
}
