import type { Usage } from './usage.js';

/** What a tool's owner decided of calls that did not simply succeed. */
export interface ToolBilling {
  /** Whether an answer that is an error, or came too late, is paid for. */
  readonly billOnError: boolean;
  /** Of a call that its caller cancelled: pay when the backend had answered, always, or never. */
  readonly onCancel: 'answered' | 'bill' | 'waive';
  /** Of a call of which nobody knows whether the backend did it, since the gateway died: `query` waives it until its owner has asked the backend. */
  readonly onUnknown: 'bill' | 'waive' | 'query';
}
export const DEFAULT_BILLING: ToolBilling = { billOnError: false, onCancel: 'answered', onUnknown: 'waive' };

export interface Verdict { readonly billed: boolean; /** One of a small set of words, kept with the entry. */ readonly why: string }

const yes = (why: string): Verdict => ({ billed: true, why });
const no = (why: string): Verdict => ({ billed: false, why });
const SUCCESS = yes('success');
const NOT_INVOKED = no('not-invoked');

/**
 * Who pays: the table of docs/billing.md. A call is paid for once, when it ended; what never reached a backend is free whatever its outcome, so that denied, limited,
 * refused, listed and replayed calls are counted and cost nothing. Attempts are the gateway's own affair: one charge.
 */
export function billable({ outcome, invoked, units }: Pick<Usage, 'outcome' | 'invoked' | 'units'>, tool: ToolBilling): Verdict {
  if (!invoked) return outcome === 'success' ? NOT_INVOKED : no(outcome);
  switch (outcome) {
    case 'success': return SUCCESS;
    case 'error': case 'timeout': return tool.billOnError ? yes(outcome) : no(outcome);
    case 'cancelled': return tool.onCancel === 'bill' || (tool.onCancel === 'answered' && (units['response_bytes'] ?? 0) > 0) ? yes('cancelled') : no('cancelled');
    case 'unknown': return tool.onUnknown === 'bill' ? yes('unknown') : no(tool.onUnknown === 'query' ? 'unknown-open' : 'unknown');
    // The logical call is paid for in the round that ends it.
    case 'input_required':
    case 'denied': case 'rate_limited': case 'rejected': case 'unavailable': return no(outcome);
    default: return outcome satisfies never;
  }
}
