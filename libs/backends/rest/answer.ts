import type { OutboundResponse } from '#libs/core/outbound.js';
import type { ContentBlock, ToolResult } from '#libs/core/result.js';

export interface ReadAnswer {
  readonly result: ToolResult;
  /** The parsed body, boxed because JSON has `null` too; undefined when the body is not JSON. */
  readonly value: { readonly json: unknown } | undefined;
}

const JSON_TYPE = /^application\/(?:[\w.+-]*\+)?json\b|^text\/json\b/i;
const TEXT_TYPE = /^(?:text\/|multipart\/|application\/(?:[\w.+-]*\+)?(?:xml|json|yaml)\b|application\/(?:x-)?(?:www-form-urlencoded|javascript|ndjson|yaml|graphql|sql|jwt|json-seq|x-ndjson|toml)\b|image\/svg\+xml)/i;

/**
 * A backend's answer as a tool result: JSON and other text as one text block with the backend's own characters, images and audio as their
 * blocks, other bytes as an embedded resource, nothing (204, HEAD) as an empty text, a bare redirect as a sentence. Status ≥ 400 is a tool error.
 * JSON that parses is `structuredContent` too, in the same bytes. `uri` names an embedded resource.
 */
export function answerOf(response: OutboundResponse, uri: string): ReadAnswer {
  const { status, headers, body } = response;
  const isError = status >= 400;
  const type = headers['content-type']?.trim() ?? '';
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const base = { type: 'tool', isError, backendStatus: status, ...(isError ? { meta: { error_code: 'BACKEND_ERROR' } } : {}) } as const;
  if (bytes.length > 0 && isBinary(type, bytes)) return { result: { ...base, content: [block(type, bytes, uri)] }, value: undefined };

  const text = bytes.length === 0 && status >= 300 && status < 400 && headers['location'] !== undefined
    ? `The backend answered ${status} and points to ${headers['location']}. Redirects are not followed.`
    : decode(bytes, type);
  const content: ContentBlock[] = [{ type: 'text', text }];
  if (isError || !JSON_TYPE.test(type)) return { result: { ...base, content }, value: undefined };
  const value = parse(text);
  return value === undefined ? { result: { ...base, content }, value } : { result: { ...base, content, structuredJson: text }, value };
}

function isBinary(type: string, bytes: Buffer): boolean {
  if (TEXT_TYPE.test(type)) return false;
  // Without a type (RFC 9110 §8.3), or with one that says nothing, look: a NUL or broken UTF-8 is not text.
  if (type === '' || /^application\/octet-stream\b/i.test(type)) return bytes.includes(0) || !isUtf8Text(bytes);
  return true;
}
const isUtf8Text = (bytes: Buffer): boolean => {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};

function block(type: string, bytes: Buffer, uri: string): ContentBlock {
  const mimeType = (type.split(';', 1)[0] ?? '').trim().toLowerCase() || 'application/octet-stream';
  const data = bytes.toString('base64');
  if (mimeType.startsWith('image/')) return { type: 'image', data, mimeType };
  if (mimeType.startsWith('audio/')) return { type: 'audio', data, mimeType };
  return { type: 'resource', resource: { uri, mimeType, blob: data } };
}

/** JSON is UTF-8 (RFC 8259 §8.1); other text by its charset, UTF-8 unless named. A byte order mark goes. */
function decode(bytes: Buffer, type: string): string {
  if (bytes.length === 0) return '';
  const charset = JSON_TYPE.test(type) ? undefined : /;\s*charset="?([\w.:-]+)/i.exec(type)?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    try {
      return new TextDecoder(charset).decode(bytes);
    } catch {
      // An unknown charset: read it as UTF-8, the best guess there is.
    }
  }
  const text = bytes.toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function parse(text: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}
