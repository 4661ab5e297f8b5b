import { getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import { ClientError, GraphQLClient } from 'graphql-request';
import { type Admission, AdmissionError, type DescribeContext } from '#libs/core/admission.js';
import type { Connection } from '#libs/core/api-kind.js';
import type { ConversionOptions, ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import { type AppliedCredential, applyCredentials, scrub } from '#libs/backends/http/credentials.js';
import { readConnection } from '#libs/backends/graphql/connection.js';
import { convertInThread } from '#libs/tool-listing/conversion-thread.js';

export interface GraphqlAdmissionOptions {
  readonly outbound: Outbound;
  /** Left out: backends that introspect only for whom they know cannot be asked. */
  readonly credentials?: CredentialResolver | undefined;
  readonly version: string;
}

/** Whole introspection, in milliseconds and bytes. */
const TIMEOUT_MS = 30_000;
const MAX_BYTES = 32 * 1024 * 1024;

/** GraphQL servers by introspection, and schemas as documents. */
export class GraphqlAdmission implements Admission {
  readonly kind = 'graphql';
  constructor(private readonly options: GraphqlAdmissionOptions) {}

  async describe(given: Connection, context: DescribeContext): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }> {
    const { url, headers = {}, auth } = readConnection(given);
    if (url === undefined) throw new AdmissionError('connection-invalid', 'connection.url is missing: the URL of the GraphQL server');
    const credential = auth === undefined ? undefined : { slot: auth, secret: await this.#secret(context) };
    const client = new GraphQLClient(url, {
      headers, fetch: (_target: unknown, request?: { readonly body?: unknown; readonly headers?: unknown }) => this.#fetch({ url, headers: headersOf(request?.headers), body: String(request?.body), credential, context }),
    });
    try {
      const schema = await client.request<IntrospectionQuery>(getIntrospectionQuery({ descriptions: true, specifiedByUrl: true, inputValueDeprecation: true, schemaDescription: true }))
        // Servers of the years before 2021 do not know the newer words.
        .catch((failure: unknown) => { if (failure instanceof ClientError && failure.response.status < 500) return client.request<IntrospectionQuery>(getIntrospectionQuery()); throw failure; });
      return { bytes: Buffer.from(JSON.stringify(schema)), mediaType: 'application/json' };
    } catch (failure) {
      throw refusal(failure, credential?.secret);
    }
  }

  /** In a thread of its own: a large schema takes a second, and the thread that serves must not wait for it. */
  convert(bytes: Uint8Array, options: ConversionOptions & { readonly fileName?: string }): Promise<ConvertedDocument> {
    return convertInThread(import.meta.url, { bytes, options }, { what: 'the schema', remedy: 'give selections for fewer fields' });
  }

  async #secret({ tenant, credentials }: DescribeContext): Promise<string> {
    const reference = credentials['auth'];
    if (reference === undefined) throw new AdmissionError('missing-credential', 'credentials.auth is missing: the connection says that the server wants one');
    const secret = await this.options.credentials?.resolve(tenant, reference);
    if (secret === undefined) throw new AdmissionError('missing-credential', 'credentials cannot be read in this process; import the schema as a document');
    if (secret instanceof Denial) throw new AdmissionError('missing-credential', `credentials.auth: ${secret.message}`);
    return secret;
  }

  /** What `graphql-request` calls instead of the platform's fetch: every byte goes through egress. */
  async #fetch({ url, headers, body, credential, context }: { url: string; headers: (readonly [string, string])[]; body: string; credential: AppliedCredential | undefined; context: DescribeContext }): Promise<Response> {
    const sent = [...headers, ['user-agent', `stoa/${this.options.version}`] as const];
    const target = applyCredentials(url, sent, credential === undefined ? [] : [credential]);
    const { status, headers: answered, body: bytes } = await this.options.outbound.request({
      url: target, method: 'POST', headers: sent, body, timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, ...(context.signal === undefined ? {} : { signal: context.signal }),
    });
    return new Response(status === 204 || status === 304 ? null : Buffer.from(bytes), { status, headers: { 'content-type': answered['content-type'] ?? '' } });
  }
}

/** Framing is the connection's own. */
const headersOf = (given: unknown): (readonly [string, string])[] => [...new Headers(given as Record<string, string>)].filter(([name]) => name !== 'content-length' && name !== 'host');

function refusal(failure: unknown, secret: string | undefined): AdmissionError {
  if (failure instanceof AdmissionError) return failure;
  const clean = (text: string): string => (secret === undefined ? text : scrub(text, [secret])).slice(0, 500);
  if (failure instanceof OutboundFailure) return new AdmissionError(`backend-${failure.kind}`, `connection.url: ${clean(failure.message)}`, failure.kind === 'refused-address' || failure.kind === 'invalid-request' ? 'input' : 'backend');
  if (failure instanceof ClientError) {
    const { status, errors } = failure.response;
    const told = errors?.map(({ message }) => message).join('; ') ?? '';
    if (/introspection/i.test(told)) return new AdmissionError('introspection-disabled', `connection.url: the server does not answer introspection (${clean(told)}); import its schema as a document, with the URL as base URL`, 'backend');
    return new AdmissionError('backend-error', `connection.url: the server answered ${status}${told === '' ? ' with something that is no GraphQL response' : `: ${clean(told)}`}`, 'backend');
  }
  return new AdmissionError('backend-error', `connection.url: ${clean(failure instanceof Error ? failure.message : String(failure))}`, 'backend');
}
