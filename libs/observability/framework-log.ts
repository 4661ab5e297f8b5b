import type { Log } from '#libs/core/ports.js';

interface FrameworkLog { log(): void; warn(...said: readonly unknown[]): void; error(...said: readonly unknown[]): void }

/** The framework's own words, as Nest's `LoggerService`: only what went wrong, as when a module cannot be closed. */
export const frameworkLog = (log: Pick<Log, 'warn' | 'error'>): FrameworkLog => ({
  log: () => undefined,
  warn: (...said) => { log.warn(facts(said), 'the framework warns'); },
  error: (...said) => { log.error(facts(said), 'the framework reports a failure'); },
});

const facts = ([said]: readonly unknown[]): object => (said instanceof Error ? { err: said } : { reason: String(said) });
