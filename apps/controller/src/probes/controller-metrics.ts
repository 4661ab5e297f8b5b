import { collectDefaultMetrics, type Metric, Registry } from 'prom-client';
import { CounterSeries, HistogramSeries } from '#libs/observability/series.js';

const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The controller's metrics, on a registry of their own. */
export class ControllerMetrics {
  readonly #registry = new Registry();
  readonly httpRequests: CounterSeries;
  readonly httpSeconds: HistogramSeries;

  constructor(prefix: string, service: { readonly version: string; readonly environment: string }) {
    const add = <M extends CounterSeries | HistogramSeries>(metric: M): M => {
      // The registry asks a metric for its `name` and `get()` alone; its type names the concrete classes.
      this.#registry.registerMetric(metric as unknown as Metric);
      return metric;
    };
    this.httpRequests = add(new CounterSeries(`${prefix}_http_requests_total`, 'HTTP requests answered.', ['method', 'endpoint', 'status_code']));
    this.httpSeconds = add(new HistogramSeries(`${prefix}_http_request_duration_seconds`, 'Time from a request\'s head to the end of its answer.', ['method', 'endpoint'], HTTP_SECONDS));
    add(new CounterSeries(`${prefix}_service_info`, 'Always 1; the labels say what runs.', ['name', 'version', 'environment'], 'gauge')).set(1, 'stoa-controller', service.version, service.environment);
    collectDefaultMetrics({ register: this.#registry, prefix: `${prefix}_` });
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  render(): Promise<string> { return this.#registry.metrics(); }
}
