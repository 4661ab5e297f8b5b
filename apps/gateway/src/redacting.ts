import type { AuthenticatedCall, Ending, ValidatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { RunCall } from '#libs/core/pipeline.js';
import type { Redactor, Replays, Settlement, UsageMeter } from '#libs/core/ports.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { redactedRequest } from '#libs/redaction/redactor.js';
import type { Backends } from './parts.js';

/** What the line says beside results: denials, progress and log messages. Results are redacted in the line itself. */
export const redactedCalls = (line: RunCall, redactor: Redactor): RunCall => (redactor.redactText === undefined && redactor.redactValue === undefined ? line : (call) => {
  quieten(call, redactor);
  return line(call).then((result) => (result instanceof Denial ? cleaned(result, redactor, call.principal.tenant) : result));
});

/** Each ending with its denial redacted, and a name that is the caller's own words: what is logged and kept of it is what the caller was told. */
export const redactedEndings = (to: Settlement, redactor: Redactor): Settlement => ({
  settle: (ending) => {
    const { reached, denial } = ending;
    if (reached.name !== reached.target?.name) hideName(reached, redactor);
    return to.settle(denial ? { ...ending, denial: cleaned(denial, redactor, reached.principal.tenant) } : ending);
  },
});

/** What nobody defined, or only matched a template, may hold anything. The call is over: its own object is changed, by which others know it. */
const hideName = (reached: Ending['reached'], redactor: Redactor): void => { (reached as { name: string }).name = nameOf(reached, redactor); };
function nameOf({ name, principal: { tenant } }: AuthenticatedCall, redactor: Redactor): string {
  if (!redactor.redactText) return name;
  try { return redactor.redactText(name, tenant); } catch { return '[redacted]'; }
}

export const redactedMeter = (meter: UsageMeter, redactor: Redactor): UsageMeter => ({
  // The backend is still to be asked by the name as it came.
  intent: (call) => meter.intent(call.name === call.target.name ? call : { ...call, name: nameOf(call, redactor) }), ...redactedEndings(meter, redactor),
});

export const redactedReplays = (replays: Replays, redactor: Redactor): Replays => ({ replay: (call) => replays.replay(call), ...redactedEndings(replays, redactor) });

/** Arguments redacted before any backend sees them. */
export const redactingBackends = (backends: Backends, redactor: Redactor): Backends =>
  Object.fromEntries(Object.entries(backends).map(([kind, backend]) => [kind, { invoke: (call: ValidatedCall) => backend.invoke(redactedRequest(redactor, call)) }]));

function quieten({ exchange, principal: { tenant } }: AuthenticatedCall, redactor: Redactor): void {
  const { progress, log } = exchange;
  const spoken = exchange as { progress: typeof progress; log: typeof log };
  if (progress && redactor.redactText) spoken.progress = (value, total, message) => { progress(value, total, message === undefined ? undefined : redactor.redactText?.(message, tenant)); };
  if (log && redactor.redactValue) spoken.log = (level, data, logger) => { log(level, redactor.redactValue?.(data, tenant), logger); };
}

/** A redactor that fails leaves the denial's code, and none of its words. */
function cleaned(denial: Denial, redactor: Redactor, tenant: TenantSlug | undefined): Denial {
  if (!redactor.redactText) return denial;
  const redactText = (text: string): string => redactor.redactText?.(text, tenant) ?? '';
  try {
    const message = redactText(denial.message);
    const reason = denial.reason === undefined ? undefined : redactText(denial.reason);
    const issues = denial.issues?.map((issue) => ({ pointer: redactText(issue.pointer), message: redactText(issue.message) }));
    const same = message === denial.message && reason === denial.reason && (issues?.every((issue, at) => issue.pointer === denial.issues?.[at]?.pointer && issue.message === denial.issues[at].message) ?? true);
    return same ? denial : new Denial({ ...factsOf(denial), message, ...(reason === undefined ? {} : { reason }), ...(issues ? { issues } : {}) });
  } catch {
    return new Denial({ ...factsOf(denial), message: 'The call was refused.', reason: 'what it said could not be redacted' });
  }
}

const factsOf = (denial: Denial): ConstructorParameters<typeof Denial>[0] =>
  Object.fromEntries(Object.entries(denial).filter(([name, value]) => value !== undefined && name !== 'issues' && name !== 'reason')) as unknown as ConstructorParameters<typeof Denial>[0];
