import type { Ending } from '#libs/core/call.js';
import type { Settlement } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import type { Target } from '#libs/core/target.js';
import { infoLine, jsonText, type Logger } from '#libs/observability/logger.js';
import type { Metrics } from '#libs/observability/metrics.js';
import type { Count, Distribution } from '#libs/observability/series.js';

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

/** The numbers of one target, found once and then only added to. */
class Watch {
  readonly #calls = new Map<string, Count>();
  readonly #backend = new Map<string, Count>();
  readonly #seconds: Distribution | undefined;
  #backendSeconds: Distribution | undefined;
  readonly #backendName: string | undefined;
  readonly #method: string;

  constructor(private readonly metrics: Metrics, private readonly name: string, { kind, target, api }: Pick<Ending['reached'], 'kind' | 'target' | 'api'>) {
    const backend = target?.backend;
    if (kind === 'tool') this.#seconds = metrics.toolSeconds.of(name);
    const isRemote = backend?.kind === 'rest' || backend?.kind === 'fetch';
    this.#backendName = isRemote ? api?.name ?? backend.kind : undefined;
    this.#method = backend?.kind === 'rest' ? backend.method : 'GET';
  }

  ended({ reached: { answer }, denial, durationMs }: Ending, status: string): void {
    if (this.#seconds) {
      let calls = this.#calls.get(status);
      if (!calls) this.#calls.set(status, calls = this.metrics.toolCalls.of(this.name, status));
      calls.value += 1;
      this.#seconds.observe(durationMs / 1000);
    }
    const backend = this.#backendName;
    if (backend === undefined || !(answer || denial?.code.startsWith('BACKEND_') === true)) return;
    const result = answer?.result;
    const code = denial?.backendStatus ?? (result?.type === 'tool' ? result.backendStatus : undefined);
    const label = code === undefined ? status : code === 200 ? '200' : String(code);
    let requests = this.#backend.get(label);
    if (!requests) this.#backend.set(label, requests = this.metrics.backendRequests.of(backend, this.#method, label));
    requests.value += 1;
    (this.#backendSeconds ??= this.metrics.backendSeconds.of(backend, this.#method)).observe((answer?.latencyMs ?? durationMs) / 1000);
  }
}

/** What a call's line says of its caller, made once for as long as the principal is known. */
class CallerTexts {
  readonly #texts = new WeakMap<Principal, string>();
  of(principal: Principal): string {
    let text = this.#texts.get(principal);
    if (text === undefined) {
      const { tenant, subject, clientId } = principal;
      text = `${tenant === undefined ? '' : `,"tenant":${jsonText(tenant)}`},"subject":${jsonText(subject)},"client":${jsonText(clientId)}`;
      this.#texts.set(principal, text);
    }
    return text;
  }
}

/** One line and a few additions for each ending. */
export function observeCalls(logger: Logger, metrics: Metrics | undefined, called: CalledRequests): Settlement {
  const watches = new WeakMap<Target, Watch>();
  const callers = new CallerTexts();
  const isLogged = logger.isLevelEnabled('info');
  const watchOf = (on: Metrics, reached: Ending['reached']): Watch => {
    const { target } = reached;
    // What was not found has no name that may become a label.
    if (!target) return new Watch(on, 'unknown', reached);
    let watch = watches.get(target);
    if (!watch) watches.set(target, watch = new Watch(on, target.name, reached));
    return watch;
  };
  return {
    settle(ending: Ending): undefined {
      const { reached, denial } = ending;
      const status = statusOf(ending);
      if (metrics) watchOf(metrics, reached).ended(ending, status);
      called.add(reached.requestId);
      if (!isLogged) return;
      const { principal, answer, name } = reached;
      const decision = denial?.decision ?? reached.decision;
      const obligations = reached.decision?.obligations;
      infoLine(logger, `"request_id":${jsonText(reached.requestId)},"door":"${reached.door}"${callers.of(principal)},"kind":"${reached.kind}","name":${jsonText(name.length > 256 ? name.slice(0, 256) : name)},"status":"${status}","ms":${round(ending.durationMs)}`
        + (answer ? `,"backend_ms":${round(answer.latencyMs)},"bytes":${answer.bytes}` : '')
        + (decision ? `,"rule":${jsonText(decision.ruleId)}` : '')
        + (denial?.decision ? `,"policy":${jsonText(denial.decision.policyRevision.slice(0, 12))}` : '')
        + (obligations ? `,"obligations":${JSON.stringify(obligations)}` : '')
        + (denial?.reason === undefined ? '' : `,"reason":${jsonText(denial.reason)}`), 'call');
    },
  };
}

const round = (ms: number): number => Math.round(ms * 100) / 100;
