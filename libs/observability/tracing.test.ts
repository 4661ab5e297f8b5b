import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { startTracing } from './start-tracing.js';
import { validTraceparent } from './tracing.js';

describe('trace context', () => {
  it.each([
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', true], ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00', true],
    ['00-00000000000000000000000000000000-b7ad6b7169203331-01', false], ['00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01', false],
    ['00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01', false], ['01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', false], ['nonsense', false], [undefined, false],
  ])('%s is taken: %s', (header, taken) => { expect(validTraceparent(header)).toBe(taken ? header : undefined); });
});

it('sends spans to the collector, as children of the caller\'s and of one another', async () => {
  const bodies: string[] = [];
  const collector = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; }).on('end', () => { bodies.push(`${request.url} ${body}`); response.setHeader('content-type', 'application/json').end('{}'); });
  });
  await new Promise<void>((resolve) => { collector.listen(0, '127.0.0.1', resolve); });
  const { port } = collector.address() as AddressInfo;
  const tracing = await startTracing({ endpoint: `http://127.0.0.1:${port}/`, serviceName: 'stoa-mcp-gateway', version: '1' });
  const call = tracing.start('tools/call getPet', { kind: 'server', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', attributes: { 'mcp.method.name': 'tools/call' } });
  expect(call.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
  const backend = tracing.start('GET pets', { kind: 'client', traceparent: call.traceparent, attributes: {} });
  backend.end('timeout');
  call.end();
  await tracing.shutdown();
  collector.close();
  const sent = bodies.join('\n');
  expect(sent.startsWith('/v1/traces ')).toBe(true);
  for (const part of ['stoa-mcp-gateway', 'tools/call getPet', 'mcp.method.name', '"parentSpanId":"b7ad6b7169203331"', `"parentSpanId":"${call.traceparent.split('-')[2]}"`, '"message":"timeout"']) expect(sent).toContain(part);
});
