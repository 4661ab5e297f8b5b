import { Denial } from '#libs/core/errors.js';
import type { Target } from '#libs/core/target.js';
import { RPC } from '../error-mapping.js';
import { rpcNotification, rpcResult } from './answer.js';
import type { ChangeFeed } from './change-feed.js';
import type { EventStream } from './event-stream.js';
import type { Method } from './methods.js';
import { META } from './modern.js';
import type { StreamHub } from './stream-hub.js';
import { fail, isRecord, type Turn, type Wire } from './wire.js';

/** More resources than this are refused in one subscription. */
const MOST_URIS = 1_000;

/**
 * `subscriptions/listen` (2026-07-28): a stream of the change notifications that were asked for and of no others, each tagged with the id of
 * this request. The first message acknowledges the filter as it is honoured: a resource that the caller cannot see is left out of it.
 */
export const listen = (feed: ChangeFeed, hub: StreamHub): Method => async (wire, turn) => {
  const { notifications } = turn.rpc.params;
  const uris = isRecord(notifications) ? (notifications['resourceSubscriptions'] ?? []) : undefined;
  if (!isRecord(notifications) || !Array.isArray(uris) || uris.length > MOST_URIS || !uris.every((uri) => typeof uri === 'string')) {
    return fail(wire, turn, { status: 200, code: RPC.invalidParams, message: `params.notifications is required; resourceSubscriptions is a list of at most ${MOST_URIS} URIs.` });
  }
  if (!turn.exchange.accepts.events) return fail(wire, turn, { status: 406, code: RPC.invalidRequest, message: 'Accept text/event-stream.' });
  const visible: string[] = [];
  for (const uri of uris) if (await wire.options.listing.find('resource', uri, turn.principal)) visible.push(uri);
  const kinds = new Set<Target['kind']>();
  if (notifications['toolsListChanged'] === true) kinds.add('tool');
  if (notifications['promptsListChanged'] === true) kinds.add('prompt');
  if (notifications['resourcesListChanged'] === true) kinds.add('resource');
  const honoured = {
    ...(kinds.has('tool') ? { toolsListChanged: true } : {}), ...(kinds.has('prompt') ? { promptsListChanged: true } : {}), ...(kinds.has('resource') ? { resourcesListChanged: true } : {}),
    ...(visible.length > 0 ? { resourceSubscriptions: visible } : {}),
  };
  const tag = { [META.subscription]: turn.rpc.id };
  // What changes before the acknowledgement is in the lists that the client reads after it.
  let stream: EventStream | undefined;
  const stop = await feed.subscribe({ principal: turn.principal, kinds, uris: new Set(visible), notify: (method, params) => { stream?.send(rpcNotification(method, { ...params, _meta: tag })); } });
  const farewell = (): string => rpcResult(turn.rpc.id, `{"resultType":"complete","_meta":{${JSON.stringify(tag).slice(1, -1)},${wire.tails.metaMembers}}}`);
  const opened = turn.exchange.openStream((reply) => hub.open(reply, turn.principal, farewell));
  if (opened instanceof Denial) { stop(); return tooMany(wire, turn, opened); }
  stream = opened;
  stream.send(rpcNotification('notifications/subscriptions/acknowledged', { _meta: tag, notifications: honoured }));
  stream.onClose(stop);
};

export const tooMany = (wire: Wire, turn: Turn, { message, retryAfterSeconds = 60 }: Denial): void =>
  fail(wire, turn, { status: 429, code: RPC.tooManyStreams, message, headers: { 'retry-after': String(retryAfterSeconds) } });
