import { createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { type AuditBody, digestOf, type Personal } from '#libs/audit/entry.js';
import type { StoredEntry } from '#libs/audit/stored-chain.js';
import type { Outbound } from '#libs/core/outbound.js';

/** An entry as sinks are told it: flat, one JSON object; `hash` is what the next entry of the chain points to. */
export interface SinkRecord {
  readonly event_type: 'audit';
  readonly chain: string; readonly seq: number; readonly hash: string; readonly timestamp: string; readonly kind: string; readonly id: string;
  readonly request_id?: string; readonly principal_id?: string; readonly tool_name?: string; readonly endpoint_path?: string; readonly decision?: string; readonly deny_reason?: string; readonly rule_id?: string;
  readonly outcome?: string; readonly status?: string; readonly error_code?: string; readonly latency_ms?: number;
  /** All facts of the entry, as the chain binds them. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface AuditSink {
  /** Tells it from others, and how far it came is kept by it. */
  readonly name: string;
  /** Entries of one chain in order. Resolves when they are taken; a rejection has them told again. */
  deliver(records: readonly SinkRecord[]): Promise<void>;
}

/** `decision` and `outcome` in the words of existing consumers: success, error, timeout, rate_limited. */
export function statusOf(outcome: unknown): string | undefined {
  if (typeof outcome !== 'string') return undefined;
  if (outcome === 'success' || outcome === 'timeout' || outcome === 'rate_limited') return outcome;
  return outcome === 'input_required' ? 'success' : 'error';
}

export function sinkRecord({ seq, body, personal }: StoredEntry): SinkRecord {
  const { chain, at, kind, id, facts } = JSON.parse(body) as AuditBody;
  const subject = personal === null ? undefined : (JSON.parse(personal) as Personal).subject;
  const text = (name: string): string | undefined => (typeof facts[name] === 'string' ? facts[name] : undefined);
  const { effect, rule, reason } = (facts['decision'] ?? {}) as Readonly<Record<string, string | undefined>>;
  const denied = reason ?? text('reason') ?? text('code');
  return {
    event_type: 'audit', chain, seq, hash: digestOf(body), timestamp: at, kind, id,
    ...present({
      request_id: text('requestId'), principal_id: subject, tool_name: text('tool'), endpoint_path: text('endpoint'), decision: effect, deny_reason: effect === 'deny' ? denied : undefined, rule_id: rule,
      outcome: text('outcome'), status: statusOf(facts['outcome']), error_code: text('code'), latency_ms: typeof facts['ms'] === 'number' ? facts['ms'] : undefined,
    }),
    facts,
  };
}
const present = <T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } => Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;

const jsonLines = (records: readonly SinkRecord[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join('');

export interface SinkParts {
  readonly outbound: Pick<Outbound, 'request'> | undefined;
  /** Signs webhooks. */
  readonly secret: string | undefined;
  readonly service: string;
  readonly write?: (text: string) => void;
  readonly now?: () => number;
}
export class InvalidSink extends Error {
  readonly code = 'INVALID_SINK';
  override get name(): string { return 'InvalidSink'; }
}
const HTTP_TIMEOUT_MS = 10_000;
const KINDS = 'stdout, file:/path, webhook:https://…, syslog:udp://host:port, syslog:tcp://host:port, otlp:http://host:4318';

/** One sink of the setting: `stdout`, `file:PATH`, `webhook:URL`, `syslog:udp://HOST:PORT`, `otlp:URL`. Throws `InvalidSink`. */
export function makeSink(setting: string, parts: SinkParts): AuditSink {
  const colon = setting.indexOf(':');
  const [kind, rest] = colon < 0 ? [setting, ''] : [setting.slice(0, colon), setting.slice(colon + 1)];
  const refuse = (problem: string): never => { throw new InvalidSink(`audit sink ${kind}: ${problem}; known are ${KINDS}`); };
  if (kind === 'stdout') return { name: 'stdout', deliver: async (records) => { (parts.write ?? ((text) => { process.stdout.write(text); }))(jsonLines(records)); } };
  if (kind === 'file' && rest !== '') return { name: setting, deliver: async (records) => { appendDurably(rest, jsonLines(records)); } };
  if (kind === 'webhook' || kind === 'otlp') {
    if (!/^https?:\/\//.test(rest) || !URL.canParse(rest)) return refuse('needs an http or https URL');
    const { outbound } = parts;
    if (outbound === undefined) return refuse('this process sends nothing over HTTP');
    const post = async (url: string, body: string, headers: readonly (readonly [string, string])[]): Promise<void> => {
      const { status } = await outbound.request({ url, method: 'POST', headers: [['content-type', 'application/json'], ...headers], body, timeoutMs: HTTP_TIMEOUT_MS, maxBytes: 65_536 });
      if (status < 200 || status > 299) throw new Error(`answered ${status}`);
    };
    // Named in logs and in the database: without what may be a secret in it.
    const { origin, pathname } = new URL(rest);
    const name = `${kind}:${origin}${pathname}#${digestOf(rest).slice(0, 8)}`;
    return kind === 'webhook' ? webhook(name, rest, post, parts) : otlp(name, rest, post, parts.service);
  }
  if (kind === 'syslog') {
    const url = URL.canParse(rest) ? new URL(rest) : undefined;
    if (url === undefined || !/^(udp|tcp):$/.test(url.protocol) || url.hostname === '' || url.port === '') return refuse('needs udp://host:port or tcp://host:port');
    return syslog(setting, url, parts.service);
  }
  return refuse('is not a sink');
}

type Post = (url: string, body: string, headers: readonly (readonly [string, string])[]) => Promise<void>;

/**
 * `{"records": […]}`, at most 100 of one chain. `x-stoa-signature: t=SECONDS,v1=HEX`, HMAC-SHA256 over `SECONDS.BODY`; `x-stoa-delivery` names
 * what is in it, the same when it comes again.
 */
const webhook = (name: string, url: string, post: Post, { secret, now = Date.now }: SinkParts): AuditSink => {
  if (secret === undefined) throw new InvalidSink('audit sink webhook: set AUDIT_WEBHOOK_SECRET, so that its receiver can tell who sends');
  return {
    name,
    deliver: (records) => {
      const body = JSON.stringify({ records });
      const time = Math.floor(now() / 1000);
      const [first, last] = [records[0], records.at(-1)];
      return post(url, body, [['x-stoa-delivery', `${first?.chain ?? ''}:${first?.seq ?? 0}-${last?.seq ?? 0}`], ['x-stoa-signature', `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`]]);
    },
  };
};

/** OTLP/HTTP with JSON (opentelemetry.io/docs/specs/otlp): one log record for each entry. */
const otlp = (name: string, url: string, post: Post, service: string): AuditSink => ({
  name,
  deliver: (records) => post(url.endsWith('/v1/logs') ? url : `${url.replace(/\/$/, '')}/v1/logs`, JSON.stringify({
    resourceLogs: [{
      resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] },
      scopeLogs: [{
        scope: { name: 'stoa.audit' },
        logRecords: records.map(({ facts: _facts, ...record }, i) => ({
          timeUnixNano: `${Date.parse(record.timestamp)}000000`, severityNumber: record.decision === 'deny' ? 13 : 9, severityText: record.decision === 'deny' ? 'WARN' : 'INFO', body: { stringValue: JSON.stringify(records[i]) },
          attributes: Object.entries(record).map(([key, value]) => ({ key: `stoa.${key}`, value: typeof value === 'number' ? { intValue: String(Math.round(value)) } : { stringValue: value } })),
        })),
      }],
    }],
  }), []),
});

/** RFC 5424, facility 13 (log audit); over TCP with octet counting (RFC 6587 §3.4.1). UDP tells nobody whether it arrived. */
function syslog(name: string, url: URL, service: string): AuditSink {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = Number(url.port);
  const line = (record: SinkRecord): string => `<${13 * 8 + (record.decision === 'deny' ? 4 : 6)}>1 ${record.timestamp} ${hostname()} ${service} ${process.pid} ${record.kind} - ${JSON.stringify(record)}`;
  if (url.protocol === 'udp:') {
    return {
      name,
      deliver: async (records) => {
        const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
        try {
          for (const record of records) await new Promise<void>((resolve, reject) => { socket.send(line(record), port, host, (failure) => { if (failure) reject(failure); else resolve(); }); });
        } finally { socket.close(); }
      },
    };
  }
  return {
    name,
    deliver: (records) => new Promise((resolve, reject) => {
      const socket = connect({ host, port, timeout: HTTP_TIMEOUT_MS });
      socket.once('error', reject).once('timeout', () => { socket.destroy(new Error('no answer')); });
      // The other side read all that was sent when it ends after us.
      socket.once('close', (failed) => { if (!failed) resolve(); });
      socket.resume().end(records.map((record) => { const text = Buffer.from(line(record)); return `${text.length} ${text.toString()}`; }).join(''));
    }),
  };
}

function appendDurably(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const file = openSync(path, 'a', 0o600);
  try { writeSync(file, text); fsyncSync(file); } finally { closeSync(file); }
}
