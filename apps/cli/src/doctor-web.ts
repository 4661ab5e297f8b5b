/** A step of a client that did not work, and what to do about it. */
export class Trouble extends Error {
  override get name(): string { return 'Trouble'; }
  constructor(message: string, readonly fix: string) { super(message); }
}

export interface Seen { readonly url: string; readonly status: number; readonly headers: Headers; readonly text: string }
export type JsonObject = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 10_000;
const MAX_CHARACTERS = 262_144;

/** One request, no redirect followed. Rejects with `Trouble` where nothing answers. */
export async function ask(url: string, init: RequestInit, whenUnreachable: string): Promise<Seen> {
  try {
    const reply = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS), ...init });
    return { url, status: reply.status, headers: reply.headers, text: (await reply.text()).slice(0, MAX_CHARACTERS) };
  } catch (error) {
    throw new Trouble(`nothing answers on ${url} (${reasonOf(error)})`, whenUnreachable);
  }
}

export function json({ text }: Pick<Seen, 'text'>): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as JsonObject : undefined;
  } catch { return undefined; }
}

/** What an OAuth error answer says (RFC 6749 §5.2), else the beginning of the body. */
export function said(seen: Pick<Seen, 'text'>): string {
  const body = json(seen);
  const [error, description] = [body?.['error'], body?.['error_description'] ?? body?.['errorMessage'] ?? body?.['detail']];
  if (typeof error === 'string') return typeof description === 'string' ? `${error}: ${description}` : error;
  if (typeof description === 'string') return description;
  return seen.text.replaceAll(/<(script|style)[\s\S]*?<\/\1>|<[^>]+>/g, ' ').replaceAll(/\s+/g, ' ').trim().slice(0, 160);
}

export const strings = (value: unknown): readonly string[] => (Array.isArray(value) ? value.filter((entry): entry is string => typeof entry === 'string') : []);

/** Loopback, and the ranges that no stranger on the internet reaches, by their text. */
export function isPrivate(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname.endsWith('.local') || hostname.endsWith('.internal') || /^(127|10|192\.168|172\.(1[6-9]|2\d|3[01]))\./.test(hostname) || hostname.startsWith('[');
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer in ${TIMEOUT_MS / 1000} s`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as { code?: unknown }).code;
  return typeof code === 'string' ? code : String(cause instanceof Error ? cause.message : cause);
}
