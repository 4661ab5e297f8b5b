/** One span, from its start to `end`. */
export interface Span {
  /** W3C `traceparent` that names this span as the parent (Trace Context §3.2). */
  readonly traceparent: string;
  set(attributes: Readonly<Record<string, string | number | boolean>>): void;
  /** `error` is a short reason, never a message with a caller's data in it. */
  end(error?: string): void;
}
interface SpanStart {
  readonly kind: 'server' | 'client' | 'internal';
  /** Of the parent; undefined starts a trace. */
  readonly traceparent: string | undefined;
  readonly tracestate?: string | undefined;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}
export interface Tracing {
  start(name: string, options: SpanStart): Span;
  /** Sends what is left, within 5 s. */
  shutdown(): Promise<void>;
}
