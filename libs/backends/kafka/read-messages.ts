import type { StoredMessage } from '#libs/backends/kafka/cluster.js';
import { fetchFrom, type KafkaCluster, offsetsAt, partitionsOf, type Position } from '#libs/backends/kafka/cluster.js';
import { PayloadProblem } from '#libs/backends/kafka/avro-payload.js';
import { READ_LIMITS } from '#libs/backends/kafka/topic-plans.js';

/** What a caller asks for, its bounds filled in. */
export interface ReadRequest {
  readonly start: ReadonlyMap<number, bigint> | Position;
  readonly partition: number | undefined;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly waitMs: number;
}
export interface Lot {
  readonly messages: readonly (StoredMessage & { readonly partition: number })[];
  readonly offsets: ReadonlyMap<number, bigint>;
  readonly atEnd: boolean;
  /** Of keys and values. */
  readonly bytes: number;
}

/** Bytes of one message; a larger one is refused by name, so that a reader can go past it. */
const MAX_MESSAGE = 8 * 1024 * 1024;
const PAUSE_MS = 50;

/** The arguments of a `consume` tool. Throws `PayloadProblem` naming the argument. */
export function readRequest(input: Readonly<Record<string, unknown>>, topic: string): ReadRequest {
  const { cursor, from, offset, timestamp, partition } = input as { readonly cursor?: string; readonly from?: 'earliest' | 'latest'; readonly offset?: string | number; readonly timestamp?: string; readonly partition?: number };
  const given = Object.entries({ cursor, from, offset, timestamp }).filter(([, value]) => value !== undefined).map(([name]) => name);
  if (given.length > 1) throw new PayloadProblem(`cannot stand beside ${given[0] ?? ''}: one of cursor, from, offset and timestamp says where to begin`, `/${given[1] ?? ''}`);
  if (offset !== undefined && partition === undefined) throw new PayloadProblem('is needed with offset: offsets count within one partition', '/partition');
  if (cursor !== undefined && partition !== undefined) throw new PayloadProblem('cannot stand beside cursor, which says its partitions itself', '/partition');
  const start = cursor === undefined ? offset === undefined ? timestamp === undefined ? from ?? 'earliest' : { timestamp: millisecondsOf(timestamp) } : new Map([[partition ?? 0, offsetOf(offset, '/offset')]]) : readCursor(cursor, topic);
  const number = (name: string, otherwise: number): number => { const value = input[name]; return typeof value === 'number' ? value : otherwise; };
  return { start, partition, maxMessages: number('maxMessages', READ_LIMITS.messagesDefault), maxBytes: number('maxBytes', READ_LIMITS.bytes), waitMs: number('waitMs', READ_LIMITS.waitDefault) };
}

/** Everything is read again until a bound is met, the topic's end is reached, or nothing came within the wait. `isOver`: the call has ended or is about to. */
export async function readLot(cluster: KafkaCluster, topic: string, { start, partition, maxMessages, maxBytes, waitMs }: ReadRequest, isOver: () => boolean): Promise<Lot> {
  const offsets = new Map(await startOf(cluster, topic, start, partition));
  const messages: (StoredMessage & { readonly partition: number })[] = [];
  const began = performance.now();
  let bytes = 0;
  for (;;) {
    const portions = await fetchFrom(cluster, topic, offsets, maxBytes);
    let moved = false;
    let atEnd = true;
    for (const portion of portions.toSorted((a, b) => a.partition - b.partition)) {
      let next = portion.next;
      for (const message of portion.messages) {
        const size = (message.value?.byteLength ?? 0) + (message.key?.byteLength ?? 0);
        if (size > MAX_MESSAGE) {
          if (messages.length === 0) throw new PayloadProblem(`holds ${size} bytes at partition ${portion.partition}, offset ${message.offset}; the limit is ${MAX_MESSAGE}. Go on after it with offset ${BigInt(message.offset) + 1n}`, '/message');
          next = BigInt(message.offset);
          break;
        }
        if (messages.length >= maxMessages || (messages.length > 0 && bytes + size > maxBytes)) { next = BigInt(message.offset); break; }
        messages.push({ ...message, partition: portion.partition });
        bytes += size;
      }
      if (next > (offsets.get(portion.partition) ?? 0n)) moved = true;
      offsets.set(portion.partition, next);
      if (next < portion.end) atEnd = false;
    }
    const full = messages.length >= maxMessages || bytes >= maxBytes;
    if (full || isOver() || (messages.length > 0 && (atEnd || !moved)) || (messages.length === 0 && !moved && performance.now() - began >= waitMs)) return { messages, offsets, atEnd, bytes };
    if (!moved) await pause(PAUSE_MS);
  }
}

/** Reads from these offsets until a message is the one that is waited for; undefined: the call was over first. */
export async function awaitMessage(cluster: KafkaCluster, topic: string, from: ReadonlyMap<number, bigint>, wanted: { readonly is: (message: StoredMessage) => boolean; readonly isOver: () => boolean }): Promise<(StoredMessage & { readonly partition: number }) | undefined> {
  const offsets = new Map(from);
  for (;;) {
    for (const { partition, messages, next } of await fetchFrom(cluster, topic, offsets, READ_LIMITS.bytes)) {
      const found = messages.find((message) => wanted.is(message));
      if (found !== undefined) return { ...found, partition };
      offsets.set(partition, next);
    }
    if (wanted.isOver()) return undefined;
    await pause(PAUSE_MS / 2);
  }
}

/** A cursor is a place in one topic, and opens nothing that its holder may not read. */
export const cursorOf = (topic: string, offsets: ReadonlyMap<number, bigint>): string => Buffer.from(JSON.stringify([topic, ...[...offsets].toSorted(([a], [b]) => a - b).map(([partition, offset]) => [partition, String(offset)])])).toString('base64url');

function readCursor(cursor: string, topic: string): ReadonlyMap<number, bigint> {
  let value: unknown;
  try { value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')); } catch { /* told below */ }
  if (!Array.isArray(value) || value.length < 2) throw new PayloadProblem('is none of this tool\'s cursors; leave it out to begin anew', '/cursor');
  const [of, ...places] = value as readonly unknown[];
  if (of !== topic) throw new PayloadProblem('is a cursor of another topic; leave it out to begin anew', '/cursor');
  return new Map(places.map((place) => {
    if (!Array.isArray(place) || !Number.isInteger(place[0])) throw new PayloadProblem('is none of this tool\'s cursors; leave it out to begin anew', '/cursor');
    return [place[0] as number, offsetOf(place[1], '/cursor')];
  }));
}

function offsetOf(value: unknown, pointer: string): bigint {
  if ((typeof value !== 'string' && typeof value !== 'number') || !/^\d{1,19}$/.test(String(value)) || BigInt(value) >= 2n ** 63n) throw new PayloadProblem('must be an offset: a whole number below 2^63', pointer);
  return BigInt(value);
}

function millisecondsOf(timestamp: string): number {
  const at = Date.parse(timestamp);
  if (Number.isNaN(at) || at < 0) throw new PayloadProblem('must be a time after 1970 (RFC 3339)', '/timestamp');
  return at;
}

async function startOf(cluster: KafkaCluster, topic: string, start: ReadRequest['start'], partition: number | undefined): Promise<ReadonlyMap<number, bigint>> {
  const all = partitionsOf(cluster, topic);
  const asked = start instanceof Map ? [...start.keys()] : partition === undefined ? all : [partition];
  const missing = asked.find((one) => !all.includes(one));
  if (missing !== undefined) throw new PayloadProblem(`is ${missing}; ${topic} has partitions 0 to ${all.length - 1}`, '/partition');
  if (!(start instanceof Map)) return offsetsAt(cluster, topic, asked, start as Position);
  // Partitions that were added since are read from their beginning, unless one alone was asked for.
  const added = partition === undefined ? all.filter((one) => !start.has(one)) : [];
  return added.length === 0 ? start : new Map([...start as ReadonlyMap<number, bigint>, ...await offsetsAt(cluster, topic, added, 'earliest')]);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
