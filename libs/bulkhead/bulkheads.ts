import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { Backend, Reading } from '#libs/core/ports.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { Circuit, type CircuitOptions, type CircuitState } from './circuit.js';

export interface BulkheadOptions extends CircuitOptions {
  /** Calls that run at the same time in one backend of one tenant. */
  readonly concurrency: number;
  /** Calls of it that may wait for a place. */
  readonly queue: number;
  /** Longest wait for a place, in milliseconds; it counts as time of the call. */
  readonly queueMs: number;
  /** Milliseconds, monotonic. Default `performance.now`. */
  readonly now?: () => number;
}
export const DEFAULT_BULKHEADS: BulkheadOptions = { concurrency: 100, queue: 200, queueMs: 2000, failures: 10, restMs: 5000 };

/** How one backend of one tenant is doing. */
export interface BackendState { readonly tenant: TenantSlug | undefined; readonly api: string; readonly state: CircuitState; readonly running: number; readonly waiting: number }

/** Backends that are remembered; idle and healthy ones beyond it are forgotten. */
const MAX_CELLS = 10_000;

interface Waiting { readonly start: () => void; readonly abort: () => void }
interface Cell { readonly tenant: TenantSlug | undefined; readonly api: string; readonly circuit: Circuit; readonly queue: Set<Waiting>; running: number }

/**
 * Keeps one sick backend from harming the others: each backend of each tenant has places of its own, a short queue before them and a circuit breaker. What
 * finds no place, and what a resting backend is asked, is refused at once.
 */
export class Bulkheads {
  readonly #cells = new Map<string, Cell>();
  readonly #byTarget = new WeakMap<Target, Cell>();
  readonly #now: () => number;
  #refusedResting = 0;
  #refusedFull = 0;
  constructor(private readonly options: BulkheadOptions) { this.#now = options.now ?? (() => performance.now()); }

  around(backend: Backend): Backend {
    return { invoke: (call) => this.#invoke(backend, call) };
  }

  /** Of the backends that were asked, those of `tenant` where one is given. */
  states(tenant?: TenantSlug): readonly BackendState[] {
    return [...this.#cells.values()].filter((cell) => tenant === undefined || cell.tenant === tenant)
      .map(({ circuit: { state }, queue, running, tenant: of, api }) => ({ tenant: of, api, state, running, waiting: queue.size }));
  }

  /** For whoever scrapes them. */
  readonly readings: readonly Reading[] = [
    { name: 'backend_circuits_open', help: 'Backends of tenants that are left alone for a while since they kept failing.', type: 'gauge', read: () => this.#count(({ circuit }) => (circuit.state === 'closed' ? 0 : 1)) },
    { name: 'backend_calls_running', help: 'Calls that backends are working on.', type: 'gauge', read: () => this.#count(({ running }) => running) },
    { name: 'backend_calls_waiting', help: 'Calls that wait for a place at their backend.', type: 'gauge', read: () => this.#count(({ queue }) => queue.size) },
    { name: 'backend_calls_refused_resting_total', help: 'Calls refused since their backend is left alone.', type: 'counter', read: () => this.#refusedResting },
    { name: 'backend_calls_refused_full_total', help: 'Calls refused since their backend had no place in time.', type: 'counter', read: () => this.#refusedFull },
  ];

  #count(of: (cell: Cell) => number): number {
    let sum = 0;
    for (const cell of this.#cells.values()) sum += of(cell);
    return sum;
  }

  #invoke(backend: Backend, call: ValidatedCall): ReturnType<Backend['invoke']> {
    const cell = this.#byTarget.get(call.target) ?? this.#cellOf(call);
    if (cell.running < this.options.concurrency) return this.#run(backend, call, cell);
    if (cell.circuit.state !== 'closed') return Promise.resolve(this.#resting(cell, this.options.restMs));
    if (cell.queue.size >= this.options.queue) return Promise.resolve(this.#full(cell));
    return this.#wait(backend, call, cell);
  }

  #run(backend: Backend, call: ValidatedCall, cell: Cell): ReturnType<Backend['invoke']> {
    const before = cell.circuit.state;
    const restsMs = cell.circuit.refusal();
    if (restsMs !== undefined) return Promise.resolve(this.#resting(cell, restsMs));
    const probe = before !== 'closed';
    cell.running += 1;
    return backend.invoke(call).then((answer) => { this.#ended(cell, healthOf(answer), probe); return answer; }, (failure: unknown) => { this.#ended(cell, 'neutral', probe); throw failure; });
  }

  #ended(cell: Cell, how: ReturnType<typeof healthOf>, probe: boolean): void {
    cell.running -= 1;
    cell.circuit.ended(how, probe);
    const [next] = cell.queue;
    next?.start();
  }

  #wait(backend: Backend, call: ValidatedCall, cell: Cell): Promise<BackendAnswer | Denial> {
    const since = this.#now();
    const stop = call.exchange.cancellation ?? call.exchange.signal;
    return new Promise((resolve, reject) => {
      const leave = (): void => { cell.queue.delete(waiting); clearTimeout(timer); stop.removeEventListener('abort', waiting.abort); };
      const waiting: Waiting = {
        start: () => {
          leave();
          const timeoutMs = Math.max(1, Math.ceil(call.target.timeoutMs - (this.#now() - since)));
          this.#run(backend, { ...call, target: { ...call.target, timeoutMs } }, cell).then(resolve, reject);
        },
        abort: () => { leave(); resolve(new Denial({ code: 'CANCELLED', message: 'The call was cancelled.' })); },
      };
      const timer = setTimeout(() => { leave(); resolve(this.#full(cell)); }, Math.min(this.options.queueMs, call.target.timeoutMs));
      cell.queue.add(waiting);
      stop.addEventListener('abort', waiting.abort);
      if (stop.aborted) waiting.abort();
    });
  }

  #resting({ api }: Cell, restsMs: number): Denial {
    this.#refusedResting += 1;
    return new Denial({ code: 'UNAVAILABLE', message: `The backend ${api} keeps failing and is left alone for a moment; try again in ${seconds(restsMs)} s.`, retryAfterSeconds: seconds(restsMs), reason: 'circuit open' });
  }
  #full({ api }: Cell): Denial {
    this.#refusedFull += 1;
    return new Denial({ code: 'RATE_LIMITED', message: `The backend ${api} is busy with as many calls as it may have; try again in a second.`, retryAfterSeconds: 1, reason: 'bulkhead full' });
  }

  #cellOf({ target, api }: ValidatedCall): Cell {
    const name = api?.name ?? target.backend.kind;
    const key = JSON.stringify([target.tenant, target.apiId ?? target.name]);
    let cell = this.#cells.get(key);
    if (cell === undefined) {
      if (this.#cells.size >= MAX_CELLS) for (const [old, { running, circuit }] of this.#cells) if (running === 0 && circuit.state === 'closed') this.#cells.delete(old);
      this.#cells.set(key, cell = { tenant: target.tenant, api: name, circuit: new Circuit(this.options, this.#now), queue: new Set(), running: 0 });
    }
    this.#byTarget.set(target, cell);
    return cell;
  }
}

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1000));

/** What the end of a call tells of its backend. A backend that refuses, and a caller's mistake, are no illness. */
function healthOf(answer: BackendAnswer | Denial): 'well' | 'ill' | 'neutral' {
  if (answer instanceof Denial) return 'neutral';
  if (answer.outcome === 'success') return 'well';
  const { result } = answer;
  if (answer.outcome === 'timeout') return 'ill';
  if (result.type !== 'tool') return 'well';
  const code = result.meta?.['error_code'];
  if (code === 'BACKEND_UNREACHABLE') return 'ill';
  // Refused by our own egress, or before it was asked: nothing is known of it.
  if (code === 'EGRESS_REFUSED') return 'neutral';
  return (result.backendStatus ?? 0) >= 500 ? 'ill' : 'well';
}
