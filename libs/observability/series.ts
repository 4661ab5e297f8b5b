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
  private readonly series = new Map<string, Count & { readonly labels: readonly string[] }>();
  constructor(readonly name: string, readonly help: string, private readonly labelNames: readonly string[], private readonly type: 'counter' | 'gauge' = 'counter') {}

  add(amount: number, ...labels: readonly string[]): void { this.at(labels).value += amount; }
  set(value: number, ...labels: readonly string[]): void { this.at(labels).value = value; }
  /** The number itself, for who adds to it often. */
  of(...labels: readonly string[]): Count { return this.at(labels); }

  get(): Promise<MetricObjectWithValues<MetricValue<string>>> {
    const values = [...this.series.values()].map(({ labels, value }) => ({ value, labels: named(this.labelNames, labels) }));
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, aggregator: 'sum', values } as unknown as MetricObjectWithValues<MetricValue<string>>);
  }
  reset(): void { for (const count of this.series.values()) count.value = 0; }

  private at(labels: readonly string[]): Count {
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
  private readonly series = new Map<string, Distribution>();
  constructor(readonly name: string, readonly help: string, private readonly labelNames: readonly string[], private readonly bounds: readonly number[]) {}

  /** `value` in the unit that the metric's name ends with. */
  observe(value: number, ...labels: readonly string[]): void { this.at(labels).observe(value); }
  /** The distribution itself, for who adds to it often. */
  of(...labels: readonly string[]): Distribution { return this.at(labels); }

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
  reset(): void { for (const distribution of this.series.values()) distribution.reset(); }

  private at(labels: readonly string[]): Distribution {
    const key = keyOf(labels);
    const found = this.series.get(key);
    if (found) return found;
    if (this.series.size >= MAX_SERIES && !labels.every((label) => label === 'other')) return this.at(labels.map(() => 'other'));
    const made = new Distribution(labels, this.bounds);
    this.series.set(key, made);
    return made;
  }
}

/** One counter or gauge: add to `value`, or set it. */
export interface Count { value: number }

/** One histogram. */
export class Distribution {
  readonly counts: Float64Array;
  sum = 0;
  constructor(readonly labels: readonly string[], private readonly bounds: readonly number[]) { this.counts = new Float64Array(bounds.length + 1); }

  observe(value: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket += 1;
    counts[bucket]! += 1;
    this.sum += value;
  }
  reset(): void { this.counts.fill(0); this.sum = 0; }
}

const keyOf = (labels: readonly string[]): string => (labels.length === 1 ? labels[0] ?? '' : labels.join('\u0000'));
const named = (names: readonly string[], values: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']));
