import type { Span as OtelSpan, SpanContext, SpanStatusCode } from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Span, Tracing } from '#libs/core/tracing.js';

export interface TracingOptions {
  /** OTLP/HTTP collector; `/v1/traces` is appended. */
  readonly endpoint: string;
  readonly serviceName: string;
  readonly version: string;
  /** Instead of the collector, for tests. */
  readonly exporter?: SpanExporter;
}

/**
 * OpenTelemetry spans over OTLP/HTTP, in batches. The SDK is loaded here and nowhere else: a process without a collector
 * never pays for it. A caller that did not sample its trace is followed (ParentBased). A collector that is away costs spans
 * and nothing else.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const [api, sdk, { resourceFromAttributes }, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'), import('@opentelemetry/sdk-trace'), import('@opentelemetry/resources'), import('@opentelemetry/exporter-trace-otlp-http'),
  ]);
  const exporter = options.exporter ?? new OTLPTraceExporter({ url: `${options.endpoint.replace(/\/$/, '')}/v1/traces`, timeoutMillis: 5000 });
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': options.serviceName, 'service.version': options.version }),
    sampler: new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() }),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter })],
  });
  const tracer = provider.getTracer('stoa', options.version);
  const kinds = { server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT, internal: api.SpanKind.INTERNAL };

  return {
    start(name, { kind, traceparent, tracestate, attributes }) {
      const parent = contextOf(traceparent, tracestate === undefined ? undefined : api.createTraceState(tracestate));
      const context = parent ? api.trace.setSpanContext(api.ROOT_CONTEXT, parent) : api.ROOT_CONTEXT;
      return wrapped(tracer.startSpan(name, { kind: kinds[kind], attributes }, context), api.SpanStatusCode.ERROR);
    },
    shutdown: () => provider.shutdown(),
  };
}

function contextOf(traceparent: string | undefined, traceState: SpanContext['traceState']): SpanContext | undefined {
  const [, traceId, spanId, flags] = traceparent?.split('-') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true, ...(traceState ? { traceState } : {}) };
}

function wrapped(span: OtelSpan, errorCode: SpanStatusCode): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-${(traceFlags & 1) === 1 ? '01' : '00'}`,
    set: (attributes) => { span.setAttributes(attributes); },
    end: (error) => {
      if (error !== undefined) span.setStatus({ code: errorCode, message: error });
      span.end();
    },
  };
}
