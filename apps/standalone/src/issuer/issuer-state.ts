import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import type { AdapterPayload } from 'oidc-provider';
import { z } from 'zod';

const StoredIssuer = z.object({
  /** Private signature keys, the newest first. */
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })).min(1),
  clientSecret: z.string().min(32),
  cookieKey: z.string().min(32),
});
/** What the issuer must remember so that tokens and the command line survive a restart. */
export interface IssuerState { readonly keys: readonly JWK[]; readonly clientSecret: string; readonly cookieKey: string }

/**
 * Reads `issuer.json` of the folder, or makes it with a new RS256 key and random secrets; owner-only (0600, in a 0700
 * folder). Throws an `Error` naming the file when it is damaged: it is never replaced silently, since every token would end.
 */
export async function issuerState(folder: string): Promise<IssuerState> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'issuer.json');
  const text = await readIfThere(file);
  if (text !== undefined) {
    const stored = StoredIssuer.safeParse(parsed(text));
    if (!stored.success) throw new Error(`${file} is damaged; remove it to make new keys (tokens given out so far end then)`);
    await chmod(file, 0o600);
    return stored.data;
  }
  const { privateKey } = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true });
  const key: JWK = { ...await exportJWK(privateKey), kid: randomBytes(9).toString('base64url'), alg: 'RS256', use: 'sig' };
  const state = { keys: [key], clientSecret: randomBytes(32).toString('base64url'), cookieKey: randomBytes(32).toString('base64url') };
  await writePrivately(file, state);
  return state;
}

/** How many registered clients are remembered; the oldest goes first. */
const MAX_CLIENTS = 200;

/** Dynamically registered clients, kept in `clients.json`, so that an MCP client need not register again after a restart. */
export class RegisteredClients {
  private constructor(private readonly file: string, private readonly clients: Map<string, AdapterPayload>) {}

  static async open(folder: string): Promise<RegisteredClients> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'clients.json');
    const stored = z.record(z.string(), z.looseObject({})).safeParse(parsed(await readIfThere(file) ?? '{}'));
    // A damaged list costs a new registration, nothing else.
    return new RegisteredClients(file, new Map(Object.entries(stored.data ?? {})));
  }

  find(id: string): AdapterPayload | undefined { return this.clients.get(id); }
  async put(id: string, client: AdapterPayload): Promise<void> {
    this.clients.set(id, client);
    for (const oldest of this.clients.keys()) if (this.clients.size > MAX_CLIENTS) this.clients.delete(oldest); else break;
    await this.save();
  }
  async remove(id: string): Promise<void> { if (this.clients.delete(id)) await this.save(); }

  private saving: Promise<void> = Promise.resolve();
  private save(): Promise<void> {
    this.saving = this.saving.then(() => writePrivately(this.file, Object.fromEntries(this.clients)));
    return this.saving;
  }
}

async function writePrivately(file: string, value: unknown): Promise<void> {
  const half = `${file}.new`;
  await writeFile(half, JSON.stringify(value), { mode: 0o600 });
  await rename(half, file);
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parsed(text: string): unknown {
  try { return JSON.parse(text); } catch { return undefined; }
}
