import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Case, CASES, rotation } from './cases.js';
import { type Cache, Trial, type World } from './trial.js';

export interface Fault { readonly door: string; readonly cache: Cache; readonly what: string }
export interface Verdict { readonly number: number; readonly title: string; readonly faults: readonly Fault[] }
export interface Report {
  readonly verdicts: readonly Verdict[];
  /** Cases that hold at every door, cold and warm. */
  readonly held: number;
  readonly doors: readonly { readonly name: string; readonly cold: number; readonly warm: number }[];
}

const CACHES: readonly Cache[] = ['cold', 'warm'];

/** Runs every case through every door, cold and warm, or only those of these numbers. */
export async function runSuite(world: World, only?: ReadonlySet<number>, told: (verdict: Verdict) => void = () => undefined): Promise<Report> {
  const verdicts: Verdict[] = [];
  for (const one of CASES) {
    if (only && !only.has(one.number)) continue;
    const trials = CACHES.flatMap((cache) => world.doors.map((door) => new Trial(world, door, cache)));
    if (one.number === 34) await guarded(trials, () => rotation(trials));
    else for (const trial of trials) await alone(one, new Trial(world, trial.door, trial.cache), trial);
    const faults = trials.flatMap(({ door, cache, faults: found }) => found.map((what) => ({ door: door.name, cache, what })));
    const verdict = { number: one.number, title: one.title, faults };
    verdicts.push(verdict);
    told(verdict);
  }
  const count = (name: string, cache: Cache): number => verdicts.filter(({ faults }) => !faults.some((fault) => fault.door === name && fault.cache === cache)).length;
  return {
    verdicts, held: verdicts.filter(({ faults }) => faults.length === 0).length,
    doors: world.doors.map(({ name }) => ({ name, cold: count(name, 'cold'), warm: count(name, 'warm') })),
  };
}

/** What the server did is counted from the moment at which this trial begins. */
async function alone(one: Case, trial: Trial, into: Trial): Promise<void> {
  await guarded([trial], () => one.run(trial));
  trial.settle();
  into.faults.push(...trial.faults);
}

async function guarded(trials: readonly Trial[], run: () => Promise<void>): Promise<void> {
  try { await run(); } catch (failure) { for (const trial of trials) trial.fault(`failed: ${failure instanceof Error ? failure.message : String(failure)}`); }
}

export const CASE_COUNT = CASES.length;

/** The report as lines, the last of them `N of 34`. */
export function reportLines({ verdicts, held, doors }: Report): readonly string[] {
  return [
    ...verdicts.flatMap(({ number, title, faults }) => [
      `${faults.length === 0 ? 'ok    ' : 'not ok'} ${String(number).padStart(2)}  ${title}`,
      ...faults.slice(0, 12).map(({ door, cache, what }) => `            ${door}, ${cache}: ${what}`),
      ...(faults.length > 12 ? [`            and ${faults.length - 12} more`] : []),
    ]),
    ...doors.map(({ name, cold, warm }) => `${name}: ${cold} cold, ${warm} warm, of ${CASE_COUNT}`),
    `${held} of ${CASE_COUNT}`,
  ];
}

/** An address that nobody should ever ask. */
export async function startCanary(): Promise<World['canary'] & { close(): void }> {
  let hits = 0;
  const server = createServer((_request, response) => { hits += 1; response.writeHead(200, { 'content-type': 'application/json' }).end('{"keys":[]}'); });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits: () => hits, close: () => { server.closeAllConnections(); server.close(); } };
}
