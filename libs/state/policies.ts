import { NoSuchRecord } from '#libs/core/control-store.js';
import type { PolicyModuleFile, PolicyStore, StoredPolicy } from '#libs/core/policy-store.js';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import type { Database, Transaction } from './database.js';
import { keepListening } from './keep-listening.js';

/** Notifications of changes; the payload is the revision. */
const CHANNEL = 'stoa_policies';
const HISTORY = 100;
const RECONNECT_MS = 10_000;

export interface PolicyWatchOptions {
  /** Milliseconds between two looks, whether or not notifications arrive. Default 750. */
  readonly pollMs?: number;
  readonly onTrouble?: (failure: unknown) => void;
}

interface Row { readonly tenant: string | null; readonly digest: string; readonly files: Readonly<Record<string, string>>; readonly createdAt: Date; readonly createdBy: string; readonly active: boolean }

/** Policies in Postgres, real or embedded. */
export function databasePolicyStore(database: Database, { pollMs = 750, onTrouble = () => undefined }: PolicyWatchOptions = {}): PolicyStore {
  const inScope = <T>(scope: TenantSlug | undefined, work: (transaction: Transaction) => Promise<T>): Promise<T> => (scope === undefined ? database.control(work) : database.tenant(scope, work));

  const keep = async (module: PolicyModuleFile | undefined): Promise<void> => {
    if (module) await database.control((transaction) => transaction.$executeRaw`INSERT INTO policy_modules (digest, wasm) VALUES (${module.digest}, ${Buffer.from(module.wasm)}) ON CONFLICT DO NOTHING`);
  };
  return {
    active: () => database.control(async (transaction) => {
      const rows = await transaction.$queryRaw<(Row & { revision: bigint })[]>`
        SELECT p.tenant, p.digest, p.files, p.created_at AS "createdAt", p.created_by AS "createdBy", p.active, p.revision FROM policies p WHERE p.active ORDER BY p.tenant NULLS FIRST`;
      return { revision: Math.max(0, ...rows.map(({ revision }) => Number(revision))), policies: rows.map(record) };
    }),
    history: (scope) => inScope(scope, async (transaction) => {
      if (scope !== undefined) await existing(transaction, scope, false);
      const rows = await transaction.$queryRaw<Row[]>`
        SELECT tenant, digest, files, created_at AS "createdAt", created_by AS "createdBy", active FROM policies WHERE tenant IS NOT DISTINCT FROM ${scope ?? null} ORDER BY revision DESC, active DESC LIMIT ${HISTORY}`;
      return rows.map((row) => ({ ...record(row), active: row.active }));
    }),
    put: async ({ scope, digest, files, createdBy }, module) => {
      await keep(module);
      return inScope(scope, async (transaction) => {
        if (scope !== undefined) await existing(transaction, scope, true);
        else await transaction.$queryRaw`SELECT pg_advisory_xact_lock(7304519)::text`;
        await transaction.$executeRaw`
          INSERT INTO policies (tenant, digest, files, created_by, active, revision)
          SELECT ${scope ?? null}, ${digest}, ${JSON.stringify(files)}::json, ${createdBy}, false, 0 WHERE NOT EXISTS (SELECT 1 FROM policies WHERE tenant IS NOT DISTINCT FROM ${scope ?? null} AND digest = ${digest})`;
        return point(transaction, scope, digest);
      });
    },
    withdraw: async (scope, module) => {
      await keep(module);
      return inScope(scope, async (transaction) => {
        if (scope !== undefined) await existing(transaction, scope, true);
        return point(transaction, scope, undefined);
      });
    },
    module: (digest) => database.control(async (transaction) => {
      const [row] = await transaction.$queryRaw<{ wasm: Uint8Array }[]>`SELECT wasm FROM policy_modules WHERE digest = ${digest}`;
      return row && new Uint8Array(row.wasm);
    }),
    watch: async (changed) => {
      let last: string | undefined;
      let first = true;
      const look = async (): Promise<void> => {
        try {
          const [row] = await database.control((transaction) => transaction.$queryRaw<{ at: bigint | null; n: bigint }[]>`SELECT max(revision) AS at, count(*) FILTER (WHERE active) AS n FROM policies`);
          const now = `${row?.at ?? 0}:${row?.n ?? 0}`;
          if (now === last) return;
          const known = last !== undefined || !first;
          last = now;
          if (known) changed();
        } catch (failure) { last = undefined; onTrouble(failure); }
      };
      // What is there already is no change.
      const heard = (): void => { void look(); };
      const stopListening = await keepListening(database, { channel: CHANNEL, heard, caughtUp: look, reconnectMs: RECONNECT_MS, onTrouble });
      first = false;
      const polling = setInterval(heard, pollMs);
      polling.unref();
      return async () => { clearInterval(polling); await stopListening(); };
    },
  };
}

/** Ends what the scope has in force, starts the row with the digest, if any, and tells everybody, all at once. */
async function point(transaction: Transaction, scope: TenantSlug | undefined, digest: string | undefined): Promise<{ readonly revision: number }> {
  const tenant = scope ?? null;
  const [next] = await transaction.$queryRaw<{ revision: bigint }[]>`SELECT nextval('policy_revision') AS revision`;
  const revision = next!.revision;
  await transaction.$executeRaw`UPDATE policies SET active = false, revision = ${revision} WHERE tenant IS NOT DISTINCT FROM ${tenant} AND active AND digest IS DISTINCT FROM ${digest ?? null}`;
  if (digest !== undefined) await transaction.$executeRaw`UPDATE policies SET active = true, revision = ${revision} WHERE tenant IS NOT DISTINCT FROM ${tenant} AND digest = ${digest}`;
  await transaction.$queryRaw`SELECT pg_notify(${CHANNEL}, ${String(revision)})::text AS notified`;
  return { revision: Number(revision) };
}

async function existing(transaction: Transaction, tenant: TenantSlug, lock: boolean): Promise<void> {
  const found = lock ? await transaction.$queryRaw<unknown[]>`SELECT 1 AS found FROM tenants WHERE slug = ${tenant} FOR UPDATE` : await transaction.$queryRaw<unknown[]>`SELECT 1 AS found FROM tenants WHERE slug = ${tenant}`;
  if (found.length === 0) throw new NoSuchRecord('Tenant', tenant);
}

const record = ({ tenant, digest, files, createdAt, createdBy }: Row): StoredPolicy => ({ scope: tenantSlug(tenant ?? undefined), digest, files, createdAt, createdBy });
