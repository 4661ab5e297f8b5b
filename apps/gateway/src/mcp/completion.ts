import type { Target } from '#libs/core/target.js';
import { RPC } from '../error-mapping.js';
import { rpcResult } from './answer.js';
import type { Method } from './methods.js';
import { fail, isRecord } from './wire.js';

/** MCP completion: at most 100 values an answer. */
const MOST = 100;

/**
 * Values that a prompt's argument or a resource template's variable declares (`enum` or `examples` of its schema) and that begin with what
 * was typed. Only what the caller can see is asked, so nothing of another tenant is ever offered.
 */
export const complete: Method = async (wire, turn) => {
  const { ref, argument } = turn.rpc.params;
  if (!isRecord(ref) || !isRecord(argument) || typeof argument['name'] !== 'string' || typeof argument['value'] !== 'string') {
    return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: 'params.ref and params.argument {name, value} are required.' });
  }
  const name = ref['type'] === 'ref/prompt' ? ref['name'] : ref['type'] === 'ref/resource' ? ref['uri'] : undefined;
  if (typeof name !== 'string') return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: 'params.ref is {type: "ref/prompt", name} or {type: "ref/resource", uri}.' });
  const kind = ref['type'] === 'ref/prompt' ? 'prompt' : 'resource';
  const target = await wire.options.listing.find(kind, name, turn.principal);
  if (!target) return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: `${kind === 'prompt' ? 'Prompt' : 'Resource'} not found: ${name}` });
  const { context } = turn.rpc.params;
  const filled = isRecord(context) && isRecord(context['arguments']) ? context['arguments'] : {};
  const others = Object.fromEntries(Object.entries(filled).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
  const offered = await wire.options.complete?.({ target, principal: turn.principal, argument: { name: argument['name'], value: argument['value'] }, others, signal: turn.exchange.signal });
  const typed = argument['value'].toLowerCase();
  const matching = offered ?? declaredValues(target, argument['name']).filter((value) => value.toLowerCase().startsWith(typed));
  const completion = { values: matching.slice(0, MOST), total: matching.length, hasMore: matching.length > MOST };
  turn.exchange.answer(200, rpcResult(turn.rpc.id, `{"completion":${JSON.stringify(completion)}${wire.tails.complete}}`));
};

function declaredValues(target: Target, argument: string): string[] {
  const schema = target.inputSchema;
  const properties = typeof schema === 'object' ? schema['properties'] : undefined;
  const property = isRecord(properties) && Object.hasOwn(properties, argument) ? properties[argument] : undefined;
  if (!isRecord(property)) return [];
  const values = Array.isArray(property['enum']) ? property['enum'] : property['examples'];
  return Array.isArray(values) ? values.filter((value) => typeof value === 'string') : [];
}
