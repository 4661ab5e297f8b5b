import { createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { aRecord } from '#libs/audit/a-record.contract.js';
import { auditFactOf } from '#libs/audit/call-fact.js';
import { canonicalJson } from '#libs/audit/canonical-json.js';
import { emptyChain, extend } from '#libs/audit/chain.js';
import { makeSink, type SinkParts, type SinkRecord, sinkRecord } from '#libs/audit/sinks.js';
import type { OutboundRequest } from '#libs/core/outbound.js';

const recordOf = (seq: number, over = {}): SinkRecord => {
  const { entry } = extend({ ...emptyChain('acme'), seq: seq - 1 }, auditFactOf(aRecord(seq, over)).fact);
  return sinkRecord({ seq, body: canonicalJson(entry.body), personal: canonicalJson(entry.personal) });
};
const records = [recordOf(1), recordOf(2, { outcome: 'denied', code: 'FORBIDDEN', decision: { effect: 'deny', ruleId: 'r', revision: 'p', reason: 'no' } })];
const folder = mkdtempSync(join(tmpdir(), 'stoa-sinks-'));
afterAll(() => { rmSync(folder, { recursive: true }); });

const sent: OutboundRequest[] = [];
let status = 200;
const parts: SinkParts = { outbound: { request: async (request) => { sent.push(request); return { status, headers: {}, body: new Uint8Array() }; } }, secret: 'a secret of 16 characters', service: 'stoa', now: () => 1_780_000_000_500 };

describe('audit sinks', () => {
  it('write one JSON object a line to standard output and to files, appended', async () => {
    let out = '';
    await makeSink('stdout', { ...parts, write: (text) => { out += text; } }).deliver(records);
    expect(out.trimEnd().split('\n').map((line) => JSON.parse(line) as SinkRecord)).toEqual(records);
    const file = join(folder, 'deeper', 'audit.jsonl');
    const sink = makeSink(`file:${file}`, parts);
    await sink.deliver(records.slice(0, 1));
    await sink.deliver(records.slice(1));
    expect(readFileSync(file, 'utf8')).toBe(out);
  });

  it('sign what a webhook is sent, so that its receiver can tell who sends, and name a delivery the same when it comes again', async () => {
    sent.length = 0;
    const sink = makeSink('webhook:https://siem.test/in', parts);
    await sink.deliver(records);
    await sink.deliver(records);
    const [{ headers, body, url, method } = { headers: [], body: '', url: '', method: '' }, again] = sent;
    const header = Object.fromEntries(headers);
    const [, time, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header['x-stoa-signature'] ?? '') ?? [];
    expect([method, url, time, header['x-stoa-delivery'], again?.headers.find(([name]) => name === 'x-stoa-delivery')?.[1]]).toEqual(['POST', 'https://siem.test/in', '1780000000', 'acme:1-2', 'acme:1-2']);
    expect(createHmac('sha256', parts.secret ?? '').update(`${time}.${String(body)}`).digest('hex')).toBe(signature);
    expect(JSON.parse(String(body))).toEqual({ records });
    status = 500;
    await expect(sink.deliver(records)).rejects.toThrow('answered 500');
    status = 200;
  });

  it('are named without what may be secret in their address', () => {
    const [one, two] = ['a', 'b'].map((key) => makeSink(`webhook:https://user:pass@siem.test/in?key=${key}`, parts).name);
    expect(one).toMatch(/^webhook:https:\/\/siem\.test\/in#[0-9a-f]{8}$/);
    expect(one).not.toBe(two);
  });

  it('send log records of OpenTelemetry: OTLP over HTTP, as JSON', async () => {
    sent.length = 0;
    await makeSink('otlp:http://collector.test:4318', parts).deliver(records);
    expect(sent[0]?.url).toBe('http://collector.test:4318/v1/logs');
    const { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] } = JSON.parse(String(sent[0]?.body)) as { resourceLogs: [{ resource: object; scopeLogs: [{ logRecords: { timeUnixNano: string; severityText: string; body: { stringValue: string }; attributes: { key: string; value: object }[] }[] }] }] };
    expect(resource).toEqual({ attributes: [{ key: 'service.name', value: { stringValue: 'stoa' } }] });
    expect(logRecords.map(({ timeUnixNano, severityText, body }) => [timeUnixNano, severityText, JSON.parse(body.stringValue)])).toEqual([['1780000001000000000', 'INFO', records[0]], ['1780000002000000000', 'WARN', records[1]]]);
    expect(logRecords[1]?.attributes).toContainEqual({ key: 'stoa.deny_reason', value: { stringValue: 'no' } });
    expect(logRecords[1]?.attributes).toContainEqual({ key: 'stoa.latency_ms', value: { intValue: '7' } });
  });

  it('speak syslog (RFC 5424), over UDP a message each, over TCP with their lengths', async () => {
    const udp = createSocket('udp4');
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const heard: string[] = [];
    const both = new Promise<void>((resolve) => { udp.on('message', (message) => { heard.push(message.toString()); if (heard.length === 2) resolve(); }); });
    await makeSink(`syslog:udp://127.0.0.1:${udp.address().port}`, parts).deliver(records);
    await both;
    udp.close();
    expect(heard[0]).toMatch(/^<110>1 2026-05-28T20:26:41\.000Z \S+ stoa \d+ call - \{"event_type":"audit"/);
    expect(heard[1]).toMatch(/^<108>1 /);

    let taken = '';
    const server = createServer((socket) => { socket.setEncoding('utf8').on('data', (text: string) => { taken += text; }); });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await makeSink(`syslog:tcp://127.0.0.1:${port}`, parts).deliver(records);
    server.close();
    expect(taken).toBe(heard.map((line) => `${Buffer.byteLength(line)} ${line}`).join(''));
    await once(server, 'close');
    await expect(makeSink(`syslog:tcp://127.0.0.1:${port}`, parts).deliver(records)).rejects.toThrow(/ECONNREFUSED/);
  });

  it.each([
    ['pigeon', /pigeon: is not a sink; known are/], ['file:', /not a sink/], ['webhook:ftp://x', /http or https URL/], ['otlp:nowhere', /http or https URL/], ['syslog:udp://host', /udp:\/\/host:port/], ['syslog:http://h:1', /udp:\/\/host:port/],
  ])('refuse %s saying what is known', (setting, message) => { expect(() => makeSink(setting, parts)).toThrow(message); });
  it('refuse a webhook without a secret', () => { expect(() => makeSink('webhook:https://x.test', { ...parts, secret: undefined })).toThrow(/AUDIT_WEBHOOK_SECRET/); });
});
