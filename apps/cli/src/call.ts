import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Client, StreamableHTTPClientTransport, type CallToolResult } from '@modelcontextprotocol/client';
import { readArguments, type ToolInput } from './arguments.js';
import { CommandError, readConnection } from './client.js';
import type { Io } from './io.js';
import { requestToken } from './token.js';

export const CALL_HELP = `stoa call TOOL --tenant T [options]

Calls a tool through the MCP endpoint and prints its answer. Exits 1 when the tool answers an error.

  --tenant T     the tenant
  --role R       role to act in: cpi-admin, tenant-admin, devops, viewer (default tenant-admin)
  --arg k=v      one argument, read by the tool's schema (repeatable; body.name=v reaches into the body)
  --args JSON    arguments as one JSON object
  --confirm      agree to what a destructive tool asks first
  -v, --verbose  print the call id and the request id as well; stoa explain takes both
  --idempotency-key K   the same key within 24 hours is the same call, made and charged once
  --json         print the whole result as JSON`;

export const TOOLS_HELP = `stoa tools --tenant T [options]

Lists the tools that this principal may call, through the MCP endpoint.

  --tenant T     the tenant
  --role R       role to act in (default tenant-admin)
  --json         print the whole tool definitions as JSON`;

const PRINCIPAL = { tenant: { type: 'string' }, role: { type: 'string', default: 'tenant-admin' }, json: { type: 'boolean', default: false } } as const;

export async function callCommand(args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args], allowPositionals: true, strict: true, options: { ...PRINCIPAL, arg: { type: 'string', multiple: true, default: [] }, args: { type: 'string' }, confirm: { type: 'boolean', default: false }, verbose: { type: 'boolean', short: 'v', default: false }, 'idempotency-key': { type: 'string' } },
  });
  const [name] = positionals;
  if (name === undefined || positionals.length > 1) throw new CommandError('stoa call needs one tool name', 2);
  const whole = values.args === undefined ? {} : jsonObject(values.args);
  return withClient({ ...values, idempotencyKey: values['idempotency-key'] }, io, async (client) => {
    const single = values.arg.length === 0 ? {} : byPairs(values.arg, (await client.listTools()).tools.find((tool) => tool.name === name)?.inputSchema ?? {});
    const result = await client.callTool({ name, arguments: { ...whole, ...single } });
    if (values.json) io.out(JSON.stringify(result, undefined, 2));
    else print(result, io);
    return result.isError === true ? 1 : 0;
  });
}

export async function toolsCommand(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...args], strict: true, options: PRINCIPAL });
  return withClient(values, io, async (client) => {
    const { tools } = await client.listTools();
    if (values.json) { io.out(JSON.stringify(tools, undefined, 2)); return 0; }
    const width = Math.min(40, Math.max(0, ...tools.map((tool) => tool.name.length)));
    for (const tool of tools) io.out(`${tool.name.padEnd(width)}  ${(tool.description ?? '').split('\n', 1)[0] ?? ''}`);
    return 0;
  });
}

interface Principal { readonly tenant?: string | undefined; readonly role: string; readonly confirm?: boolean; readonly verbose?: boolean; readonly idempotencyKey?: string | undefined }
async function withClient(principal: Principal, io: Io, use: (client: Client) => Promise<number>): Promise<number> {
  if (principal.tenant === undefined) throw new CommandError('--tenant is missing: say whose tools', 2);
  const connection = readConnection(io.env);
  const token = await requestToken(connection, { tenant: principal.tenant, role: principal.role });
  const client = new Client({ name: 'stoa-cli', version: '0.1.0' }, { versionNegotiation: { mode: 'auto' }, listMaxPages: 1000, capabilities: { elicitation: {} } });
  client.setRequestHandler('elicitation/create', ({ params }) => {
    if (principal.confirm === true) return { action: 'accept', content: { confirm: true } };
    io.err(`${params.message} Call again with --confirm.`);
    return { action: 'decline' };
  });
  // An id that can be quoted: stoa explain takes it.
  const requestId = randomUUID();
  let callId: string | undefined;
  const heard: typeof fetch = async (...asked) => {
    const reply = await fetch(...asked);
    callId = reply.headers.get('x-stoa-call-id') ?? callId;
    return reply;
  };
  const hint = (): string => `${callId === undefined ? '' : `call ${callId}, `}request ${requestId}: npx stoa explain ${callId ?? requestId} --tenant ${principal.tenant}`;
  try {
    await client.connect(new StreamableHTTPClientTransport(new URL(`${connection.url}/mcp`), { authProvider: { token: () => Promise.resolve(token) }, fetch: heard, requestInit: { headers: { 'x-request-id': requestId, 'x-consumer-id': 'stoa-cli', ...(principal.idempotencyKey === undefined ? {} : { 'idempotency-key': principal.idempotencyKey }) } } }));
    const code = await use(client);
    if (code !== 0 || principal.verbose === true) io.err(hint());
    return code;
  } catch (failure) {
    io.err(hint());
    throw failure;
  } finally {
    await client.close();
  }
}

function byPairs(pairs: readonly string[], schema: ToolInput): Record<string, unknown> {
  try { return readArguments(pairs, schema); } catch (error) { throw new CommandError((error as Error).message, 2); }
}
function jsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try { value = JSON.parse(text); } catch (error) { throw new CommandError(`--args is not JSON: ${(error as Error).message}`, 2); }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new CommandError('--args must be a JSON object, as {"name": "value"}', 2);
  return value as Record<string, unknown>;
}

function print(result: CallToolResult, io: Io): void {
  const say = result.isError === true ? io.err : io.out;
  for (const block of result.content) {
    if (block.type === 'text') say(block.text);
    else if (block.type === 'resource') say('text' in block.resource ? block.resource.text : `[${block.resource.mimeType ?? 'binary'} resource ${block.resource.uri}]`);
    else if (block.type === 'resource_link') say(`[resource ${block.uri}]`);
    else say(`[${block.mimeType}, ${block.data.length} characters of base64]`);
  }
  if (result.content.length === 0 && result.structuredContent !== undefined) say(JSON.stringify(result.structuredContent));
}
