import { AdmissionError } from '#libs/core/admission.js';
import { forbiddenHeaderParameter } from '#libs/core/header-names.js';
import type { CredentialSlot } from '#libs/core/rest-binding.js';

/** Members of a GraphQL API's `connection`. */
export interface GraphqlConnection {
  /** Absolute http or https URL. */
  readonly url?: string;
  /** What the server wants to be told of who asks; the secret is bound to slot `auth`. */
  readonly auth?: CredentialSlot;
  /** Fixed request headers; no secrets. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The server knows documents by their hash. */
  readonly persisted?: boolean;
  /** Selection sets by root field, instead of the rule's. */
  readonly select?: Readonly<Record<string, string>>;
}

function wrong(member: string, problem: string): never { throw new AdmissionError('connection-invalid', `connection.${member}: ${problem}`); }

/** Rejects with `AdmissionError` naming the member and the fix. */
export function readConnection(given: Readonly<Record<string, unknown>>): GraphqlConnection {
  const { url, auth, headers, persisted, select, ...rest } = given;
  const [stray] = Object.keys(rest);
  if (stray !== undefined) return wrong(stray, 'is not known; a GraphQL connection has url, auth, headers, persisted and select');
  if (url !== undefined && (typeof url !== 'string' || !/^https?:$/.test(URL.parse(url)?.protocol ?? ''))) return wrong('url', 'must be an absolute http or https URL');
  if (persisted !== undefined && typeof persisted !== 'boolean') return wrong('persisted', 'must be true or false');
  if (headers !== undefined && !isTexts(headers)) return wrong('headers', 'must be an object of texts');
  const taken = Object.keys(headers ?? {}).find((name) => forbiddenHeaderParameter(name));
  if (taken !== undefined) return wrong(`headers.${taken}`, 'cannot be set here: it is the gateway\'s own, a credential\'s (use auth), or no header name');
  if (select !== undefined && !isTexts(select)) return wrong('select', 'must be an object of selection sets by field name, such as { "pet": "{ id name }" }');
  if (auth !== undefined && !isSlot(auth)) return wrong('auth', 'must be {"type":"bearer"}, {"type":"basic"} or {"type":"apiKey","in":"header","name":"…"}');
  return {
    ...(url === undefined ? {} : { url }), ...(auth === undefined ? {} : { auth }), ...(headers === undefined ? {} : { headers }),
    ...(persisted === undefined ? {} : { persisted }), ...(select === undefined ? {} : { select }),
  };
}

const isTexts = (value: unknown): value is Readonly<Record<string, string>> => typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((text) => typeof text === 'string');
function isSlot(value: unknown): value is CredentialSlot {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false;
  if (value.type === 'bearer' || value.type === 'basic') return true;
  return value.type === 'apiKey' && 'in' in value && (value.in === 'header' || value.in === 'query' || value.in === 'cookie') && 'name' in value && typeof value.name === 'string' && value.name !== '';
}
