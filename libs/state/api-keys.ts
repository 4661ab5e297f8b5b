import type { ApiKeyDirectory, ApiKeyRecord, ApiKeyStore, FoundApiKey } from '#libs/core/api-key.js';
import { NoSuchRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import type { Database, Transaction } from './database.js';
import { Prisma } from './generated/client.js';
import type { ApiKey } from './generated/client.js';
import { keepListening } from './keep-listening.js';
import { clean, reading, unpublished } from './publication.js';

/** Notifications of changes; the payload is the key's id. */
const CHANNEL = 'stoa_api_keys';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const databaseApiKeyStore = (database: Database): ApiKeyStore => ({
  // Field by field: nothing that a caller may have put beside them is ever stored.
  create: (tenant, { name, owner: { issuer, subject }, roles, scopes, tools, stepUp, expiresAt, digest, prefix }) => unpublished(database, tenant, async (transaction) => record(await transaction.apiKey.create({
    data: { tenant, name: clean(name), digest, prefix, issuer, subject, roles: [...roles], scopes: [...scopes], tools: tools === undefined ? Prisma.DbNull : [...tools], stepUp, expiresAt },
  }))),
  list: (tenant) => reading(database, tenant, async (transaction) => (await transaction.apiKey.findMany({ where: { tenant }, orderBy: [{ createdAt: 'desc' }, { id: 'asc' }] })).map(record)),
  get: (tenant, id) => reading(database, tenant, (transaction) => known(transaction, tenant, id)),
  rotate: (tenant, id, { digest, prefix }, graceUntil) => unpublished(database, tenant, async (transaction) => {
    await known(transaction, tenant, id);
    // One that is being revoked gets no new secret: the condition and the change are one statement.
    const rotated = await transaction.$executeRaw`
      UPDATE api_keys SET previous_digest = digest, previous_until = ${graceUntil}, digest = ${digest}, prefix = ${prefix}, rotated_at = clock_timestamp()
      WHERE tenant = ${tenant} AND id = ${id}::uuid AND revoked_at IS NULL`;
    if (rotated === 0) throw new NoSuchRecord('API key', id);
    await tell(transaction, id);
    return known(transaction, tenant, id);
  }),
  revoke: (tenant, id) => unpublished(database, tenant, async (transaction) => {
    await known(transaction, tenant, id);
    const { count } = await transaction.apiKey.updateMany({ where: { tenant, id, revokedAt: null }, data: { revokedAt: new Date() } });
    if (count > 0) await tell(transaction, id);
    return known(transaction, tenant, id);
  }),
});

async function known(transaction: Transaction, tenant: TenantSlug, id: string): Promise<ApiKeyRecord> {
  const row = UUID.test(id) ? await transaction.apiKey.findUnique({ where: { tenant_id: { tenant, id } } }) : null;
  if (row === null) throw new NoSuchRecord('API key', id);
  return record(row);
}

const tell = (transaction: Transaction, id: string): Promise<unknown> => transaction.$queryRaw`SELECT pg_notify(${CHANNEL}, ${id})::text AS notified`;

export interface DirectoryOptions {
  /** Longest wait before the notification connection is tried again, in milliseconds. Default 10,000. */
  readonly reconnectMs?: number;
  readonly onTrouble?: (failure: unknown) => void;
}

/** Sees, under the role `stoa_control`, the rows whose digests it names: row-level security shows it no other. */
export const databaseApiKeyDirectory = (database: Database, { reconnectMs = 10_000, onTrouble = () => undefined }: DirectoryOptions = {}): ApiKeyDirectory => ({
  find: (digests) => database.control(async (transaction) => {
    await transaction.$queryRaw`SELECT set_config('app.key_digests', ${digests.join(',')}, true)`;
    const named = [...digests];
    const rows = await transaction.apiKey.findMany({ where: { revokedAt: null, OR: [{ digest: { in: named } }, { previousDigest: { in: named } }] } });
    return rows.flatMap((row) => found(row, named));
  }),
  // A connection that is made again tells of no key by name; what is believed ends by itself before long.
  watch: (heard) => keepListening(database, { channel: CHANNEL, heard, caughtUp: async () => undefined, reconnectMs, onTrouble }),
});

function found(row: ApiKey, digests: readonly string[]): readonly FoundApiKey[] {
  const key = record(row);
  const { digest, previousDigest, previousUntil } = row;
  const previous = previousDigest === null || previousUntil === null ? [] : [{ digest: previousDigest, key, until: previousUntil < key.expiresAt ? previousUntil : key.expiresAt }];
  return [{ digest, key, until: key.expiresAt }, ...previous].filter((one) => digests.includes(one.digest));
}

const record = (row: ApiKey): ApiKeyRecord => ({
  tenant: row.tenant as TenantSlug, id: row.id, name: row.name, prefix: row.prefix, owner: { issuer: row.issuer, subject: row.subject }, roles: row.roles, scopes: row.scopes,
  tools: row.tools === null ? undefined : row.tools as string[], stepUp: row.stepUp, expiresAt: row.expiresAt, createdAt: row.createdAt,
  rotatedAt: row.rotatedAt ?? undefined, graceUntil: row.previousUntil ?? undefined, revokedAt: row.revokedAt ?? undefined,
});
