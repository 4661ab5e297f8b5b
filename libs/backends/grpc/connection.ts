import { AdmissionError } from '#libs/core/admission.js';
import type { CredentialSlot } from '#libs/core/rest-binding.js';

/** Members of a gRPC API's `connection`. */
export interface GrpcConnection {
  /** `host:port`. */
  readonly address: string;
  readonly tls: boolean;
  /** What the server wants to be told of who asks, as metadata; the secret is bound to slot `auth`. */
  readonly auth?: CredentialSlot;
  /** Fixed metadata; no secrets. */
  readonly metadata: Readonly<Record<string, string>>;
}

const ADDRESS = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):([1-9]\d{0,4})$/;
/** Names of metadata that are the transport's or ours (gRPC over HTTP/2). */
const RESERVED = /^(?:grpc-.*|:.*|.*-bin|content-type|te|user-agent|authorization|host|x-stoa-.*|x-request-id|traceparent|tracestate)$/;

function wrong(member: string, problem: string): never { throw new AdmissionError('connection-invalid', `connection.${member}: ${problem}`); }

/** `baseUrl` (`grpc://host:port`, `grpcs://host:port`) says where a document's server is. Rejects with `AdmissionError` naming the member and the fix. */
export function readConnection(given: Readonly<Record<string, unknown>>, baseUrl: string | undefined): GrpcConnection {
  const { address = baseUrl?.replace(/^grpcs?:\/\//, ''), tls = baseUrl?.startsWith('grpcs:') ?? false, auth, metadata = {}, ...rest } = given;
  const [stray] = Object.keys(rest);
  if (stray !== undefined) return wrong(stray, 'is not known; a gRPC connection has address, tls, auth and metadata');
  if (typeof address !== 'string') return wrong('address', 'is missing: the server\'s host:port, or give baseUrl grpc://host:port with a document');
  if (!ADDRESS.test(address) || Number(ADDRESS.exec(address)?.[1]) > 65_535) return wrong('address', `${address} is not host:port`);
  if (typeof tls !== 'boolean') return wrong('tls', 'must be true or false');
  if (!isTexts(metadata)) return wrong('metadata', 'must be an object of texts');
  const taken = Object.keys(metadata).find((name) => !/^[0-9a-z_.-]{1,64}$/.test(name) || RESERVED.test(name));
  if (taken !== undefined) return wrong(`metadata.${taken}`, 'cannot be set here: metadata names are lower-case, and those of the transport and of credentials are not yours to set');
  if (auth !== undefined && !isSlot(auth)) return wrong('auth', 'must be {"type":"bearer"}, {"type":"basic"} or {"type":"apiKey","in":"header","name":"…"}');
  return { address, tls, metadata, ...(auth === undefined ? {} : { auth }) };
}

const isTexts = (value: unknown): value is Readonly<Record<string, string>> => typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((text) => typeof text === 'string');
function isSlot(value: unknown): value is CredentialSlot {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false;
  if (value.type === 'bearer' || value.type === 'basic') return true;
  return value.type === 'apiKey' && 'in' in value && value.in === 'header' && 'name' in value && typeof value.name === 'string' && /^[0-9a-zA-Z_.-]{1,64}$/.test(value.name);
}
