import { randomBytes } from 'node:crypto';

/** One life of one gateway's journal. */
export interface Boot { readonly id: string; /** Milliseconds since the epoch. */ readonly startedAt: number }

/** 60 random bits as 15 hex digits: with the version's digit they fill the half of a UUID that a call's number leaves. */
export const newBoot = (now: number): Boot => ({ id: randomBytes(8).toString('hex').slice(1), startedAt: now });

const NAME = /^(\d{15})-([0-9a-f]{15})-(\d{6,9})\.journal$/;

/** Sorts by start, then by number within a boot. */
export const segmentName = ({ id, startedAt }: Boot, number: number): string => `${String(startedAt).padStart(15, '0')}-${id}-${String(number).padStart(6, '0')}.journal`;

export function parseSegmentName(name: string): { readonly boot: Boot; readonly number: number } | undefined {
  const [, startedAt, id, number] = NAME.exec(name) ?? [];
  return id === undefined ? undefined : { boot: { id, startedAt: Number(startedAt) }, number: Number(number) };
}
