import type { MetricObjectWithValues, MetricValue } from 'prom-client';

/**
 * Counters, gauges and histograms that cost a map look-up and an addition per observation, read by a prom-client registry
 * when it is scraped. prom-client's own metrics sort and hash the labels at each observation, about 1 µs a time, and a call
 * makes nine of them.
 *
 * A metric holds at most `MAX_SERIES` label combinations; what comes later is counted under the label value `other`.
 */
const MAX_SERIES = 5000;

export class CounterSeries {
  private readonly series = new Map<string, { readonly labels: readonly string[]; value: number }>();
  constructor(readonly name: string, readonly help: string, private readonly labelNames: readonly string[], private readonly type: 'counter' | 'gauge' = 'counter') {}

  add(amount: number, ...labels: readonly string[]): void { this.at(labels).value += amount; }
  set(value: number, ...labels: readonly string[]): void { this.at(labels).value = value; }

  get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const values = [...this.series.values()].map(({ labels, value }) => ({ value, labels: named(this.labelNames, labels) }));
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, aggregator: 'sum', values } as unknown as MetricObjectWithValues<MetricValue<string>>);
  }
  reset(): void { this.series.clear(); }

  private at(labels: readonly string[]): { value: number } {
    const key = keyOf(labels);
    const found = this.series.get(key);
    if (found) return found;
    if (this.series.size >= MAX_SERIES && !labels.every((label) => label === 'other')) return this.at(labels.map(() => 'other'));
    const made = { labels, value: 0 };
    this.series.set(key, made);
    return made;
  }
}

export class HistogramSeries {
  private readonly series = new Map<string, { readonly labels: readonly string[]; readonly counts: Float64Array; sum: number }>();
  constructor(readonly name: string, readonly help: string, private readonly labelNames: readonly string[], private readonly bounds: readonly number[]) {}

  /** `value` in the unit that the metric's name ends with. */
  observe(value: number, ...labels: readonly string[]): void {
    const { bounds } = this;
    const series = this.at(labels);
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += value;
  }

  get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const values: { metricName: string; value: number; labels: Record<string, string | number> }[] = [];
    for (const { labels, counts, sum } of this.series.values()) {
      const own = named(this.labelNames, labels);
      let total = 0;
      for (const [index, bound] of this.bounds.entries()) {
        total += counts[index] ?? 0;
        values.push({ metricName: `${this.name}_bucket`, value: total, labels: { le: bound, ...own } });
      }
      total += counts[this.bounds.length] ?? 0;
      values.push({ metricName: `${this.name}_bucket`, value: total, labels: { le: '+Inf', ...own } });
      values.push({ metricName: `${this.name}_sum`, value: sum, labels: own }, { metricName: `${this.name}_count`, value: total, labels: own });
    }
    return Promise.resolve({ name: this.name, help: this.help, type: 'histogram', aggregator: 'sum', values } as unknown as MetricObjectWithValues<MetricValue<string>>);
  }
  reset(): void { this.series.clear(); }

  private at(labels: readonly string[]): { counts: Float64Array; sum: number } {
    const key = keyOf(labels);
    const found = this.series.get(key);
    if (found) return found;
    if (this.series.size >= MAX_SERIES && !labels.every((label) => label === 'other')) return this.at(labels.map(() => 'other'));
    const made = { labels, counts: new Float64Array(this.bounds.length + 1), sum: 0 };
    this.series.set(key, made);
    return made;
  }
}

const keyOf = (labels: readonly string[]): string => (labels.length === 1 ? labels[0] ?? '' : labels.join('\u0000'));
const named = (names: readonly string[], values: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
