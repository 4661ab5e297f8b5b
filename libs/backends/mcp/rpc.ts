/** What an MCP server did that the protocol does not know, or that it may not do. Fit for the caller: names what, holds no secret. */
export class UpstreamFault extends Error {
  override get name(): string { return 'UpstreamFault'; }
  /** HTTP status that the server answered, where that is the fault. */
  readonly status: number | undefined;
  constructor(message: string, options?: { readonly status?: number; readonly cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.status = options?.status;
  }
}

export type RpcId = string | number;
export type JsonObject = Readonly<Record<string, unknown>>;
export interface RpcError { readonly code: number; readonly message: string; readonly data?: unknown }

/** A JSON-RPC message as it came; exactly one of the three. */
export type Incoming =
  | { readonly kind: 'response'; readonly id: RpcId | undefined; readonly result?: JsonObject; readonly error?: RpcError; readonly text: string }
  | { readonly kind: 'request'; readonly id: RpcId; readonly method: string; readonly params: JsonObject }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject };

export const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Throws `UpstreamFault` for what is no message of JSON-RPC 2.0, quoting its beginning. */
export function readMessage(text: string): Incoming {
  const broken = (): UpstreamFault => new UpstreamFault(`The MCP server sent something that is no JSON-RPC message: ${JSON.stringify(text.slice(0, 80))}`);
  let value: unknown;
  try { value = JSON.parse(text); } catch { throw broken(); }
  if (!isObject(value) || value['jsonrpc'] !== '2.0') throw broken();
  const { id, method, params, result, error } = value;
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') throw broken();
  if (method !== undefined) {
    if (typeof method !== 'string' || (params !== undefined && !isObject(params)) || id === null) throw broken();
    return id === undefined ? { kind: 'notification', method, params: params ?? {} } : { kind: 'request', id, method, params: params ?? {} };
  }
  const known = id ?? undefined;
  if (isObject(error) && typeof error['code'] === 'number' && typeof error['message'] === 'string') return { kind: 'response', id: known, error: { code: error['code'], message: error['message'], ...('data' in error ? { data: error['data'] } : {}) }, text };
  if (!isObject(result)) throw broken();
  return { kind: 'response', id: known, result, text };
}

/** What the server said to one request: its result, or its refusal. */
export interface Reply {
  readonly result?: JsonObject;
  readonly error?: RpcError;
  /** The whole message, as it came. */
  readonly text: string;
  /** Bytes of everything that the server sent for it. */
  readonly bytes: number;
  readonly era: 'modern' | 'legacy';
}

/** Who asks, as far as an MCP server may know it. */
export interface Caller {
  readonly era: 'modern' | 'legacy';
  /** What the caller can be asked for; see `capabilitiesOf`. */
  readonly capabilities: JsonObject;
  readonly progress?: ((progress: number, total?: number, message?: string) => void) | undefined;
  readonly log?: ((level: string, data: unknown, logger?: string) => void) | undefined;
  /** Asks the caller in the middle of its call (legacy eras); rejects where it cannot be asked. */
  readonly ask?: ((method: string, params: JsonObject) => Promise<unknown>) | undefined;
  readonly signal: AbortSignal;
  /** Whole call, in milliseconds. */
  readonly timeoutMs: number;
  /** Headers that name the call in logs and traces. */
  readonly correlation?: readonly (readonly [string, string])[];
  /** Whose sessions these are: what one caller leaves in a session, no other finds. */
  readonly session: string;
}

/** Of one call: `name` is mirrored in a header, `mirrored` are the arguments that the tool's schema wants there. */
export interface Question {
  readonly method: string;
  readonly params: JsonObject;
  readonly name?: string;
  readonly mirrored?: readonly (readonly [string, string])[];
}

/** One MCP server as it is spoken with. Rejects with `UpstreamFault` and `OutboundFailure`. */
export interface Upstream {
  ask(question: Question, caller: Caller): Promise<Reply>;
  /** What it said of itself when it was greeted (`initialize`, `server/discover`); undefined before. */
  about(): JsonObject | undefined;
  close(): Promise<void>;
}

export const MODERN = '2026-07-28';
/** Newest first. */
export const LEGACY = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;
const ASKABLE = ['sampling', 'elicitation', 'roots'] as const;

/** Of a client's capabilities, those that go through the gateway; extensions do not. */
export const capabilitiesOf = (declared: JsonObject): JsonObject =>
  Object.fromEntries(ASKABLE.flatMap((name) => (isObject(declared[name]) ? [[name, declared[name]]] : [])));

/** `_meta` of a request of 2026-07-28. */
export const modernMeta = (version: string, caller: Caller, progressToken: RpcId): JsonObject => ({
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': { name: 'stoa', version },
  'io.modelcontextprotocol/clientCapabilities': caller.capabilities,
  ...(caller.log ? { 'io.modelcontextprotocol/logLevel': 'debug' } : {}),
  ...(caller.progress ? { progressToken } : {}),
  ...Object.fromEntries((caller.correlation ?? []).filter(([name]) => name === 'traceparent' || name === 'tracestate')),
});

/** Hands what a server tells beside its answer to the caller. */
export function tell(caller: Caller, method: string, params: JsonObject): void {
  if (method === 'notifications/progress') {
    const { progress, total, message } = params;
    if (typeof progress === 'number') caller.progress?.(progress, typeof total === 'number' ? total : undefined, typeof message === 'string' ? message : undefined);
  } else if (method === 'notifications/message' && typeof params['level'] === 'string') {
    caller.log?.(params['level'], params['data'], typeof params['logger'] === 'string' ? params['logger'] : undefined);
  }
}

/** The answer to a request of the server: what the caller said, or why it cannot be asked. */
export async function answerFor(caller: Caller | undefined, { id, method, params }: Extract<Incoming, { readonly kind: 'request' }>): Promise<string> {
  const refuse = (code: number, message: string): string => JSON.stringify({ jsonrpc: '2.0', id, error: { code, message } });
  if (method === 'ping') return JSON.stringify({ jsonrpc: '2.0', id, result: {} });
  if (method !== 'sampling/createMessage' && method !== 'elicitation/create' && method !== 'roots/list') return refuse(-32601, `Method not found: ${method}`);
  if (!caller?.ask) return refuse(-32601, caller ? 'The caller cannot be asked.' : 'It cannot be told which call asks: the server has several in hand.');
  try {
    return JSON.stringify({ jsonrpc: '2.0', id, result: await caller.ask(method, params) });
  } catch (failure) {
    return refuse(-32603, failure instanceof Error ? failure.message : 'The caller did not answer.');
  }
}
