/** How to reach a living backend that describes itself: members are its kind's own, checked by its admission. Never holds a secret. */
export type Connection = Readonly<Record<string, unknown>>;
/** Kinds of API that can be imported; each has its `Admission`. */
export type ApiKind = 'openapi' | 'graphql' | 'grpc' | 'kafka' | 'mcp';
export const API_KINDS = ['openapi', 'graphql', 'grpc', 'kafka', 'mcp'] as const satisfies readonly ApiKind[];
/** What a document is written in. */
export type ApiFormat = keyof typeof FORMATS;
const FORMATS = {
  'swagger-2.0': 'openapi', 'openapi-3.0': 'openapi', 'openapi-3.1': 'openapi', 'openapi-3.2': 'openapi',
  graphql: 'graphql', protobuf: 'grpc', 'kafka-topics': 'kafka', 'asyncapi-2': 'kafka', 'asyncapi-3': 'kafka', mcp: 'mcp',
} as const satisfies Readonly<Record<string, ApiKind>>;
export const API_FORMATS = Object.keys(FORMATS) as readonly ApiFormat[];
export const kindOf = (format: ApiFormat): ApiKind => FORMATS[format];
