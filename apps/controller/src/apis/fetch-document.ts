import { type Outbound, OutboundFailure } from '#libs/core/outbound.js';
import { MAX_DOCUMENT_BYTES } from '../http/admin-http.js';
import { Problem } from '../http/problem.js';

/** Whole exchange, in milliseconds. */
const TIMEOUT_MS = 60_000;

/**
 * The document at an address, through the egress policy. Rejects with a `Problem`: 422 when the address itself is refused or
 * its answer is not a document, 502 when it cannot be reached or does not answer 200.
 */
export async function fetchDocument(outbound: Outbound, url: string, signal?: AbortSignal): Promise<Uint8Array> {
  const { status, headers, body } = await outbound.request({
    url, method: 'GET', timeoutMs: TIMEOUT_MS, maxBytes: MAX_DOCUMENT_BYTES, ...(signal === undefined ? {} : { signal }),
    headers: [['accept', 'application/json, application/yaml, text/yaml, */*;q=0.5'], ['user-agent', 'stoa-controller']],
  }).catch((failure: unknown) => { throw failure instanceof OutboundFailure ? at(STATUS[failure.kind], failure.message) : failure; });
  if (status === 200) return body;
  const location = headers['location'];
  if (status < 300 || status >= 400 || location === undefined) throw at(502, `the address answers ${status} instead of the document`);
  throw at(422, `the address answers ${status}, a redirect to ${location.slice(0, 500)}; redirects are not followed: import from the final address`);
}

const STATUS: Readonly<Record<OutboundFailure['kind'], 422 | 502>> = {
  'refused-address': 422, 'invalid-request': 422, 'too-large': 422, 'bad-encoding': 422, unreachable: 502, timeout: 502, aborted: 502,
};

const at = (status: number, msg: string): Problem => new Problem(status, [{ loc: ['body', 'source', 'url'], msg, type: 'document_unreachable' }]);
