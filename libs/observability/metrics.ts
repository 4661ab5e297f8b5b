import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import type { Reading } from '#libs/core/ports.js';
import { CounterSeries, HistogramSeries } from './series.js';

export interface MetricsOptions {
  /** Put before each name, with an underscore between. */
  readonly prefix: string;
  readonly service: { readonly name: string; readonly version: string; readonly environment: string };
  /** Node's own: memory, event loop, garbage collection. Default true. */
  readonly process?: boolean;
  /** Asked at each scrape. */
  readonly toolsRegistered: () => number;
}

const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const CALL_SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const TOKEN_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];
const POLICY_SECONDS = [0.000_01, 0.000_05, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5];
const BACKEND_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Every metric of the gateway, on a registry of its own: two applications in one process do not share counts. */
export class Metrics {
  private readonly registry = new Registry();
  readonly httpRequests: CounterSeries;
  readonly httpSeconds: HistogramSeries;
  readonly httpInProgress: CounterSeries;
  readonly toolCalls: CounterSeries;
  readonly toolSeconds: HistogramSeries;
  readonly authRequests: CounterSeries;
  readonly tokenSeconds: HistogramSeries;
  readonly policyDecisions: CounterSeries;
  readonly policySeconds: HistogramSeries;
  readonly tokenExchanges: CounterSeries;
  readonly replayRejects: CounterSeries;
  readonly backendRequests: CounterSeries;
  readonly backendSeconds: HistogramSeries;

  constructor(private readonly options: MetricsOptions) {
    const name = (rest: string): string => `${options.prefix}_${rest}`;
    const add = <M extends CounterSeries | HistogramSeries>(metric: M): M => {
      // The registry asks a metric for its `name` and `get()` alone; its type names the concrete classes.
      this.registry.registerMetric(metric as unknown as Metric);
      return metric;
    };
    this.httpRequests = add(new CounterSeries(name('http_requests_total'), 'HTTP requests answered.', ['method', 'endpoint', 'status_code']));
    this.httpSeconds = add(new HistogramSeries(name('http_request_duration_seconds'), 'Time from a request\'s head to the end of its answer.', ['method', 'endpoint'], HTTP_SECONDS));
    this.httpInProgress = add(new CounterSeries(name('http_requests_in_progress'), 'HTTP requests being answered.', ['method', 'endpoint'], 'gauge'));
    this.toolCalls = add(new CounterSeries(name('mcp_tool_invocations_total'), 'Tool calls by how they ended.', ['tool_name', 'status']));
    this.toolSeconds = add(new HistogramSeries(name('mcp_tool_invocation_duration_seconds'), 'Whole time of a tool call in the gateway.', ['tool_name'], CALL_SECONDS));
    const registered = add(new CounterSeries(name('mcp_tools_registered'), 'Tools of the tenants in memory, and the platform\'s own.', [], 'gauge'));
    this.authRequests = add(new CounterSeries(name('auth_requests_total'), 'Credentials checked.', ['status', 'reason']));
    this.tokenSeconds = add(new HistogramSeries(name('auth_token_validation_duration_seconds'), 'Time to check a bearer token.', [], TOKEN_SECONDS));
    this.policyDecisions = add(new CounterSeries(name('policy_decisions_total'), 'Calls decided by policy; `error` with its reason is where nothing could be decided, and the call was refused.', ['outcome', 'reason']));
    this.policySeconds = add(new HistogramSeries(name('policy_decision_duration_seconds'), 'Time of a policy decision.', [], POLICY_SECONDS));
    this.tokenExchanges = add(new CounterSeries(name('token_exchange_total'), 'Exchanges for capability tokens by how they ended.', ['result']));
    this.replayRejects = add(new CounterSeries(name('replay_reject_total'), 'One-time tokens that were presented again.', []));
    this.backendRequests = add(new CounterSeries(name('backend_requests_total'), 'Requests to backends.', ['backend', 'method', 'status_code']));
    this.backendSeconds = add(new HistogramSeries(name('backend_request_duration_seconds'), 'Time in the backend.', ['backend', 'method'], BACKEND_SECONDS));
    const info = add(new CounterSeries(name('service_info'), 'Always 1; the labels say what runs.', ['name', 'version', 'environment'], 'gauge'));
    info.set(1, options.service.name, options.service.version, options.service.environment);
    const read = registered.get.bind(registered);
    registered.get = () => { registered.set(options.toolsRegistered()); return read(); };
    if (options.process !== false) collectDefaultMetrics({ register: this.registry, prefix: `${options.prefix}_` });
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  /** Adds numbers that parts of the process tell of themselves, asked at each scrape. */
  watch(readings: readonly Reading[]): void {
    for (const reading of readings) {
      const { name, help, type } = reading;
      const series = new CounterSeries(`${this.options.prefix}_${name}`, help, [], type);
      const get = series.get.bind(series);
      series.get = () => { series.set(reading.read()); return get(); };
      this.registry.registerMetric(series as unknown as Metric);
    }
  }
  /** The exposition text (Prometheus text format 0.0.4). */
  render(): Promise<string> { return this.registry.metrics(); }
  /** Stops what Node's own metrics started. */
  close(): void { this.registry.clear(); }
}

/**
 * The path of a route as a metric's label: parameters in braces, so that the number of series is bounded by the number
 * of routes. `undefined`, for a request that matched none, is `unmatched`.
 */
export function endpointLabel(route: string | undefined): string {
  if (route === undefined) return 'unmatched';
  return route.replaceAll(/:(\w+)(?:\([^)]*\))?/g, '{$1}').replaceAll('*', '{path}');
}
