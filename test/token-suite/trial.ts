import type { Answer, Credential, Door } from './doors.js';
import { bearer } from './doors.js';
import type { Caller, Mint } from './mint.js';

/** What the suite needs to know of the server beside its doors. */
export interface World {
  readonly mint: Mint;
  readonly doors: readonly Door[];
  /** May do everything in its own tenant. */
  readonly owner: Caller & { readonly tenant: string };
  /** The same in another tenant. */
  readonly stranger: Caller & { readonly tenant: string };
  /** A tool of the owner's tenant that the stranger has not and that can be called without arguments; undefined: one is looked for in the lists. */
  readonly tool?: string;
  /** The server's clock, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** Lets time pass for the server. */
  readonly wait: (seconds: number) => Promise<void>;
  /** Makes a credential of the owner's tenant that can be taken back; undefined: the server has none. */
  readonly revocable?: () => Promise<{ readonly credential: Credential; readonly revoke: () => Promise<void> }>;
  /** What the server did beside answering; undefined where nobody can look. */
  readonly witness?: { /** Calls that reached a backend, and usage records written. */ readonly effects: () => number; /** Refusals of a presented token on record. */ readonly refusals: () => number };
  /** Requests to an address that only a token names. */
  readonly canary: { readonly url: string; readonly hits: () => number };
}

/** `cold`: each token is sent once. `warm`: after a good one, and twice, so that what the server remembers is asked too. */
export type Cache = 'cold' | 'warm';

/** One case at one door: collects what went wrong. */
export class Trial {
  readonly faults: string[] = [];
  private refusalsDue = 0;
  private readonly before: { readonly effects: number; readonly refusals: number } | undefined;
  effectsDue = 0;
  /** Whether a good token of the mint's own key goes before each, where the cache is to be warm. */
  primes = true;

  constructor(readonly world: World, readonly door: Door, readonly cache: Cache) {
    const { witness } = world;
    this.before = witness && { effects: witness.effects(), refusals: witness.refusals() };
  }

  get mint(): Mint { return this.world.mint; }
  get owner(): World['owner'] { return this.world.owner; }
  good(more: Readonly<Record<string, unknown>> = {}, header: Readonly<Record<string, unknown>> = {}): Promise<string> { return this.mint.sign(this.mint.claims(this.owner, more), header); }
  /** Since the epoch, whole. */
  seconds(): number { return Math.floor((this.world.now ?? Date.now)() / 1000); }
  fault(what: string): void { this.faults.push(what); }

  /** A good token first, so that keys and caches are warm. */
  private async prime(): Promise<void> {
    if (this.cache === 'cold' || !this.primes) return;
    const answer = await this.door.ask(bearer(await this.good()));
    if (answer.status !== 200) this.fault(`a good token sent before was answered ${told(answer)}, expected 200`);
  }

  /** `recorded`: a token was presented as one, so that a refusal of it is on record. */
  async refused(what: string, given: string | Credential, recorded = typeof given === 'string'): Promise<void> {
    await this.prime();
    const credential = typeof given === 'string' ? bearer(given) : given;
    for (let sent = 0; sent < (this.cache === 'warm' ? 2 : 1); sent += 1) {
      const answer = await this.door.ask(credential);
      if (recorded) this.refusalsDue += 1;
      const wrong = unlikeRefusal(answer);
      if (wrong !== undefined) { this.fault(`${what}${sent === 1 ? ', sent again' : ''}: ${wrong}`); return; }
    }
  }

  async accepted(what: string, given: string | Credential): Promise<void> {
    await this.prime();
    const credential = typeof given === 'string' ? bearer(given) : given;
    for (let sent = 0; sent < (this.cache === 'warm' ? 2 : 1); sent += 1) {
      const answer = await this.door.ask(credential);
      if (answer.status !== 200) { this.fault(`${what}${sent === 1 ? ', sent again' : ''}: answered ${told(answer)}, expected 200`); return; }
    }
  }

  /** Refusals that were asked for without `refused`. */
  unnoticed(count: number): void { this.refusalsDue += count; }

  /** What must not have happened, and what must be on record. */
  settle(): void {
    const { witness } = this.world;
    if (!witness || !this.before || this.faults.length > 0) return;
    const effects = witness.effects() - this.before.effects;
    if (effects !== this.effectsDue) this.fault(`${effects} calls reached a backend or a usage record, expected ${this.effectsDue}`);
    const refusals = witness.refusals() - this.before.refusals;
    if (refusals !== this.refusalsDue) this.fault(`${refusals} refusals are on record, expected ${this.refusalsDue}`);
  }
}

const told = ({ status, body }: Answer): string => `${status} ${body.slice(0, 160)}`;

/** Undefined when the answer is a proper refusal: 401 with a challenge that names the resource's metadata (RFC 6750 §3, RFC 9728 §5.1). */
function unlikeRefusal(answer: Answer): string | undefined {
  const { status, challenge, body } = answer;
  if (status === 429) return 'answered 429: switch the throttle of failed authentications off for the run, this suite is nothing but them';
  if (status !== 401) return `answered ${told(answer)}, expected 401`;
  if (challenge === undefined) return '401 without WWW-Authenticate';
  if (!/^Bearer\b/i.test(challenge)) return `the challenge is of another scheme: ${challenge}`;
  if (!/\bresource_metadata="https?:\/\/[^"]+"/.test(challenge)) return `the challenge names no resource_metadata: ${challenge}`;
  if (/eyJ[\w-]{20,}/.test(body + challenge)) return 'the answer repeats the token';
  return undefined;
}
