import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLogging, infoLine, jsonText, type Logger } from './logger.js';
import { endpointLabel, Metrics } from './metrics.js';
import { Scrubber } from './scrub.js';

const captured = (format: 'json' | 'text' = 'json') => {
  const lines: string[] = [];
  const logging = createLogging({ level: 'trace', format, service: 'test', destination: { write: (line) => { lines.push(line); } } });
  return { ...logging, lines };
};
const timeless = (line: string | undefined): string => line?.replace(/\d{4}-[^"\s]*Z/, 'T') ?? '';
const metrics = () => new Metrics({ prefix: 'p', service: { name: 's', version: '1', environment: 'dev' }, process: false, toolsRegistered: () => 7 });

describe('a line of log', () => {
  it('is one JSON object with time, level by name, service and fields', () => {
    const { logger, lines } = captured();
    logger.info({ request_id: 'r-1' }, 'request');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', service: 'test', request_id: 'r-1', msg: 'request', time: expect.stringMatching(/^\d{4}-.*Z$/) });
  });
  it('reads as plain text where the format says so', () => {
    const { logger, lines } = captured('text');
    logger.warn({ request_id: 'r-1', path: 'a b' }, 'request');
    expect(lines[0]).toMatch(/^\S+Z WARN {2}request {2}request_id=r-1 path="a b"\n$/);
  });

  it.each([
    { name: 'an authorization header', fields: { headers: { authorization: 'Bearer CANARY-123456' } } },
    { name: 'a cookie', fields: { headers: { cookie: 'sid=CANARY-123456' } } },
    { name: 'a password at any depth', fields: { a: { b: [{ dbPassword: 'CANARY-123456' }] } } },
    { name: 'a client secret', fields: { client_secret: 'CANARY-123456' } },
    { name: 'an API key', fields: { api_key: 'CANARY-123456' } },
    { name: 'a secret with an escaped quote in it', fields: { secret: 'a"CANARY-123456' } },
    { name: 'a bearer token inside a text', fields: { err: 'upstream saw Bearer CANARY-123456 and left' } },
    { name: 'a JWT inside a text', fields: { note: 'eyJhbGciOi.eyCANARY-123456.sig-CANARY-123456' } },
    { name: 'the query of a URL', fields: { url: 'https://api.example/x?key=CANARY-123456&b=1' } },
    { name: 'the userinfo of a URL', fields: { url: 'postgres://stoa:CANARY-123456@db/stoa' } },
    { name: 'a subscription key', fields: { note: 'stoa_sk_0123456789abcdef0123456789abcdef CANARY'.replace(' CANARY', '') } },
  ])('carries no secret: $name', ({ fields }) => {
    const { logger, lines } = captured();
    logger.error(fields, 'something failed');
    expect(lines[0]).not.toContain('CANARY-123456');
    expect(lines[0]).not.toContain('0123456789abcdef0123');
    expect(() => { JSON.parse(lines[0]!); }).not.toThrow();
  });
  it('carries no value that was made known, in plain, JSON or base64 form, wherever it stands', () => {
    fc.assert(fc.property(fc.string({ minLength: 6, maxLength: 40 }).filter((text) => text.trim().length >= 6), fc.string(), (secret, around) => {
      const { logger, hide, lines } = captured();
      hide(secret);
      logger.info({ note: `${around}${secret}${around}`, basic: Buffer.from(secret).toString('base64') }, 'fact');
      const read = lines[0]!;
      expect(read).not.toContain(JSON.stringify(secret).slice(1, -1));
      expect(read).not.toContain(Buffer.from(secret).toString('base64'));
    }), { numRuns: 200 });
  });
  it('made of members that are text already is the line that an object with them gives, in either format', () => {
    fc.assert(fc.property(fc.constantFrom('json', 'text'), fc.record({ name: fc.string({ unit: 'binary' }), note: fc.string(), count: fc.integer() }), (format, fields) => {
      const { logger, lines } = captured(format);
      logger.info(fields, 'call');
      infoLine(logger, `"name":${jsonText(fields.name)},"note":${jsonText(fields.note)},"count":${fields.count}`, 'call');
      const plain: Logger = Object.create(logger, { infoText: { value: undefined } });
      infoLine(plain, `"name":${jsonText(fields.name)},"note":${jsonText(fields.note)},"count":${fields.count}`, 'call');
      expect(lines).toHaveLength(3);
      expect(timeless(lines[1])).toBe(timeless(lines[0]));
      expect(timeless(lines[2])).toBe(timeless(lines[0]));
    }));
  });
  it('made of text carries no secret either, and is not made above level info', () => {
    const { logger, hide, lines } = captured();
    hide('CANARY-123456');
    infoLine(logger, `"note":"a CANARY-123456","token":"abcdef","err":"Bearer 0123456789"`, 'call');
    expect(lines.join('')).not.toMatch(/CANARY|abcdef|0123456789/);
    const silent: string[] = [];
    infoLine(createLogging({ level: 'warn', format: 'json', service: 'test', destination: { write: (line) => { silent.push(line); } } }).logger, '"a":1', 'call');
    expect(silent).toEqual([]);
  });
  it('keeps what is no secret', () => {
    const line = '{"tool":"list_tokens","tokens":3,"msg":"basic facts","url":"https://a.example/b"}';
    expect(new Scrubber().line(line)).toBe(line);
  });
});

describe('metrics', () => {
  it('count and sort into the declared buckets', async () => {
    const m = metrics();
    m.toolCalls.add(1, 'getPet', 'success');
    m.toolCalls.add(2, 'getPet', 'success');
    for (const seconds of [0.005, 0.01, 0.02, 99]) m.toolSeconds.observe(seconds, 'getPet');
    const text = await m.render();
    expect(text).toContain('p_mcp_tool_invocations_total{tool_name="getPet",status="success"} 3');
    expect(text).toContain('p_mcp_tool_invocation_duration_seconds_bucket{le="0.01",tool_name="getPet"} 2');
    expect(text).toContain('p_mcp_tool_invocation_duration_seconds_bucket{le="0.05",tool_name="getPet"} 3');
    expect(text).toContain('p_mcp_tool_invocation_duration_seconds_bucket{le="+Inf",tool_name="getPet"} 4');
    expect(text).toContain('p_mcp_tool_invocation_duration_seconds_count{tool_name="getPet"} 4');
    expect(text).toContain('p_mcp_tools_registered 7');
    expect(text).toContain('p_service_info{name="s",version="1",environment="dev"} 1');
  });
  it('escape what callers can choose', async () => {
    const m = metrics();
    m.toolCalls.add(1, 'a"b\\c\nd', 'success');
    expect(await m.render()).toContain('{tool_name="a\\"b\\\\c\\nd",status="success"} 1');
  });
  it('hold a bounded number of series, whatever names are called', async () => {
    const m = metrics();
    for (let index = 0; index < 20_000; index += 1) m.toolCalls.add(1, `tool-${index}`, 'success');
    const lines = (await m.render()).split('\n').filter((line) => line.startsWith('p_mcp_tool_invocations_total{'));
    expect(lines.length).toBe(5001);
    expect(lines).toContain('p_mcp_tool_invocations_total{tool_name="other",status="other"} 15000');
  });
  it('of two applications in one process are apart', async () => {
    const [one, two] = [metrics(), metrics()];
    one.httpRequests.add(1, 'GET', '/x', '200');
    expect(await two.render()).not.toContain('endpoint="/x"');
  });
  it.each([
    ['/mcp/v1/tools/:name/invoke', '/mcp/v1/tools/{name}/invoke'], ['/mcp/v1/resources/*', '/mcp/v1/resources/{path}'], ['/mcp', '/mcp'], [undefined, 'unmatched'],
  ])('label the route %s as %s', (route, label) => { expect(endpointLabel(route)).toBe(label); });
});
