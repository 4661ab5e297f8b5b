import type { Tracing } from '#libs/core/tracing.js';
import type { HttpCallerOptions } from '#libs/backends/http/http-caller.js';

/** A client span for each request to a backend; its context is what the backend is sent. */
export const backendSpans = (tracing: Tracing): NonNullable<HttpCallerOptions['startSpan']> => (call, request) => {
  const span = tracing.start(`${request.method} ${call.api?.name ?? 'backend'}`, {
    kind: 'client', traceparent: call.traceparent, tracestate: call.tracestate,
    attributes: { 'http.request.method': request.method, 'server.address': new URL(request.url).host, ...(call.target.backend.kind === 'rest' ? { 'url.template': call.target.backend.path } : {}), 'gen_ai.tool.name': call.target.name },
  });
  return {
    traceparent: span.traceparent, tracestate: call.tracestate,
    end: ({ statusCode, error }) => {
      if (statusCode !== undefined) span.set({ 'http.response.status_code': statusCode });
      span.end(error ?? (statusCode !== undefined && statusCode >= 500 ? String(statusCode) : undefined));
    },
  };
};
