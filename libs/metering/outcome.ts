import type { Ending } from '#libs/core/call.js';
import type { CallOutcome } from '#libs/core/call-record.js';
import type { ErrorCode } from '#libs/core/errors.js';

/** How a call that was stopped is counted. Who pays for what is the ledger's to say; here is only what happened. */
const OUTCOMES: Readonly<Partial<Record<ErrorCode, CallOutcome>>> = {
  UNAUTHENTICATED: 'denied', INSUFFICIENT_SCOPE: 'denied', FORBIDDEN: 'denied', QUOTA_EXCEEDED: 'denied',
  RATE_LIMITED: 'rate_limited', NOT_FOUND: 'rejected', INVALID_ARGUMENTS: 'rejected', IDEMPOTENCY_CONFLICT: 'rejected', CONFIRMATION_REQUIRED: 'input_required', CANCELLED: 'cancelled',
  BACKEND_TIMEOUT: 'timeout', BACKEND_ERROR: 'error', BACKEND_UNREACHABLE: 'error', BACKEND_RESPONSE_TOO_LARGE: 'error', BACKEND_CONTRACT_VIOLATION: 'error',
  EGRESS_REFUSED: 'unavailable', CREDENTIAL_MISSING: 'unavailable', UNAVAILABLE: 'unavailable', INTERNAL: 'error',
};
/** What stops a call after its intent and before its backend hears of it. */
const BEFORE_THE_BACKEND: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['RATE_LIMITED', 'QUOTA_EXCEEDED', 'EGRESS_REFUSED', 'CREDENTIAL_MISSING', 'UNAVAILABLE', 'INSUFFICIENT_SCOPE', 'FORBIDDEN', 'CONFIRMATION_REQUIRED']);

export function outcomeOf({ reached, denial }: Ending): CallOutcome {
  if (denial) return OUTCOMES[denial.code] ?? 'denied';
  if ((reached.exchange.cancellation ?? reached.exchange.signal).aborted) return 'cancelled';
  if (reached.answer?.result.type === 'input_required') return 'input_required';
  return reached.answer?.outcome ?? 'error';
}

export function wasInvoked({ reached, denial }: Ending): boolean {
  return reached.callId !== undefined && (reached.answer !== undefined || !denial || !BEFORE_THE_BACKEND.has(denial.code));
}
