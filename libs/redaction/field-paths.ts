import type { Path } from './json-text.js';

/**
 * Whether a path is named by one of these: `ssn`, a key at any depth, or `/owner/ssn`, a JSON Pointer (RFC 6901) in which a segment `*`
 * stands for any one member. What lies below a named path is named too.
 */
export function fieldMatcher(fields: readonly string[]): (path: Path) => boolean {
  const keys = new Set(fields.filter((field) => !field.startsWith('/')));
  const pointers = fields.filter((field) => field.startsWith('/')).map((field) => field.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~')));
  return (path) => (keys.size > 0 && path.some((part) => typeof part === 'string' && keys.has(part)))
    || pointers.some((pointer) => pointer.length <= path.length && pointer.every((part, at) => part === '*' || part === String(path[at])));
}
