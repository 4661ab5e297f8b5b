/** How one root field of a GraphQL server is called: a document fixed at import; a caller gives its variables only. */
export interface GraphqlBinding {
  readonly kind: 'graphql';
  /** Absolute http or https URL; the API's `baseUrl` replaces it when set. */
  readonly url: string;
  /** The whole operation, one root field. */
  readonly document: string;
  /** SHA-256 (hex) of `document`. */
  readonly documentHash: string;
  readonly operationName: string;
  /** Sends the hash instead of the document, and the document only when the server does not know it (Apollo's persisted queries). */
  readonly persisted: boolean;
  /** Fixed request headers; never a secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** See `RestBinding.security`. */
  readonly security: readonly (readonly string[])[];
}
