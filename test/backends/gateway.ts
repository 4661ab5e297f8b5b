import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createGateway } from '#apps/gateway/src/create-gateway.js';
import { RUN_CALL } from '#apps/gateway/src/tokens.js';
import type { AuthenticatedCall, ResolvedCall } from '#libs/core/call.js';
import type { CallRecord } from '#libs/core/call-record.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { RunCall } from '#libs/core/pipeline.js';
import type { Backend } from '#libs/core/ports.js';
import type { CallResult, ToolResult } from '#libs/core/result.js';
import type { CredentialReference, CredentialSlot } from '#libs/core/rest-binding.js';
import type { Api, Target } from '#libs/core/target.js';
import { CallLines, parseRecord } from '#libs/metering/call-lines.js';
import { JournalMeter } from '#libs/metering/usage-meter.js';
import { createArgumentValidator, type Validator } from '#libs/validation/validator.js';
import { CALLERS, type FakeGateway, fakeGateway, slug } from '../fake-gateway.js';

export interface Offer {
  readonly document: ConvertedDocument;
  readonly name: string;
  readonly baseUrl: string | undefined;
  readonly timeoutMs?: number;
  readonly slots?: Readonly<Record<string, CredentialSlot>>;
  readonly credentials?: Readonly<Record<string, CredentialReference>>;
  /** Instead of what the document asks for. */
  readonly security?: readonly (readonly string[])[];
}

/** What the controller makes of an import, as the data plane is given it. */
export function published({ document, name, baseUrl, timeoutMs = 5000, slots = document.slots, credentials = {}, security }: Offer): { readonly api: Api; readonly targets: readonly Target[] } {
  const tenant = slug('acme');
  const { definitions } = document;
  const api: Api = { id: `api-${name}`, tenant, name, version: '1', title: name, description: '', kind: 'openapi', status: 'active', category: undefined, tags: [], specHash: document.specHash, baseUrl, definitions, slots, credentials };
  const targets = document.tools.map((tool): Target => {
    const { backend, inputSchema, outputSchema, operationClass, hash, listed, description } = tool;
    return {
      kind: 'tool', name: tool.name, tenant, apiId: api.id, description, operationClass, tags: [], category: undefined, version: '1', inputSchema, ...(outputSchema === undefined ? {} : { outputSchema }),
      definitions, backend: security === undefined ? backend : { ...backend, security } as Target['backend'], timeoutMs, hash, listed,
    };
  });
  return { api, targets };
}

/** What each stage of the line was told, in order. */
export interface Told { readonly stage: 'policy' | 'limit' | 'redact'; readonly name: string; readonly class: string; readonly tags: readonly string[]; readonly arguments?: unknown }

export interface Gateway {
  readonly app: NestFastifyApplication;
  readonly fake: FakeGateway;
  readonly runCall: RunCall;
  readonly validator: Validator;
  readonly told: Told[];
  /** Of the calls that ended, as the journal has them; what differs from run to run is taken out. */
  readonly records: () => readonly Partial<CallRecord>[];
  /** Policy and limit say no to this tool. */
  refuse: { policy?: string; limit?: string };
  forget(): void;
}

/** The composed line of the gateway around one backend, with ports that write down what they are told. */
export async function gatewayWith(kind: string, make: (validator: Validator) => Backend, more: Parameters<typeof fakeGateway>[0] = {}): Promise<Gateway> {
  const told: Told[] = [];
  const refuse: Gateway['refuse'] = {};
  const tell = (stage: Told['stage'], { target, arguments: args }: ResolvedCall): void => { told.push({ stage, name: target.name, class: target.operationClass, tags: target.tags, ...(stage === 'policy' ? { arguments: args } : {}) }); };
  const lines = new Map<number, string>();
  let seq = 0;
  const validator = createArgumentValidator();
  const note = async (at: number, text: string): Promise<void> => { lines.set(at, (lines.get(at) ?? '') + text); };
  const meter = new JournalMeter({
    lines: new CallLines('0123456789abcde'), redactArguments: (value) => ({ value, replaced: 0 }),
    journal: { refusal: undefined, mint: () => (seq += 1), intend: note, settle: note, record: note },
  });
  const fake = fakeGateway({
    validator, meter, backends: { [kind]: make(validator) }, mcp: { allowedOrigins: [], cursorKey: Buffer.alloc(32, 7) },
    policy: { decide: (call) => { tell('policy', call); return refuse.policy === call.target.name ? new Denial({ code: 'FORBIDDEN', message: 'no', decision: { ruleId: 'rule.no', policyRevision: 'p1' } }) : { ruleId: 'rule.yes', policyRevision: 'p1' }; } },
    limiter: { take: (call) => { tell('limit', call); return refuse.limit === call.target.name ? new Denial({ code: 'RATE_LIMITED', message: 'slow down', retryAfterSeconds: 7 }) : undefined; } },
    redactor: { redact: (result, call) => { tell('redact', call); return withoutMail(result); } },
    ...more,
  });
  const app = await createGateway(fake.parts);
  return {
    app, fake, validator, told, refuse, runCall: app.get<RunCall>(RUN_CALL, { strict: false }),
    records: () => [...lines.values()].map((text) => comparable(parseRecord(text))),
    forget: () => { lines.clear(); told.length = 0; delete refuse.policy; delete refuse.limit; },
  };
}

const MAIL = /ada@example\.org/g;
const withoutMail = (result: CallResult): CallResult => (result.type !== 'tool' ? result : {
  ...result, content: result.content.map((block) => (block.type === 'text' ? { ...block, text: block.text.replaceAll(MAIL, '[mail]') } : block)),
  ...(result.structuredJson === undefined ? {} : { structuredJson: result.structuredJson.replaceAll(MAIL, '[mail]') }),
});

/** Without the numbers of this run, and the two that are the kind's own: bytes on its wire and its name. */
function comparable({ id: _id, seq: _seq, at: _at, units, target, principal: _who, v: _v, requestId: _request, reason: _reason, arguments: _arguments, ...record }: CallRecord): Partial<CallRecord> & { readonly responded: boolean; readonly attempts: number } {
  return { ...record, ...(target ? { target: { ...target, backend: 'any' } } : {}), responded: units.responseBytes > 0, attempts: units.attempts };
}

/** A call as the door makes it. */
export const callOf = (name: string, args: unknown, more: Partial<AuthenticatedCall> = {}): AuthenticatedCall => ({
  requestId: 'req-1', door: 'mcp', principal: CALLERS['acme-viewer'] as AuthenticatedCall['principal'], kind: 'tool', name, arguments: args,
  exchange: { signal: new AbortController().signal, clientCapabilities: {}, supportsInputRequired: false }, traceparent: undefined, tracestate: undefined, consumer: 'agent', startedAt: performance.now(), ...more,
});

/** The tool's answer; throws where the call was denied. */
export function toolResult(result: CallResult | Denial): ToolResult {
  if (result instanceof Denial) throw new Error(`denied: ${result.code} ${result.message} (${result.reason ?? ''})`);
  if (result.type !== 'tool') throw new Error(`not a tool's answer: ${result.type}`);
  return result;
}
export const textOf = (result: ToolResult): string => result.content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
