import { createHash } from 'node:crypto';
import type { AuthenticatedCall } from '#libs/core/call.js';
import { Denial } from '#libs/core/errors.js';
import type { CallResult, InputRequired } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { tenantKey, type TenantSlug } from '#libs/core/tenant.js';
import { mcpAnswer, RPC } from '../error-mapping.js';
import { resultJson, rpcResult, toolErrorJson } from './answer.js';
import { agreementAsked } from '../confirmation.js';
import { parameterMismatch } from './header-rules.js';
import type { ListMethod } from './pages.js';
import { fail, isRecord, type Turn, type Wire } from './wire.js';

/** The methods that both eras have. Each answers its turn's exchange exactly once. */
export type Method = (wire: Wire, turn: Turn) => void | Promise<void>;

const invalid = (message: string, data?: Readonly<Record<string, unknown>>): { status: number; code: number; message: string; data?: Readonly<Record<string, unknown>> } =>
  ({ status: 200, code: RPC.invalidParams, message, ...(data ? { data } : {}) });

const list = (method: ListMethod): Method => (wire, turn) => {
  const cursor = turn.rpc.params['cursor'];
  if (cursor !== undefined && typeof cursor !== 'string') return fail(wire, turn, invalid('cursor is a string.'));
  const page = wire.pages.page(method, turn.principal, cursor);
  return page instanceof Promise ? page.then((loaded) => answerPage(wire, turn, loaded)) : answerPage(wire, turn, page);
};
function answerPage(wire: Wire, turn: Turn, page: Buffer | undefined): void {
  if (page === undefined) return fail(wire, turn, invalid('Invalid cursor: list again from the start.'));
  turn.exchange.answer(200, `{"jsonrpc":"2.0","id":${JSON.stringify(turn.rpc.id)},"result":`, undefined, { page, end: '}' });
}

const callTool: Method = (wire, turn) => {
  const { name, arguments: args } = turn.rpc.params;
  if (typeof name !== 'string') return fail(wire, turn, invalid('params.name is required and is a string.'));
  if (args !== undefined && !isRecord(args)) return fail(wire, turn, invalid('params.arguments is an object.'));
  if (wire.era === 'legacy') return run(wire, turn, { kind: 'tool', name, args: args ?? {} });
  const target = wire.options.listing.find('tool', name, turn.principal);
  return target instanceof Promise ? target.then((found) => checkedCall(wire, turn, found, args ?? {})) : checkedCall(wire, turn, target, args ?? {});
};
function checkedCall(wire: Wire, turn: Turn, target: Target | undefined, args: Readonly<Record<string, unknown>>): void | Promise<void> {
  const fault = target && parameterMismatch(target, args, turn.exchange.http.headers);
  if (fault !== undefined) return fail(wire, turn, { status: 400, code: RPC.headerMismatch, message: fault });
  return run(wire, turn, { kind: 'tool', name: turn.rpc.params['name'] as string, args });
}

const getPrompt: Method = (wire, turn) => {
  const { name, arguments: args } = turn.rpc.params;
  if (typeof name !== 'string') return fail(wire, turn, invalid('params.name is required and is a string.'));
  if (args !== undefined && !isRecord(args)) return fail(wire, turn, invalid('params.arguments is an object of strings.'));
  return run(wire, turn, { kind: 'prompt', name, args: args ?? {} });
};

const readResource: Method = (wire, turn) => {
  const { uri } = turn.rpc.params;
  if (typeof uri !== 'string') return fail(wire, turn, invalid('params.uri is required and is a string.'));
  return run(wire, turn, { kind: 'resource', name: uri, args: {} });
};

interface Asked { readonly kind: Target['kind']; readonly name: string; readonly args: Readonly<Record<string, unknown>> }

/** The call line, and its result or denial as the era's answer. */
function run(wire: Wire, turn: Turn, asked: Asked): void | Promise<void> {
  const { kind, name, args } = asked;
  const { exchange, principal, rpc } = turn;
  const { http } = exchange;
  const meta = rpc.params['_meta'];
  const retry = rpc.params['inputResponses'] !== undefined || rpc.params['requestState'] !== undefined;
  if (isRecord(meta)) {
    const token = meta['progressToken'];
    if (typeof token === 'string' || typeof token === 'number') exchange.allowProgress(token);
  }
  if (wire.era === 'modern' && retry) {
    const refused = resume(wire, turn, asked);
    if (refused !== undefined) return fail(wire, turn, invalid(refused));
  }
  const trace = traceOf(meta, http.headers);
  const call: AuthenticatedCall = {
    requestId: http.id, door: wire.era === 'modern' ? 'mcp' : 'mcp-legacy', principal, kind, name, arguments: args, exchange,
    traceparent: trace.traceparent, tracestate: trace.tracestate,
    consumer: typeof http.headers['x-consumer-id'] === 'string' ? http.headers['x-consumer-id'] : 'unknown',
    startedAt: exchange.startedAt, idempotencyKey: keyOf(meta, http.headers),
  };
  return wire.options.runCall(call).then((result) => {
    exchange.call = call;
    return answerCall(wire, turn, { ...asked, retry }, result);
  });
}

function answerCall(wire: Wire, turn: Turn, asked: Asked & { readonly retry: boolean }, result: CallResult | Denial): void {
  const { exchange, rpc } = turn;
  const { kind, name, retry } = asked;
  if (result instanceof Denial && result.confirmation && wire.era === 'modern') return askForInput(wire, turn, asked, agreementAsked(result.confirmation));
  if (result instanceof Denial) {
    const answer = mcpAnswer(result, { era: wire.era, kind, name, requestId: exchange.http.id });
    if (answer.as === 'tool-error') exchange.answer(answer.status, rpcResult(rpc.id, toolErrorJson(answer, wire.tails)), answer.headers);
    else fail(wire, turn, { ...answer, data: answer.data });
  } else if (result.type === 'input_required') {
    if (wire.era === 'modern') return askForInput(wire, turn, asked, result);
    fail(wire, turn, { status: 200, code: RPC.internal, message: 'The tool needs input that this protocol revision cannot ask for in a result.' });
  } else {
    const caching = kind === 'resource' && wire.era === 'modern' ? `,"ttlMs":${retry ? 0 : wire.limits.listTtlMs},"cacheScope":"private"` : '';
    exchange.answer(200, rpcResult(rpc.id, resultJson(result, wire.tails, caching)));
  }
}

/** The caller's `Idempotency-Key`: in the message, where several may share a connection, else the header. One that is too long stays too long. */
function keyOf(meta: unknown, headers: Readonly<Record<string, string | string[] | undefined>>): string | undefined {
  const key = (isRecord(meta) ? meta['dev.gostoa/idempotency-key'] : undefined) ?? headers['idempotency-key'];
  if (key === undefined || key === '') return undefined;
  return typeof key === 'string' ? key.slice(0, 256) : ' ';
}

function traceOf(meta: unknown, headers: Readonly<Record<string, string | string[] | undefined>>): { traceparent: string | undefined; tracestate: string | undefined } {
  const from = isRecord(meta) && typeof meta['traceparent'] === 'string' ? meta : headers;
  const { traceparent, tracestate } = from;
  return { traceparent: typeof traceparent === 'string' ? traceparent : undefined, tracestate: typeof tracestate === 'string' ? tracestate : undefined };
}

// Multi-round-trip requests (MCP 2026-07-28). What the client brings back is only believed when we sealed it for this very call.

export const CAPABILITY: Readonly<Record<string, string>> = { 'sampling/createMessage': 'sampling', 'elicitation/create': 'elicitation', 'roots/list': 'roots' };

function askForInput(wire: Wire, turn: Turn, asked: Asked, result: InputRequired): void {
  const missing: Record<string, object> = {};
  for (const request of Object.values(result.inputRequests ?? {})) {
    const capability = isRecord(request) && typeof request['method'] === 'string' ? CAPABILITY[request['method']] : undefined;
    if (capability !== undefined && !isRecord(turn.exchange.clientCapabilities[capability])) missing[capability] = {};
  }
  if (Object.keys(missing).length > 0) {
    return fail(wire, turn, { status: 400, code: RPC.missingCapability, message: `The client must declare: ${Object.keys(missing).join(', ')}.`, data: { requiredCapabilities: missing } });
  }
  const requests = result.inputRequests === undefined ? '' : `"inputRequests":${JSON.stringify(result.inputRequests)}`;
  const state = result.requestState === undefined ? '' : `"requestState":"${wire.seal.seal(stateContext(turn, asked), `${wire.now() + wire.limits.requestStateMs}:${result.requestState}`)}"`;
  const members = [requests, state].filter((member) => member !== '').join(',');
  turn.exchange.answer(200, rpcResult(turn.rpc.id, `{${members}${members === '' ? wire.tails.inputRequired.slice(1) : wire.tails.inputRequired}}`));
}

/** Puts what the client brought back into its exchange. Answers what is wrong with it. */
function resume(wire: Wire, turn: Turn, asked: Asked): string | undefined {
  const { inputResponses, requestState } = turn.rpc.params;
  if (inputResponses !== undefined) {
    if (!isRecord(inputResponses) || !Object.values(inputResponses).every(isRecord)) return 'params.inputResponses is an object of objects.';
    turn.exchange.inputResponses = inputResponses;
  }
  if (requestState === undefined) return undefined;
  const opened = typeof requestState === 'string' ? wire.seal.open(stateContext(turn, asked), requestState) : undefined;
  const colon = opened?.indexOf(':') ?? -1;
  if (opened === undefined || Number(opened.slice(0, colon)) < wire.now()) return 'params.requestState is not valid for this request: start it again.';
  turn.exchange.requestState = opened.slice(colon + 1);
  return undefined;
}

function stateContext({ principal, rpc }: Turn, { name, args }: Asked): string {
  const digest = createHash('sha256').update(JSON.stringify(args, sortedKeys)).digest('base64');
  return tenantKey(principal.tenant ?? ('-' as TenantSlug), 'state', principal.issuer, principal.subject, rpc.method, name, digest);
}
const sortedKeys = (_: string, value: unknown): unknown => (isRecord(value) ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) : value);

export const SHARED_METHODS: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['tools/call', callTool],
  ['tools/list', list('tools/list')],
  ['prompts/list', list('prompts/list')],
  ['prompts/get', getPrompt],
  ['resources/list', list('resources/list')],
  ['resources/templates/list', list('resources/templates/list')],
  ['resources/read', readResource],
]);
