import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/** A failure that a person can act on: shown as one line, without a stack. */
export class CommandError extends Error {
  override get name(): string { return 'CommandError'; }
  constructor(message: string, /** Of the process; 2 for a wrong command line. */ readonly exitCode = 1) { super(message); }
}

const Connection = z.object({ url: z.url(), issuer: z.url(), clientId: z.string().min(1), clientSecret: z.string().min(1) });
/** How to reach a running product, as it wrote it into its data folder. `url` has no trailing slash. */
export type Connection = z.infer<typeof Connection>;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The checkout that this file belongs to, built (`dist/apps/cli/src`) or not. */
const checkout = fileURLToPath(new URL(import.meta.url.includes('/dist/') ? '../../../../' : '../../../', import.meta.url));

/**
 * Reads `cli.json` of the data folder: `STOA_HOME`, else `.stoa` here, else `.stoa` of the checkout.
 * Throws a `CommandError` that says how to start the product when there is none.
 */
export function readConnection(env: Environment, cwd = process.cwd()): Connection {
  const folders = env['STOA_HOME'] ? [resolve(cwd, env['STOA_HOME'])] : [join(cwd, '.stoa'), join(checkout, '.stoa')];
  for (const folder of folders) {
    const text = readIfThere(join(folder, 'cli.json'));
    if (text === undefined) continue;
    const parsed = Connection.safeParse(parseJson(text));
    if (!parsed.success) throw new CommandError(`${join(folder, 'cli.json')} is damaged; start the product again (npm start) and it is written anew.`);
    return { ...parsed.data, url: parsed.data.url.replace(/\/$/, '') };
  }
  throw new CommandError(`No running product is known in ${folders.join(' or ')}: run npm start, or set STOA_HOME to its data folder.`);
}

/** The admin API, as one principal. Paths are below `/admin/v1`. */
export class AdminClient {
  constructor(private readonly connection: Connection, private readonly token: string) {}

  /** Answers the parsed body; a status outside 2xx is a `CommandError` with what the server said. */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const answer = await send(this.connection, new Request(`${this.connection.url}/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, accept: 'application/json', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }));
    return readAnswer(answer);
  }
  /** Sends a document as it is. */
  async upload(path: string, bytes: Uint8Array<ArrayBuffer>, mediaType: string): Promise<unknown> {
    const answer = await send(this.connection, new Request(`${this.connection.url}/admin/v1${path}`, {
      method: 'POST', body: bytes, headers: { authorization: `Bearer ${this.token}`, accept: 'application/json', 'content-type': mediaType },
    }));
    return readAnswer(answer);
  }
}

async function readAnswer(answer: Response): Promise<unknown> {
  const text = await answer.text();
  if (!answer.ok) throw new CommandError(problem(text, answer.status));
  return text === '' ? undefined : parseJson(text);
}

async function send(connection: Connection, request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = (cause as { code?: unknown }).code;
    throw new CommandError(`Cannot reach ${connection.url} (${typeof code === 'string' ? code : String(cause)}): is the product running? Start it with npm start.`);
  }
}

const Detail = z.object({ detail: z.union([z.string(), z.array(z.object({ loc: z.array(z.union([z.string(), z.number()])).default([]), msg: z.string() }))]) });

/** What the server said of a failure, in one line. */
function problem(text: string, status: number): string {
  const body = parseJson(text);
  const detail = Detail.safeParse(body);
  if (detail.success) return typeof detail.data.detail === 'string' ? detail.data.detail : detail.data.detail.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; ');
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
