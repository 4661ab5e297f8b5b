import { LRUCache } from 'lru-cache';
import type { ApiKeyDirectory, ApiKeyRecord, FoundApiKey } from '#libs/core/api-key.js';
import { Denial, Unavailable } from '#libs/core/errors.js';
import type { CredentialVerifier, Eventually } from '#libs/core/ports.js';
import type { Principal } from '#libs/core/principal.js';
import { API_KEY_PREFIX, digestOf, isApiKey } from './api-key-secret.js';

export interface ApiKeyVerifierOptions {
  readonly directory: ApiKeyDirectory;
  /** What scopes and roles together grant. */
  readonly grantedScopes: (scopes: readonly string[], roles: readonly string[]) => ReadonlySet<string>;
  /** How long a key is believed after it was looked up, in milliseconds; keys in use are looked up again before. At most 1500, the default, so that a revoked one ends within 2 s. */
  readonly believedMs?: number;
  /** While the store cannot be reached, keys that were good then are believed for this long, in milliseconds; 0: not at all. Default 60,000. */
  readonly staleMs?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly clock?: () => number;
  readonly onTrouble?: (failure: unknown) => void;
}

const MAX_BELIEVED_MS = 1500;
const MAX_KEPT = 10_000;
/** Digests in one question. */
const BATCH = 500;
/** Longest wait for an answer, in milliseconds. */
const PATIENCE_MS = 2000;

interface Kept { readonly key: ApiKeyRecord; readonly principal: Principal; readonly until: number; checkedAt: number; used: boolean }
type Question = { readonly digest: string; readonly answered: (found: FoundApiKey | undefined) => void; readonly failed: (failure: unknown) => void };

/**
 * Proves API keys. A key is believed for `believedMs` after the moment at which the store was asked for it, and a notification ends
 * that sooner: so a revocation holds within 2 s even where notifications are lost. Keys in use are asked for again in the
 * background, all in one question. Unknown keys are never remembered; however many come, one question is under way at a time.
 */
export class ApiKeyVerifier implements CredentialVerifier {
  readonly #kept = new LRUCache<string, Kept>({ max: MAX_KEPT });
  readonly #waiting: Question[] = [];
  readonly #believedMs: number;
  readonly #staleMs: number;
  readonly #clock: () => number;
  /** Counts notifications: an answer that one overtook may be older than the change. */
  #changes = 0;
  /** The store did not answer the last question. */
  #away = false;
  #asking = false;

  constructor(private readonly options: ApiKeyVerifierOptions) {
    const { believedMs = MAX_BELIEVED_MS, staleMs = 60_000, clock = Date.now } = options;
    if (!(believedMs > 0 && believedMs <= MAX_BELIEVED_MS)) throw new Error(`believedMs: must be more than 0 and at most ${MAX_BELIEVED_MS}`);
    [this.#believedMs, this.#staleMs, this.#clock] = [believedMs, staleMs, clock];
  }

  takes(token: string): boolean { return token.startsWith(API_KEY_PREFIX); }

  verify(token: string): Eventually<Principal | Denial> {
    if (!isApiKey(token)) return refused('not of the form of an API key');
    const digest = digestOf(token);
    const kept = this.#kept.get(digest);
    if (kept !== undefined) {
      kept.used = true;
      const age = this.#clock() - kept.checkedAt;
      if (age < (this.#away ? Math.max(this.#staleMs, this.#believedMs) : this.#believedMs)) return this.#judged(kept);
    }
    return this.#lookedUp(digest);
  }

  /** Asks again for every key that was used since the last time; those that were not are asked for when they are used. Never rejects. */
  async refresh(): Promise<void> {
    const used = [...this.#kept.entries()].filter(([, kept]) => kept.used);
    for (const [, kept] of used) kept.used = false;
    await Promise.allSettled(used.map(([digest]) => this.#ask(digest)));
  }

  /** The key with this id changed. */
  forget(id: string): void {
    this.#changes += 1;
    for (const [digest, { key }] of this.#kept.entries()) if (key.id === id) this.#kept.delete(digest);
  }

  async #lookedUp(digest: string): Promise<Principal | Denial> {
    try {
      const kept = await this.#ask(digest);
      return kept === undefined ? refused('no such API key, or revoked') : this.#judged(kept);
    } catch (failure) {
      const kept = this.#kept.get(digest);
      if (kept !== undefined && this.#clock() - kept.checkedAt < this.#staleMs) return this.#judged(kept);
      throw failure instanceof Unavailable ? failure : new Unavailable('API keys', { cause: failure });
    }
  }

  #judged({ until, principal }: Kept): Principal | Denial {
    return this.#clock() < until ? principal : refused('expired, or its grace after a rotation is over');
  }

  /** Joins the next question. Answers what is known then, or undefined for a key that does not open anything. */
  async #ask(digest: string): Promise<Kept | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<FoundApiKey | undefined>();
    this.#waiting.push({ digest, answered: resolve, failed: reject });
    if (!this.#asking) void this.#askAll();
    const [askedAt, changes] = [this.#clock(), this.#changes];
    const found = await promise;
    if (found === undefined) { this.#kept.delete(digest); return undefined; }
    const before = this.#kept.get(digest);
    const until = found.until.getTime();
    const kept: Kept = { key: found.key, until, checkedAt: askedAt, used: before?.used ?? true, principal: before?.until === until ? before.principal : this.#principal(found) };
    if (changes === this.#changes) this.#kept.set(digest, kept);
    return kept;
  }

  async #askAll(): Promise<void> {
    this.#asking = true;
    for (let questions = this.#waiting.splice(0, BATCH); questions.length > 0; questions = this.#waiting.splice(0, BATCH)) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one question at a time is the point
        const found = new Map((await within(PATIENCE_MS, this.options.directory.find([...new Set(questions.map(({ digest }) => digest))]))).map((one) => [one.digest, one]));
        this.#away = false;
        for (const { digest, answered } of questions) answered(found.get(digest));
      } catch (failure) {
        this.#away = true;
        this.options.onTrouble?.(failure);
        for (const { failed } of questions) failed(failure);
      }
    }
    this.#asking = false;
  }

  #principal({ key, until }: FoundApiKey): Principal {
    return {
      tenant: key.tenant, issuer: key.owner.issuer, subject: key.owner.subject, clientId: 'api-key', credentialId: key.id, credential: 'api-key',
      roles: new Set(key.roles), scopes: this.options.grantedScopes(key.scopes, key.roles), expiresAt: Math.floor(until.getTime() / 1000),
      ...(key.tools === undefined ? {} : { allowedTools: new Set(key.tools) }),
    };
  }
}

const refused = (reason: string): Denial => new Denial({ code: 'UNAUTHENTICATED', message: 'Invalid API key', reason });

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => { timer = setTimeout(() => { reject(new Unavailable('API keys', { cause: new Error(`no answer within ${ms} ms`) })); }, ms); });
  try { return await Promise.race([work, late]); } finally { clearTimeout(timer); }
}
