import type { RestContent } from '#libs/core/rest-binding.js';

export type ContentKind = RestContent['kind'];

/** RFC 9110 §8.3.1, with optional parameters. */
const MEDIA_TYPE = /^[!#$&^_.+A-Za-z0-9-]+\/[!#$&^_.+*A-Za-z0-9-]+(\s*;\s*[!#$&^_.+A-Za-z0-9-]+=([^\s;"]+|"[^"]*"))*\s*;?\s*$|^\*\/\*$/;
const TEXT = /^(text\/|message\/|application\/(yaml|x-yaml|.*\+yaml|jwt|jose|.*\+jwe?|.*\+jws|csv|graphql|javascript|sql|.*ndjson|jsonl|json-seq|.*\+json-seq|x-json-stream|json-lines|toml|sparql-query|sparql-update|x-pem-file|x-httpd-php)$)/;
const BINARY = /^(image|audio|video|font|model)\/|^application\/(octet-stream|pdf|.*zip.*|.*tar|.*gzip|protobuf|.*protobuf|grpc.*|msword|vnd\.(ms-|openxmlformats|oasis).*|msgpack|.*msgpack|cbor|.*\+cbor|avro|.*avro|dicom|wasm|.*binary)/;

/** The type without parameters, lower-case. */
export function essence(mediaType: string): string {
  return (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

export function isMediaType(mediaType: string): boolean {
  return MEDIA_TYPE.test(mediaType.trim());
}

export function isJson(mediaType: string): boolean {
  return /(^|[/+.-])json$/.test(essence(mediaType)) && !essence(mediaType).includes('*') || essence(mediaType) === 'application/*+json';
}

/** The kind that a media type always has, or undefined where the schema has to tell. */
export function kindOf(mediaType: string): ContentKind | undefined {
  const type = essence(mediaType);
  if (isJson(type)) return 'json';
  if (type === 'application/x-www-form-urlencoded') return 'form';
  if (type.startsWith('multipart/')) return 'multipart';
  if (/[/+]xml$/.test(type)) return 'xml';
  if (TEXT.test(type)) return 'text';
  if (BINARY.test(type)) return 'binary';
  return undefined;
}

/** Preference among the media types of one body: JSON first, then what needs least of the caller. */
export function rank(mediaType: string, hasFiles: boolean): number {
  const type = essence(mediaType);
  if (type === 'application/json') return 0;
  switch (kindOf(type)) {
    case 'json': return type.includes('*') ? 2 : type === 'text/json' ? 2 : 1;
    case 'form': return hasFiles ? 4 : 3;
    case 'multipart': return hasFiles ? 3 : type === 'multipart/form-data' ? 4 : 9;
    case 'text': return 5;
    case 'xml': return 6;
    case 'binary': return 7;
    case undefined: default: return 8;
  }
}
