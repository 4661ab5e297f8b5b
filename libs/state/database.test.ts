import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Unavailable } from '#libs/core/errors.js';
import { slug } from './control-store.contract.js';
import { openDatabase } from './database.js';
import { emptyFolder } from './empty-folder.contract.js';
import { migrate } from './migrate.js';
import { rowLevelSecurityContract } from './row-level-security.contract.js';

rowLevelSecurityContract('PGlite', async () => {
  const { data, remove } = await emptyFolder();
  const database = await openDatabase({ directory: data });
  await migrate(database);
  return { database, close: async () => { await database.close(); await remove(); } };
});

describe('the embedded database', () => {
  let folder: string;
  let remove: () => Promise<void>;
  beforeEach(async () => { ({ data: folder, remove } = await emptyFolder()); });
  afterEach(() => remove());

  it('answers a failed COMMIT as a failure, so that nothing is acknowledged that is not kept', async () => {
    const database = await openDatabase({ directory: folder });
    await migrate(database);
    await database.session((session) => session.script(`
      CREATE TABLE checked_late (id int PRIMARY KEY REFERENCES checked_late (id) DEFERRABLE INITIALLY DEFERRED, next int REFERENCES checked_late (id) DEFERRABLE INITIALLY DEFERRED);
      GRANT INSERT ON checked_late TO stoa_control`));
    await expect(database.control((transaction) => transaction.$executeRaw`INSERT INTO checked_late VALUES (1, 2)`)).rejects.toThrow(/foreign key/i);
    expect(await database.session((session) => session.query('SELECT * FROM checked_late'))).toEqual([]);
    await database.close();
  });

  it('undoes everything of a transaction whose work throws, and works on', async () => {
    const database = await openDatabase({ directory: folder });
    await migrate(database);
    await expect(database.control(async (transaction) => {
      await transaction.tenant.create({ data: { slug: 'acme', displayName: '' } });
      throw new Error('changed my mind');
    })).rejects.toThrow('changed my mind');
    expect(await database.control((transaction) => transaction.tenant.findMany())).toEqual([]);
    await database.close();
  });

  it('keeps what was written over a close and a second opening, and closes twice without harm', async () => {
    const first = await openDatabase({ directory: folder });
    await migrate(first);
    await first.control((transaction) => transaction.tenant.create({ data: { slug: 'acme', displayName: 'A' } }));
    await first.close();
    await first.close();
    const second = await openDatabase({ directory: folder });
    expect(await second.tenant(slug('acme'), (transaction) => transaction.tenant.findMany())).toMatchObject([{ displayName: 'A' }]);
    await second.ping();
    await second.close();
  });
});

describe('a Postgres that is not there', () => {
  it('is Unavailable for every kind of work', async () => {
    const database = await openDatabase({ url: 'postgres://nobody:secret@127.0.0.1:1/none' });
    const works: (() => Promise<unknown>)[] = [
      () => database.ping(), () => database.tenant(slug('a'), async () => undefined), () => database.control(async () => undefined),
      () => database.session(async () => undefined), () => database.listen('c', () => undefined, () => undefined),
    ];
    for (const work of works) await expect(work()).rejects.toBeInstanceOf(Unavailable);
    await database.close();
  });

  it.each(['', 'mysql://a/b', 'localhost:5432', 'postgres://[bad'])('refuses %j as a URL without repeating it', async (url) => {
    await expect(openDatabase({ url })).rejects.toThrow('The database URL must be of the form postgres://user:password@host:port/database');
  });
});
