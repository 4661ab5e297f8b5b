import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import { type AppliedCredential, applyCredentials } from '#libs/backends/http/credentials.js';

export type SchemaType = 'AVRO' | 'JSON' | 'PROTOBUF';
/** A schema as the registry has it, with all that it refers to. */
export interface RegisteredSchema {
  readonly id: number;
  readonly type: SchemaType;
  readonly schema: string;
  /** What it refers to directly and indirectly, by the name in use; those that are referred to first. */
  readonly references: readonly { readonly name: string; readonly schema: string }[];
}
/** The registry answered something else than was asked for. */
export class RegistryProblem extends Error {
  override get name(): string { return 'RegistryProblem'; }
  constructor(message: string, readonly status: number) { super(message); }
}

export interface RegistryAccess { readonly url: string; readonly credential?: AppliedCredential | undefined; readonly signal?: AbortSignal | undefined }

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 4 * 1024 * 1024;
/** References of one schema, with theirs. */
const MAX_REFERENCES = 100;

interface Answer { readonly id?: unknown; readonly schema?: unknown; readonly schemaType?: unknown; readonly references?: unknown; readonly message?: unknown }

/** A Confluent-compatible schema registry (Schema Registry API, v1). Rejects with `OutboundFailure` or `RegistryProblem`. */
export class SchemaRegistry {
  constructor(private readonly outbound: Outbound, private readonly userAgent: string) {}

  /** Undefined: the subject is not registered. */
  async latest(access: RegistryAccess, subject: string): Promise<RegisteredSchema | undefined> {
    const answer = await this.#ask(access, `/subjects/${encodeURIComponent(subject)}/versions/latest`);
    return answer === undefined ? undefined : this.#read(access, answer);
  }

  /** Undefined: there is no such schema. */
  async byId(access: RegistryAccess, id: number): Promise<RegisteredSchema | undefined> {
    const answer = await this.#ask(access, `/schemas/ids/${id}`);
    return answer === undefined ? undefined : this.#read(access, { ...answer, id });
  }

  /** The id of exactly this schema under the subject; undefined: it is not registered there. */
  async idOf(access: RegistryAccess, subject: string, { schema, type }: Pick<RegisteredSchema, 'schema' | 'type'>): Promise<number | undefined> {
    const answer = await this.#ask(access, `/subjects/${encodeURIComponent(subject)}`, JSON.stringify({ schema, ...(type === 'AVRO' ? {} : { schemaType: type }) }));
    return answer === undefined ? undefined : idIn(answer);
  }

  async #read(access: RegistryAccess, answer: Answer): Promise<RegisteredSchema> {
    const { schema, schemaType = 'AVRO' } = answer;
    if (typeof schema !== 'string' || (schemaType !== 'AVRO' && schemaType !== 'JSON' && schemaType !== 'PROTOBUF')) throw new RegistryProblem('the schema registry answered with something that is no schema', 200);
    const references = new Map<string, string>();
    await this.#follow(access, answer, references, new Set());
    return { id: idIn(answer), type: schemaType, schema, references: [...references].map(([name, text]) => ({ name, schema: text })) };
  }

  async #follow(access: RegistryAccess, { references }: Answer, found: Map<string, string>, open: Set<string>): Promise<void> {
    for (const one of Array.isArray(references) ? references as readonly { readonly name?: unknown; readonly subject?: unknown; readonly version?: unknown }[] : []) {
      if (typeof one.name !== 'string' || typeof one.subject !== 'string' || !Number.isInteger(one.version)) throw new RegistryProblem('the schema registry answered with a reference that is none', 200);
      if (found.has(one.name) || open.has(one.name)) continue;
      if (open.size + found.size >= MAX_REFERENCES) throw new RegistryProblem(`a schema leads to more than ${MAX_REFERENCES} others`, 200);
      open.add(one.name);
      const answer = await this.#ask(access, `/subjects/${encodeURIComponent(one.subject)}/versions/${String(one.version)}`);
      if (typeof answer?.schema !== 'string') throw new RegistryProblem(`the schema registry does not have ${one.subject} version ${String(one.version)}, which another schema refers to`, 404);
      await this.#follow(access, answer, found, open);
      open.delete(one.name);
      found.set(one.name, answer.schema);
    }
  }

  /** Undefined: 404. */
  async #ask({ url, credential, signal }: RegistryAccess, path: string, body?: string): Promise<Answer | undefined> {
    const headers: (readonly [string, string])[] = [['accept', 'application/vnd.schemaregistry.v1+json, application/json;q=0.9'], ['user-agent', this.userAgent], ...(body === undefined ? [] : [['content-type', 'application/vnd.schemaregistry.v1+json'] as const])];
    const target = applyCredentials(`${url}${path}`, headers, credential === undefined ? [] : [credential]);
    const { status, body: bytes } = await this.outbound.request({ url: target, method: body === undefined ? 'GET' : 'POST', headers, ...(body === undefined ? {} : { body }), timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, ...(signal === undefined ? {} : { signal }) });
    if (status === 404) return undefined;
    let answer: unknown;
    try { answer = JSON.parse(Buffer.from(bytes).toString('utf8')); } catch { throw new RegistryProblem(`the schema registry answered ${status} with something that is no JSON`, status); }
    if (typeof answer !== 'object' || answer === null) throw new RegistryProblem(`the schema registry answered ${status} with something that is no object`, status);
    if (status >= 400) throw new RegistryProblem(`the schema registry answered ${status}${'message' in answer && typeof answer.message === 'string' ? `: ${answer.message.slice(0, 300)}` : ''}`, status);
    return answer;
  }
}

function idIn({ id }: Answer): number {
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 0x7f_ff_ff_ff) throw new RegistryProblem('the schema registry answered without a schema id', 200);
  return id;
}

export const isRegistryFailure = (failure: unknown): failure is RegistryProblem | OutboundFailure => failure instanceof RegistryProblem || failure instanceof OutboundFailure;
