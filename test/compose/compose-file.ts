import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { dockerCompose } from './downloads.js';

const run = promisify(execFile);

export interface Mount { readonly type: 'volume' | 'bind' | 'tmpfs'; readonly source?: string; readonly target: string; readonly read_only?: boolean }
export interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly target: string };
  readonly command?: readonly string[] | null;
  readonly entrypoint?: readonly string[] | null;
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string; readonly required: boolean }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports?: readonly { readonly host_ip?: string; readonly published: string; readonly target: number }[];
  readonly volumes?: readonly Mount[];
  readonly tmpfs?: readonly string[];
  readonly networks?: Readonly<Record<string, unknown>>;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly privileged?: boolean;
  readonly security_opt?: readonly string[];
  readonly deploy?: { readonly resources?: { readonly limits?: { readonly cpus?: number; readonly memory?: string; readonly pids?: number } } };
}
export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** The Compose file as Docker Compose itself reads it: checked against the specification's schema, variables filled in. Rejects with what Compose says. */
export async function readCompose(envFile: string, { files = ['docker-compose.yml'], profiles = [] }: { readonly files?: readonly string[]; readonly profiles?: readonly string[] } = {}): Promise<ComposeFile> {
  const { stdout } = await run(await dockerCompose(), [...files.flatMap((file) => ['--file', file]), ...profiles.flatMap((profile) => ['--profile', profile]), '--env-file', envFile, 'config', '--format', 'json'],
    { cwd: path.join(import.meta.dirname, '..', '..'), env: { PATH: process.env['PATH'], HOME: process.env['HOME'] }, maxBuffer: 16 * 1024 * 1024 });
  return unescaped(JSON.parse(stdout)) as ComposeFile;
}

/** `config` writes a dollar as two, so that its output could be read again. */
function unescaped(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$$', '$');
  if (Array.isArray(value)) return value.map(unescaped);
  if (value !== null && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unescaped(inner)]));
  return value;
}

/** Services in an order in which each comes after those that it waits for. */
export function startOrder({ services }: ComposeFile): readonly string[] {
  const order: string[] = [];
  const visit = (name: string, through: readonly string[]): void => {
    if (through.includes(name)) throw new Error(`${[...through, name].join(' → ')}: these wait for one another`);
    if (order.includes(name)) return;
    for (const needed of Object.keys(services[name]?.depends_on ?? {})) if (services[needed]) visit(needed, [...through, name]);
    order.push(name);
  };
  for (const name of Object.keys(services)) visit(name, []);
  return order;
}
