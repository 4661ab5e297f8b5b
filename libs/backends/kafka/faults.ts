import type { BackendAnswer } from '#libs/core/call.js';
import type { ErrorCode } from '#libs/core/errors.js';
import { OUTBOUND_CODES, OutboundFailure } from '#libs/core/outbound.js';
import { RegistryProblem } from '#libs/backends/kafka/registry.js';
import { REFUSED } from '#libs/backends/kafka/sockets.js';

export interface KafkaFault { readonly code: ErrorCode; readonly text: string; readonly timedOut: boolean; readonly kafkaError?: string }

/** The call's own time was up. */
export class DeadlinePassed extends Error { override get name(): string { return 'DeadlinePassed'; } }

const AUTHENTICATION = /SASL|AUTHENTICATION_FAILED/;

/** What the caller is told: Kafka's own word for what is wrong, never an address that DNS or a broker gave. */
export function faultOf(failure: unknown): KafkaFault {
  if (failure instanceof DeadlinePassed) return { code: 'BACKEND_TIMEOUT', text: failure.message, timedOut: true };
  if (failure instanceof OutboundFailure) return { code: OUTBOUND_CODES[failure.kind], text: `Request to the schema registry failed: ${failure.message}`, timedOut: failure.kind === 'timeout' };
  if (failure instanceof RegistryProblem) return { code: 'BACKEND_ERROR', text: failure.message, timedOut: false };
  const chain = causes(failure);
  const refused = chain.find((one) => one['code'] === REFUSED);
  if (refused !== undefined) return { code: 'EGRESS_REFUSED', text: `Request to backend failed: ${String(refused['message']).replace(/^Connection error: /, '')}`, timedOut: false };
  const named = chain.find((one) => typeof one['type'] === 'string');
  const kafkaError = named === undefined ? undefined : String(named['type']);
  const about = (text: string): string => (kafkaError === undefined ? text : `${kafkaError}: ${text}`);
  if (chain.some(({ name }) => name === 'KafkaJSSASLAuthenticationError') || AUTHENTICATION.test(kafkaError ?? '')) return { code: 'BACKEND_ERROR', text: about('the brokers do not accept the credential in slot sasl'), timedOut: false, ...(kafkaError === undefined ? {} : { kafkaError }) };
  if (named !== undefined && kafkaError !== undefined) return { code: kafkaError === 'REQUEST_TIMED_OUT' ? 'BACKEND_TIMEOUT' : 'BACKEND_ERROR', text: `${kafkaError}: ${String(named['message'])}`, timedOut: kafkaError === 'REQUEST_TIMED_OUT', kafkaError };
  if (chain.some(({ name }) => name === 'KafkaJSRequestTimeoutError')) return { code: 'BACKEND_TIMEOUT', text: 'The brokers did not answer in time', timedOut: true };
  if (chain.some(({ name }) => name === 'KafkaJSNotImplemented')) return { code: 'BACKEND_ERROR', text: 'The topic has messages in a compression that cannot be read here; gzip and zstd can', timedOut: false };
  if (chain.some(({ name }) => /^KafkaJS(?:Connection|Broker|NumberOfRetries|Closed)/.test(String(name)))) return { code: 'BACKEND_UNREACHABLE', text: 'Request to backend failed: the brokers cannot be reached', timedOut: false };
  return { code: 'BACKEND_ERROR', text: failure instanceof Error ? failure.message : String(failure), timedOut: false };
}

export const failedAnswer = ({ code, text, timedOut, kafkaError }: KafkaFault, latencyMs: number): BackendAnswer => ({
  result: { type: 'tool', isError: true, content: [{ type: 'text', text }], meta: { error_code: code, ...(kafkaError === undefined ? {} : { kafka_error: kafkaError }) } },
  outcome: timedOut ? 'timeout' : 'error', latencyMs, bytes: 0,
});

function causes(failure: unknown): readonly Readonly<Record<string, unknown>>[] {
  const chain: Readonly<Record<string, unknown>>[] = [];
  for (let one = failure; typeof one === 'object' && one !== null && chain.length < 8; one = (one as { readonly cause?: unknown; readonly originalError?: unknown }).cause ?? (one as { readonly originalError?: unknown }).originalError) {
    chain.push({ ...one, name: (one as { readonly name?: unknown }).name, message: (one as { readonly message?: unknown }).message });
  }
  return chain;
}
