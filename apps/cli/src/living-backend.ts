import { CommandError } from './client.js';

/** The flags of `stoa import` that name a living backend instead of a document. */
export const LIVING_OPTIONS = {
  graphql: { type: 'string' }, grpc: { type: 'string' }, kafka: { type: 'string' }, mcp: { type: 'string' },
  reflection: { type: 'boolean', default: false }, tls: { type: 'boolean', default: false }, topics: { type: 'string' }, registry: { type: 'string' }, stdio: { type: 'string' }, unix: { type: 'string' },
  proto: { type: 'string' }, descriptor: { type: 'string' }, credential: { type: 'string', multiple: true },
} as const;

export const LIVING_HELP = `
Backends that describe themselves, instead of a document:

  --graphql URL              a GraphQL server, by introspection (or with FILE: its schema)
  --grpc HOST:PORT           a gRPC server, with --reflection, or --proto FILE, or --descriptor FILE; --tls for TLS
  --kafka HOST:PORT[,…]      a Kafka cluster, with --topics 'a,b.*' and --registry URL for schemas; or with FILE: an AsyncAPI document
  --mcp URL                  an MCP server; or --stdio NAME (of the operator's list), or --unix PATH
  --credential SLOT=FROM:NAME  where the gateway finds a secret, FROM is environment or file (repeatable)`;

export interface LivingValues {
  readonly graphql?: string | undefined; readonly grpc?: string | undefined; readonly kafka?: string | undefined; readonly mcp?: string | undefined;
  readonly reflection?: boolean; readonly tls?: boolean; readonly topics?: string | undefined; readonly registry?: string | undefined; readonly stdio?: string | undefined; readonly unix?: string | undefined;
  readonly proto?: string | undefined; readonly descriptor?: string | undefined; readonly credential?: readonly string[] | undefined;
}

/** What kind of API is imported, and from where: a connection, or a document (`file`) that calls go elsewhere for (`baseUrl`). */
export interface LivingBackend {
  readonly kind: 'graphql' | 'grpc' | 'kafka' | 'mcp';
  readonly connection?: Readonly<Record<string, unknown>>;
  readonly file?: string;
  readonly baseUrl?: string;
}

/** Undefined where no flag names one: an OpenAPI document is meant. Throws `CommandError` naming the flag. */
export function livingBackend(values: LivingValues, positional: string | undefined): LivingBackend | undefined {
  const named = [values.graphql, values.grpc, values.kafka, values.mcp ?? values.stdio ?? values.unix].filter((value) => value !== undefined);
  if (named.length > 1) throw new CommandError('stoa import takes one of --graphql, --grpc, --kafka and --mcp at a time', 2);
  if (values.graphql !== undefined) return positional === undefined ? { kind: 'graphql', connection: { url: values.graphql } } : { kind: 'graphql', file: positional, baseUrl: values.graphql };
  if (values.grpc !== undefined) return grpc(values, values.grpc);
  if (values.kafka !== undefined) return kafka(values, values.kafka, positional);
  if (values.mcp !== undefined || values.stdio !== undefined || values.unix !== undefined) return { kind: 'mcp', connection: mcp(values) };
  return undefined;
}

function grpc({ reflection, tls, proto, descriptor }: LivingValues, address: string): LivingBackend {
  const file = proto ?? descriptor;
  if ((file === undefined) === (reflection !== true)) throw new CommandError('--grpc needs one of --reflection, --proto FILE and --descriptor FILE', 2);
  return file === undefined ? { kind: 'grpc', connection: { address, ...(tls === true ? { tls: true } : {}) } } : { kind: 'grpc', file, baseUrl: `${tls === true ? 'grpcs' : 'grpc'}://${address}` };
}

function kafka({ topics, registry, tls }: LivingValues, list: string, positional: string | undefined): LivingBackend {
  const brokers = split(list);
  if (positional !== undefined) return { kind: 'kafka', file: positional, baseUrl: `${tls === true ? 'kafkas' : 'kafka'}://${brokers[0] ?? ''}` };
  if (topics === undefined) throw new CommandError('--kafka needs --topics, a list of names or patterns such as \'orders.*\', or an AsyncAPI document', 2);
  return { kind: 'kafka', connection: { brokers, topics: split(topics), ...(registry === undefined ? {} : { registry }), ...(tls === true ? { tls: true } : {}) } };
}

function mcp({ mcp: url, stdio, unix }: LivingValues): Readonly<Record<string, unknown>> {
  if ([url, stdio, unix].filter((given) => given !== undefined).length > 1) throw new CommandError('give one of --mcp URL, --stdio NAME and --unix PATH', 2);
  return { ...(url === undefined ? {} : { url }), ...(stdio === undefined ? {} : { stdio }), ...(unix === undefined ? {} : { unix }) };
}

/** `--credential SLOT=FROM:NAME`, as the admin API takes it. */
export function credentialsOf(given: readonly string[] = []): Readonly<Record<string, { readonly from: string; readonly name: string }>> {
  return Object.fromEntries(given.map((entry) => {
    const [, slot, from, name] = /^([^=]+)=(environment|file):(.+)$/.exec(entry) ?? [];
    if (slot === undefined || from === undefined || name === undefined) throw new CommandError(`--credential ${entry}: expected SLOT=environment:NAME or SLOT=file:NAME`, 2);
    return [slot, { from, name }];
  }));
}

const split = (list: string): readonly string[] => list.split(',').map((item) => item.trim()).filter((item) => item !== '');
