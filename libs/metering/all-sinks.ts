import type { RecordSink } from '#libs/core/usage-events.js';

/** A batch is taken when each of them took it; where one refuses, all are offered it again. Undefined: there are none. */
export function allSinks(sinks: readonly (RecordSink | undefined)[]): RecordSink | undefined {
  const given = sinks.filter((sink) => sink !== undefined);
  if (given.length < 2) return given[0];
  return {
    name: given.map(({ name }) => name).join(', '), inFlight: Math.min(...given.map(({ inFlight }) => inFlight ?? 1)),
    accept: async (batch) => {
      const results = await Promise.allSettled(given.map((sink) => sink.accept(batch)));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason instanceof Error ? failed.reason : new Error(String(failed.reason));
    },
    close: async () => { for (const sink of given) await sink.close?.(); },
  };
}
