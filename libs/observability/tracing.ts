/** `version-traceid-parentid-flags`, lower-case hexadecimal; all-zero ids are invalid (Trace Context §3.2.2). */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The header as it came when it is valid, else undefined: an invalid one is as good as none. */
export function validTraceparent(header: unknown): string | undefined {
  return typeof header === 'string' && TRACEPARENT.test(header) ? header : undefined;
}
