import type { Exchange } from '#libs/core/call.js';

const NEVER = new AbortController().signal;

/**
 * The exchange of a call that goes on though its client leaves: whoever brings the same key again is to find what it came to. Its deadline ends it
 * all the same.
 */
export function lasting(exchange: Exchange): Exchange {
  const left = (): boolean => (exchange.cancellation ?? exchange.signal).aborted;
  const { progress, log, limited, inputResponses, requestState, request } = exchange;
  return {
    signal: NEVER, clientCapabilities: exchange.clientCapabilities, supportsInputRequired: exchange.supportsInputRequired,
    ...(progress ? { progress: (...told) => { if (!left()) progress.apply(exchange, told); } } : {}),
    ...(log ? { log: (...told) => { if (!left()) log.apply(exchange, told); } } : {}),
    ...(limited ? { limited: (standing) => { if (!left()) exchange.limited?.(standing); } } : {}),
    ...(inputResponses === undefined ? {} : { inputResponses }), ...(requestState === undefined ? {} : { requestState }),
    ...(request ? { request: (method, params) => request.call(exchange, method, params) } : {}),
  };
}
