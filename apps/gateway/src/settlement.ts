import type { Ending } from '#libs/core/call.js';
import type { Settlement } from '#libs/core/ports.js';
import type { Logger } from '#libs/observability/logger.js';
import type { Metrics } from '#libs/observability/metrics.js';

/** Ids of requests whose call has had its line, so that the request itself needs none. */
export class CalledRequests {
  private readonly ids = new Set<string>();
  add(requestId: string): void {
    // Streams may hold a request open for hours; an id that is never asked for must not stay for ever.
    if (this.ids.size >= 10_000) this.ids.clear();
    this.ids.add(requestId);
  }
  take(requestId: string): boolean { return this.ids.delete(requestId); }
}

/** `success`, `error`, `timeout`, or the denial's code in lower case. */
function statusOf({ reached, denial }: Ending): string {
  if (denial) return denial.code.toLowerCase();
  return reached.answer?.outcome ?? 'error';
}

/** One line and a few additions for each ending. */
export function observeCalls(logger: Logger, metrics: Metrics | undefined, called: CalledRequests): Settlement {
  return {
    settle(ending: Ending): undefined {
      const { reached, denial, durationMs } = ending;
      const status = statusOf(ending);
      const { target, answer } = reached;
      if (metrics) {
        if (reached.kind === 'tool') {
          const name = target?.name ?? 'unknown';
          metrics.toolCalls.add(1, name, status);
          metrics.toolSeconds.observe(durationMs / 1000, name);
        }
        if (target && (target.backend.kind === 'rest' || target.backend.kind === 'fetch') && (answer || denial?.code.startsWith('BACKEND_') === true)) {
          const backend = reached.api?.name ?? target.backend.kind;
          const method = target.backend.kind === 'rest' ? target.backend.method : 'GET';
          const result = answer?.result;
          const code = denial?.backendStatus ?? (result?.type === 'tool' ? result.backendStatus : undefined);
          metrics.backendRequests.add(1, backend, method, code === undefined ? status : String(code));
          metrics.backendSeconds.observe((answer?.latencyMs ?? durationMs) / 1000, backend, method);
        }
      }
      called.add(reached.requestId);
      if (!logger.isLevelEnabled('info')) return;
      logger.info({
        request_id: reached.requestId, door: reached.door, tenant: reached.principal.tenant, subject: reached.principal.subject, client: reached.principal.clientId,
        kind: reached.kind, name: reached.name.slice(0, 256), status, ms: round(durationMs),
        ...(answer ? { backend_ms: round(answer.latencyMs), bytes: answer.bytes } : {}),
        ...(denial?.decision ? { rule: denial.decision.ruleId, policy: denial.decision.policyRevision.slice(0, 12) } : reached.decision ? { rule: reached.decision.ruleId } : {}),
        ...(reached.decision?.obligations ? { obligations: reached.decision.obligations } : {}),
        ...(denial?.reason === undefined ? {} : { reason: denial.reason }),
      }, 'call');
    },
  };
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
