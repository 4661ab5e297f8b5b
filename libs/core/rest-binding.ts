/** How one operation of an HTTP API is called: plain data, made at import, read by `libs/backends/rest` on each call. */
export interface RestBinding {
  readonly kind: 'rest';
  /** Upper-case HTTP method. */
  readonly method: string;
  /** Absolute URL without a trailing slash, server variables filled in; the API's `baseUrl` replaces it when set. */
  readonly baseUrl: string;
  /** Path template as in the document, `/pets/{petId}`. */
  readonly path: string;
  readonly parameters: readonly RestParameter[];
  readonly body?: RestBody;
  /** Value of the `Accept` header. */
  readonly accept: string;
  /** Alternatives (any of), each a list of credential slots (all of). Empty: nothing is sent. An empty alternative: credentials are optional. */
  readonly security: readonly (readonly string[])[];
}

/** OpenAPI 3.2 Parameter Object §4.12: `style` and `explode` as there, `tabDelimited` for Swagger 2.0 `tsv`. */
export interface RestParameter {
  /** Property of the tool's arguments that carries the value. */
  readonly argument: string;
  /** Name on the wire. */
  readonly name: string;
  readonly in: 'path' | 'query' | 'querystring' | 'header' | 'cookie';
  readonly style: 'matrix' | 'label' | 'simple' | 'form' | 'spaceDelimited' | 'pipeDelimited' | 'tabDelimited' | 'deepObject' | 'cookie';
  readonly explode: boolean;
  readonly allowReserved: boolean;
  readonly required: boolean;
  /** Media type when the document uses `content` instead of `schema`: the value is serialized by it (`application/json` mostly). */
  readonly content?: string;
  /** Sent as `name=` when the value is the empty string (Swagger 2.0 and OpenAPI 3.x `allowEmptyValue`). */
  readonly allowEmptyValue?: boolean;
  /** The value arrives as base64 and goes out as raw bytes, percent-encoded. */
  readonly binary?: boolean;
}

export interface RestBody {
  /** Property of the tool's arguments that carries the body: `body` unless a parameter already has that name. */
  readonly argument: string;
  readonly required: boolean;
  readonly content: RestContent;
}

export interface RestContent {
  /** As sent in `Content-Type`, a concrete type without wildcard. */
  readonly mediaType: string;
  /** `text` and `xml` take a string as it is; `binary` takes base64 and sends bytes. */
  readonly kind: 'json' | 'form' | 'multipart' | 'text' | 'xml' | 'binary';
  /** Per property of a form or multipart body; a property without an entry follows the defaults of OpenAPI 3.2 §4.15.3. */
  readonly encoding?: Readonly<Record<string, RestEncoding>>;
}

export interface RestEncoding {
  /** Content type of a multipart part. */
  readonly contentType?: string;
  /** RFC 6570 styles, when the document sets any of style, explode or allowReserved for this property. */
  readonly style?: 'form' | 'spaceDelimited' | 'pipeDelimited' | 'tabDelimited' | 'deepObject';
  readonly explode?: boolean;
  readonly allowReserved?: boolean;
  /** The value (or each element of an array) arrives as base64 and goes out as bytes; multipart parts get a filename. */
  readonly binary?: boolean;
  /** Each array element is its own part (multipart). */
  readonly repeated?: boolean;
  /** Extra part headers with fixed values. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A named place for a credential that the document's security schemes declare; filled by reference, never in the catalogue. */
export type CredentialSlot =
  | { readonly type: 'bearer' }
  | { readonly type: 'basic' }
  | { readonly type: 'apiKey'; readonly in: 'header' | 'query' | 'cookie'; readonly name: string };

/** A place that every API has, whatever its document says. */
export type StandingSlot =
  /** Our side of mutual TLS (RFC 8446 §4.4.2): the secret is the PEM text of a certificate chain and its private key. */
  | { readonly type: 'certificate' }
  /** `X-Gateway-Auth`: that the request comes from this gateway; `X-User-ID`: the subject on whose behalf. */
  | { readonly type: 'gateway' };

/** Slots of every API by name; filled, they are sent with each call beside what the operation asks for. A document's own slot of the name wins. */
export const STANDING_SLOTS: Readonly<Record<'gateway' | 'client-certificate', StandingSlot>> = { gateway: { type: 'gateway' }, 'client-certificate': { type: 'certificate' } };
/** Undefined: the API has no slot of this name. */
export const slotNamed = (slots: Readonly<Record<string, CredentialSlot>>, name: string): CredentialSlot | StandingSlot | undefined =>
  (Object.hasOwn(slots, name) ? slots[name] : Object.hasOwn(STANDING_SLOTS, name) ? STANDING_SLOTS[name as keyof typeof STANDING_SLOTS] : undefined);

/** Where a credential comes from at call time; never the secret itself. */
export type CredentialReference = SecretReference | ClientCredentialsReference | TokenExchangeReference;
/**
 * Where a secret is found. Names are confined to the tenant by the resolver: `environment` reads
 * `STOA_CREDENTIAL_{TENANT}_{NAME}`, `file` reads `{credentials folder}/{tenant}/{name}`.
 */
export interface SecretReference { readonly from: 'environment' | 'file'; readonly name: string }
/** How a token is asked for at a token endpoint (RFC 6749 §3.2). */
export interface TokenClient {
  readonly clientId: string;
  readonly secret: SecretReference;
  /** How the client proves itself (RFC 6749 §2.3.1): by HTTP Basic, or in the form. Default `basic`. */
  readonly authentication?: 'basic' | 'post';
  /** Scopes separated by spaces. */
  readonly scope?: string;
  readonly audience?: string;
  /** RFC 8707. */
  readonly resource?: string;
}
/** A token of the client itself (RFC 6749 §4.4). */
export interface ClientCredentialsReference extends TokenClient { readonly from: 'client-credentials'; /** Absolute http or https URL. */ readonly tokenUrl: string }
/** A token for this backend on behalf of the caller (RFC 8693), at the token endpoint of the issuer that proved the caller, and at no other. */
export interface TokenExchangeReference extends TokenClient { readonly from: 'token-exchange' }
