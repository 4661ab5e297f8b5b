import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { PrismaPg } from '@prisma/adapter-pg';
import type { SqlDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { Client, escapeIdentifier, Pool } from 'pg';
import type { QueryResultRow } from 'pg';
import type { TenantSlug } from '#libs/core/tenant.js';
import { asUnavailable } from './database-errors.js';
import { DataFolderUnusable, ownDataFolder } from './data-folder.js';
import { PrismaClient } from './generated/client.js';
import type { Prisma } from './generated/client.js';
import { pgliteAdapter } from './pglite-adapter.js';

/** Statements of one transaction, under one of the product's restricted roles. */
export type Transaction = Prisma.TransactionClient;

/** One connection of its own under the login role: migrations and nothing else. */
export interface Session {
  /** Several statements without parameters. */
  script(sql: string): Promise<void>;
  query<Row extends object>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  /** All or nothing; the statements inside go through the session that `work` is given. */
  transaction(work: (inside: Omit<Session, 'transaction'>) => Promise<void>): Promise<void>;
}

/**
 * Postgres, real or embedded. There is no way to a tenant's rows but `tenant` and `control`: both take on a role that
 * row-level security binds, for one transaction, whoever the connection belongs to. All reject with `Unavailable` when the
 * database cannot be reached.
 */
export interface Database {
  readonly engine: 'postgres' | 'pglite';
  /** Sees and touches the rows of this tenant only (role `stoa_app`). */
  tenant<T>(tenant: TenantSlug, work: (transaction: Transaction) => Promise<T>, mode?: TransactionMode): Promise<T>;
  /** Sees the list of tenants, and what the operator must see across them (role `stoa_control`). */
  control<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  session<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /**
   * Hear notifications of a channel on a connection of its own. `lost` is called once when that connection ends by
   * itself. Answers the way to stop.
   */
  listen(channel: string, heard: (payload: string) => void, lost: () => void): Promise<() => Promise<void>>;
  /** Rejects unless a statement goes there and back. */
  ping(): Promise<void>;
  /** Gives back every connection, and the folder. Safe to call twice. */
  close(): Promise<void>;
}
/** `consistent`: every statement reads the database as it was at the first. */
interface TransactionMode { readonly consistent?: boolean }

/** `url`: a Postgres URL; nothing is connected before first use. `directory`: the folder of an embedded one, made when missing; one process at a time. */
export type DatabaseLocation = { readonly url: string; /** Default 10. */ readonly connections?: number } | { readonly directory: string };

/** Rejects with `DataFolderInUse` or `DataFolderUnusable` for a folder, and for a malformed URL, without repeating it. */
export function openDatabase(location: DatabaseLocation): Promise<Database> {
  return 'url' in location ? openPostgres(location.url, location.connections ?? 10) : openPGlite(location.directory);
}

class InvalidDatabaseUrl extends Error {
  readonly code = 'INVALID_DATABASE_URL';
  override get name(): string { return 'InvalidDatabaseUrl'; }
  constructor() { super('The database URL must be of the form postgres://user:password@host:port/database'); }
}

const CONNECT_TIMEOUT_MS = 10_000;
/** An import of 20,000 operations takes seconds, and embedded transactions wait for one another. */
const TRANSACTION = { timeout: 120_000, maxWait: 60_000 };

// Timestamps cross Prisma's adapters without their zone, so the session must be in UTC.
const TENANT_ROLE = `SELECT set_config('role', 'stoa_app', true), set_config('app.tenant', $1, true), set_config('timezone', 'UTC', true)`;
const CONTROL_ROLE = `SELECT set_config('role', 'stoa_control', true), set_config('timezone', 'UTC', true)`;

function transactions(adapter: SqlDriverAdapterFactory): { prisma: PrismaClient } & Pick<Database, 'tenant' | 'control'> {
  const prisma = new PrismaClient({ adapter, transactionOptions: TRANSACTION, errorFormat: 'minimal' });
  return {
    prisma,
    tenant: (tenant, work, mode) => asUnavailable(prisma.$transaction(async (transaction) => {
      await transaction.$queryRawUnsafe(TENANT_ROLE, tenant);
      return work(transaction);
    }, mode?.consistent === true ? { isolationLevel: 'RepeatableRead' } : {})),
    control: (work) => asUnavailable(prisma.$transaction(async (transaction) => {
      await transaction.$queryRawUnsafe(CONTROL_ROLE);
      return work(transaction);
    })),
  };
}

async function openPostgres(url: string, connections: number): Promise<Database> {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) throw new InvalidDatabaseUrl();
  const pool = new Pool({ connectionString: url, max: connections, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, application_name: 'stoa' });
  // An idle connection that the server ended: the pool replaces it.
  pool.on('error', () => undefined);
  const { prisma, tenant, control } = transactions(new PrismaPg(pool, { onConnectionError: () => undefined }));
  const connect = async (): Promise<Client> => {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, application_name: 'stoa' });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  let closed: Promise<void> | undefined;
  return {
    engine: 'postgres', tenant, control,
    session: (work) => asUnavailable((async () => {
      const client = await connect();
      try {
        return await work(postgresSession(client));
      } finally {
        await client.end().catch(() => undefined);
      }
    })()),
    listen: (channel, heard, lost) => asUnavailable((async () => {
      const client = await connect();
      let stopped = false;
      client.once('end', () => { if (!stopped) lost(); });
      client.on('notification', (message) => { if (message.channel === channel) heard(message.payload ?? ''); });
      await client.query(`LISTEN ${escapeIdentifier(channel)}`);
      return async () => { stopped = true; await client.end().catch(() => undefined); };
    })()),
    ping: () => asUnavailable((async () => { await pool.query('SELECT 1'); })()),
    close: () => closed ??= (async () => { await prisma.$disconnect(); await pool.end(); })(),
  };
}

function postgresSession(client: Client): Session {
  const statements = {
    script: async (sql: string) => { await client.query(sql); },
    query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []) => (await client.query<Row & QueryResultRow>(sql, [...parameters])).rows,
  };
  return {
    ...statements,
    transaction: async (work) => {
      await client.query('BEGIN');
      try {
        await work(statements);
        await client.query('COMMIT');
      } catch (failure) {
        await client.query('ROLLBACK').catch(() => undefined);
        throw failure;
      }
    },
  };
}

const pgliteStatements = (pglite: Pick<PGlite, 'exec' | 'query'>): Omit<Session, 'transaction'> => ({
  script: async (sql) => { await pglite.exec(sql); },
  query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []) => (await pglite.query<Row>(sql, [...parameters])).rows,
});

/** Postgres's own 128 MB of shared buffers are memory of this process from the start; an import is no slower with an eighth of it. */
const SMALL = ['-c', 'shared_buffers=16MB'];

async function openPGlite(directory: string): Promise<Database> {
  const release = await ownDataFolder(directory);
  let pglite: PGlite;
  try {
    pglite = await PGlite.create({ dataDir: path.join(directory, 'postgres'), startParams: [...PGlite.defaultStartParams, ...SMALL] });
  } catch (failure) {
    await release();
    throw new DataFolderUnusable(directory, failure);
  }
  const { prisma, tenant, control } = transactions(pgliteAdapter(pglite));
  let closed: Promise<void> | undefined;
  return {
    engine: 'pglite', tenant, control,
    session: (work) => work({
      ...pgliteStatements(pglite),
      transaction: (inside) => pglite.transaction((transaction) => inside(pgliteStatements(transaction))),
    }),
    listen: (channel, heard) => pglite.listen(channel, heard),
    ping: async () => { await pglite.query('SELECT 1'); },
    close: () => closed ??= (async () => {
      await prisma.$disconnect();
      await pglite.close().finally(release);
    })(),
  };
}
