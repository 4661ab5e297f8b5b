import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { ApiRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { Problem } from '../http/problem.js';
import { type ControllerParts, type Every, PARTS } from '../parts.js';
import { Importer } from './importer.js';

/** Refreshes that run at once. */
const AT_ONCE = 2;

const systemEvery: Every = (ms, callback) => {
  const timer = setInterval(callback, ms);
  timer.unref();
  return () => { clearInterval(timer); };
};

/** Fetches APIs' documents again when they are due. One look at a time; shutting down aborts what runs and waits for it. */
@Injectable()
export class Refresher implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #stopping = new AbortController();
  #stopTimer: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(@Inject(PARTS) private readonly parts: ControllerParts, @Inject(Importer) private readonly importer: Importer) {}

  onApplicationBootstrap(): void {
    const { refreshPollMs, every = systemEvery } = this.parts;
    if (refreshPollMs !== undefined) this.#stopTimer = every(refreshPollMs, () => void this.tick());
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopTimer?.();
    this.#stopping.abort();
    await this.#running;
  }

  /** Refreshes everything that is due; joins the look that is under way, if one is. Never rejects. */
  tick(): Promise<void> {
    if (this.#stopping.signal.aborted) return Promise.resolve();
    this.#running ??= this.#look().finally(() => { this.#running = undefined; });
    return this.#running;
  }

  async #look(): Promise<void> {
    let due: { readonly tenant: TenantSlug; readonly api: ApiRecord }[];
    try {
      due = [...await this.parts.store.dueForRefresh(this.parts.now())];
    } catch (failure) {
      this.parts.log?.error({ err: failure }, 'cannot tell which APIs are due for a refresh');
      return;
    }
    const worker = async (): Promise<void> => {
      for (let next = due.shift(); next !== undefined && !this.#stopping.signal.aborted; next = due.shift()) await this.#refresh(next.tenant, next.api.name);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  async #refresh(tenant: TenantSlug, api: string): Promise<void> {
    try {
      const { changed, revision } = await this.importer.refresh(tenant, api, this.#stopping.signal);
      this.parts.log?.info({ tenant, api, changed, revision }, 'API refreshed');
    } catch (failure) {
      // It is written to the API already, where its operators look; what they cannot have caused is ours to know of.
      this.parts.log?.warn(failure instanceof Problem ? { tenant, api, reason: failure.message } : { tenant, api, err: failure }, 'API not refreshed');
    }
  }
}
