import type { PGlite, Transaction as PGliteTransaction } from '@electric-sql/pglite';
import type { SqlDriverAdapterFactory, Transaction } from '@prisma/driver-adapter-utils';
import { PrismaPGlite } from 'pglite-prisma-adapter';

/**
 * `pglite-prisma-adapter` with transactions of our own: its own answer a failed COMMIT as success, and would acknowledge a
 * publication that is not on the disk. PGlite has one session: a transaction has it alone, so isolation levels say nothing.
 */
export function pgliteAdapter(pglite: PGlite): SqlDriverAdapterFactory {
  const factory = new PrismaPGlite(pglite);
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    connect: async () => {
      const connected = await factory.connect();
      connected.startTransaction = () => startTransaction(pglite);
      return connected;
    },
  };
}

function startTransaction(pglite: PGlite): Promise<Transaction> {
  return new Promise((started, failed) => {
    const end = Promise.withResolvers<undefined>();
    const ended = pglite.transaction(async (session) => {
      // It is asked for its `query` only, which a transaction has as well.
      const queryable = await new PrismaPGlite(session as PGliteTransaction & PGlite).connect();
      started({
        provider: queryable.provider,
        adapterName: queryable.adapterName,
        options: { usePhantomQuery: true },
        queryRaw: (query) => queryable.queryRaw(query),
        executeRaw: (query) => queryable.executeRaw(query),
        commit: async () => { end.resolve(undefined); await ended; },
        rollback: async () => { await session.rollback(); end.resolve(undefined); await ended; },
      });
      await end.promise;
    });
    ended.catch(failed);
  });
}
