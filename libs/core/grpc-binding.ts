/** How one method of a gRPC service is called. */
export interface GrpcBinding {
  readonly kind: 'grpc';
  /** `host:port`; the API's `baseUrl` (`grpc://` or `grpcs://`) replaces it when set. */
  readonly address: string;
  readonly tls: boolean;
  /** `/package.Service/Method` */
  readonly path: string;
  /** Full names of the messages. */
  readonly request: string;
  readonly response: string;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  /** A `google.protobuf.FileDescriptorSet` with what these two messages need and no more, base64. */
  readonly descriptors: string;
  /** Property of the arguments that is the request, where the request is no JSON object of its own; undefined: the arguments are. */
  readonly argument?: string;
  /** Fixed metadata; never a secret. */
  readonly metadata: Readonly<Record<string, string>>;
  /** See `RestBinding.security`. */
  readonly security: readonly (readonly string[])[];
}
