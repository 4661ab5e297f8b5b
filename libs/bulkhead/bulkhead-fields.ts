import { z } from 'zod';
import { type BulkheadOptions, DEFAULT_BULKHEADS } from './bulkheads.js';

const count = (min: number, max: number) => z.coerce.number().int().min(min).max(max);

/** What keeps one sick backend from harming the others, in every process that calls backends. */
export const bulkheadFields = {
  backendConcurrency: count(1, 100_000).default(DEFAULT_BULKHEADS.concurrency).meta({ env: 'BACKEND_CONCURRENCY', description: 'Calls that run at the same time in one API of one tenant.' }),
  backendQueue: count(0, 100_000).default(DEFAULT_BULKHEADS.queue).meta({ env: 'BACKEND_QUEUE', description: 'Calls of it that may wait for a place; more are answered 429.' }),
  backendQueueMs: count(0, 300_000).default(DEFAULT_BULKHEADS.queueMs).meta({ env: 'BACKEND_QUEUE_MS', description: 'Longest wait for a place, in milliseconds. It counts towards the tool\'s timeout.' }),
  backendBreakerFailures: count(0, 100_000).default(DEFAULT_BULKHEADS.failures).meta({ env: 'BACKEND_BREAKER_FAILURES', description: 'Timeouts, broken connections and answers of 500 and above one after another, with nothing else between, after which an API is left alone and its calls fail at once; 0: never.' }),
  backendBreakerSeconds: z.coerce.number().min(0.1).max(3600).default(DEFAULT_BULKHEADS.restMs / 1000).meta({ env: 'BACKEND_BREAKER_SECONDS', description: 'For how long, in seconds; then one call finds out. Doubled with each that fails, up to eight times.' }),
};

export const bulkheadOptions = (fields: { readonly backendConcurrency: number; readonly backendQueue: number; readonly backendQueueMs: number; readonly backendBreakerFailures: number; readonly backendBreakerSeconds: number }): BulkheadOptions => ({
  concurrency: fields.backendConcurrency, queue: fields.backendQueue, queueMs: fields.backendQueueMs, failures: fields.backendBreakerFailures, restMs: fields.backendBreakerSeconds * 1000,
});
