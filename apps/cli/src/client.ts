import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** A failure that a person can act on: shown as one line, without a stack. */
export class CommandError extends Error {
  override get name(): string { return 'CommandError'; }
  constructor(message: string, /** Of the process; 2 for a wrong command line. */ readonly exitCode = 1) { super(message); }
}

const Handover = z.object({ url: z.url(), issuer: z.url(), clientId: z.string().min(1), clientSecret: z.string().min(1) });
/** How to reach a product. URLs have no trailing slash. */
export interface Connection {
  /** Of the gateway: `/mcp`, `/v1/token`. */
  readonly url: string;
  /** Of the control plane: `/admin/v1`. The same where both are one process. */
  readonly adminUrl: string;
  readonly signIn: SignIn;
}
/** Who the commands are: as a role of the product's own issuer, which it handed over in its data folder; with a token as it is; or with what an issuer gives. */
export type SignIn =
  | { readonly kind: 'own'; readonly issuer: string; readonly clientId: string; readonly clientSecret: string }
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'issuer'; readonly values: IssuerValues };
/** As `issuerRequest` takes them. */
type IssuerValues = Readonly<Record<'issuer' | 'client-id' | 'client-secret' | 'username' | 'password' | 'scope' | 'resource', string | undefined>>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The checkout that this file belongs to, built (`dist/apps/cli/src`) or not. */
const checkout = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../../../' : '../../../', import.meta.url));

/**
 * The product at `STOA_URL`, where that is set; else the one of the data folder, by its `cli.json`: `STOA_HOME`, else `.stoa` here, else `.stoa` of the checkout.
 * Throws a `CommandError` that says what is missing, or how to start the product when there is none.
 */
export function readConnection(env: Environment, cwd = process.cwd()): Connection {
  const elsewhere = connectionOf(env);
  if (elsewhere) return elsewhere;
  const folders = env['STOA_HOME'] ? [resolve(cwd, env['STOA_HOME'])] : [join(cwd, '.stoa'), join(checkout, '.stoa')];
  for (const folder of folders) {
    const text = readIfThere(join(folder, 'cli.json'));
    if (text === undefined) continue;
    const parsed = Handover.safeParse(parseJson(text));
    if (!parsed.success) throw new CommandError(`${join(folder, 'cli.json')} is damaged; start the product again (npm start) and it is written anew.`);
    const { url, ...own } = parsed.data;
    return { url: bare(url), adminUrl: bare(url), signIn: { kind: 'own', ...own } };
  }
  throw new CommandError(`No running product is known in ${folders.join(' or ')}: run npm start, or set STOA_HOME to its data folder; for one that runs elsewhere set STOA_URL.`);
}

/** The environment's way to a product that was not started here; its tokens come from its identity provider. */
function connectionOf(env: Environment): Connection | undefined {
  const url = env['STOA_URL'];
  if (url === undefined || url === '') return undefined;
  const adminUrl = env['STOA_ADMIN_URL'] ?? url;
  for (const [name, value] of [['STOA_URL', url], ['STOA_ADMIN_URL', adminUrl]] as const) if (!URL.canParse(value)) throw new CommandError(`${name} is not an absolute URL: ${value}`, 2);
  const token = env['STOA_TOKEN'];
  if (token !== undefined && token !== '') return { url: bare(url), adminUrl: bare(adminUrl), signIn: { kind: 'token', token } };
  const issuer = env['STOA_ISSUER'];
  if (issuer === undefined) throw new CommandError('STOA_URL is set, and not who you are: set STOA_TOKEN, or STOA_ISSUER with STOA_CLIENT_ID and STOA_CLIENT_SECRET (or STOA_USERNAME and STOA_PASSWORD)', 2);
  return { url: bare(url), adminUrl: bare(adminUrl), signIn: { kind: 'issuer', values: {
    issuer, 'client-id': env['STOA_CLIENT_ID'], 'client-secret': env['STOA_CLIENT_SECRET'], username: env['STOA_USERNAME'], password: env['STOA_PASSWORD'], scope: env['STOA_SCOPE'], resource: env['STOA_RESOURCE'],
  } } };
}
const bare = (url: string): string => url.replace(/\/+$/, '');

/** The admin API, as one principal. Paths are below `/admin/v1`. */
export class AdminClient {
  constructor(private readonly connection: Connection, private readonly token: string) {}

  /** Answers the parsed body; a status outside 2xx is a `CommandError` with what the server said. */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await send(this.connection, new Request(`${this.connection.adminUrl}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }));
    return readAnswer(answer);
  }
  /** The lines of an answer as they come; rejects where it is cut. */
  async *lines(path: string): AsyncGenerator<string> {
    const answer = await send(this.connection, new Request(`${this.connection.url}/admin/v1${path}`, { headers: { authorization: `Bearer ${this.token}` } }));
    if (!answer.ok) throw new CommandError(problem(await answer.text(), answer.status));
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of answer.body ?? []) {
        const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
        rest = parts.pop() ?? '';
        yield* parts;
      }
    } catch (failure) {
      throw new CommandError(`the answer of ${this.connection.url} was cut: ${failure instanceof Error ? failure.message : String(failure)}`);
    }
    if (rest !== '') yield rest;
  }
  /** Sends a document as it is. */
  async upload(path: string, bytes: Uint8Array<ArrayBuffer>, mediaType: string): Promise<unknown> {
    const answer = await send(this.connection, new Request(`${this.connection.adminUrl}/admin/v1${path}`, {
      method: 'POST', body: bytes, headers: { authorization: `Bearer ${this.token}`, accept: 'application/json', 'content-type': mediaType },
    }));
    return readAnswer(answer);
  }
}

export async function readAnswer(answer: Response): Promise<unknown> {
  const text = await answer.text();
  if (!answer.ok) throw new CommandError(problem(text, answer.status));
  return text === '' ? undefined : parseJson(text);
}

export async function send(connection: Connection, request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = (cause as { code?: unknown }).code;
    const address = new URL(request.url).origin;
    throw new CommandError(`Cannot reach ${address} (${typeof code === 'string' ? code : String(cause)}): ${connection.signIn.kind === 'own' ? 'is the product running? Start it with npm start.' : 'check STOA_URL and STOA_ADMIN_URL.'}`);
  }
}

const Detail = z.object({ detail: z.union([z.string(), z.array(z.object({ loc: z.array(z.union([z.string(), z.number()])).default([]), msg: z.string() }))]) });

/** A place in a file that was sent along is told as compilers do. */
function placeOf(loc: readonly (string | number)[]): string {
  if (loc[0] !== 'body' || loc[1] !== 'files' || loc.length < 3) return loc.join('.');
  const [, , file, word, line] = loc;
  return word === 'line' ? `${file}:${line}` : String(file);
}

/** RFC 6749 §5.2. */
const OAuthError = z.object({ error_description: z.string() });

/** What the server said of a failure, in one line. */
function problem(text: string, status: number): string {
  const body = parseJson(text);
  const detail = Detail.safeParse(body);
  if (detail.success) return typeof detail.data.detail === 'string' ? detail.data.detail : detail.data.detail.map(({ loc, msg }) => `${placeOf(loc)}: ${msg}`).join('; ');
  const oauth = OAuthError.safeParse(body);
  if (oauth.success) return oauth.data.error_description;
  return `HTTP ${status}${text === '' ? '' : `: ${text.slice(0, 300)}`}`;
}

function parseJson(text: string): unknown {
  try { return JSON.parse(text); } catch { return undefined; }
}
function readIfThere(file: string): string | undefined {
  try { return readFileSync(file, 'utf8'); } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw new CommandError(`Cannot read ${file}: ${(error as Error).message}`);
  }
}
