import { Unavailable } from '#libs/core/errors.js';

/** Postgres classes 08 (connection) and 57P (operator intervention), too many connections, and what the socket says. */
const CONNECTION_LOST = /^(08...|57P0[123]|53300|ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|EHOSTUNREACH|P1001|P1002|P1008|P1017|P2024|P2037)$/;
const CONNECTION_WORDS = /connection (terminated|timeout|is closed)|timeout exceeded when trying to connect|client has encountered a connection error|server has closed the connection|can't reach database server|unable to start a transaction|transaction already closed/i;

/** Passes the outcome on, with "the database cannot be reached" in all its shapes as `Unavailable`. */
export async function asUnavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (failure) {
    if (failure instanceof Error && errorsWithin(failure).some((inner) => CONNECTION_LOST.test(codeOf(inner)) || CONNECTION_WORDS.test(inner.message))) {
      throw new Unavailable('database', { cause: failure });
    }
    throw failure;
  }
}

/** A unique constraint was hit (SQLSTATE 23505), by a statement of Prisma's or a raw one. */
export function isUniqueViolation(failure: unknown): boolean {
  return failure instanceof Error && errorsWithin(failure).some((inner) => ['P2002', '23505'].includes(codeOf(inner)) || kindOf(inner) === 'UniqueConstraintViolation');
}

/** The error, its causes, and the driver's error inside Prisma's. */
function errorsWithin(failure: Error): Error[] {
  const found: Error[] = [];
  let next: unknown = failure;
  while (next instanceof Error && found.length < 10) {
    found.push(next);
    const driver = (next as { meta?: { driverAdapterError?: unknown } }).meta?.driverAdapterError;
    next = driver ?? (next instanceof AggregateError ? next.errors[0] : next.cause);
    // A driver adapter's error carries plain facts as its cause.
    if (typeof next === 'object' && next !== null && !(next instanceof Error)) {
      const facts = next as { originalCode?: unknown; code?: unknown; kind?: unknown; message?: string };
      next = Object.assign(new Error(facts.message), { code: facts.originalCode ?? facts.code, kind: facts.kind });
    }
  }
  return found;
}
const codeOf = (failure: Error): string => ('code' in failure && typeof failure.code === 'string' ? failure.code : '');
const kindOf = (failure: Error): unknown => ('kind' in failure ? failure.kind : undefined);
