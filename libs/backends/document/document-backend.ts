import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import { Denial } from '#libs/core/errors.js';
import type { Backend } from '#libs/core/ports.js';
import type { BackendBinding } from '#libs/core/target.js';

/** Longest document that a resource gives, in bytes. Larger ones are downloaded from the control plane. */
const MAX_BYTES = 8 * 1024 * 1024;

/** Reads an imported document from the control plane's store at each call: snapshots carry none. */
export class DocumentBackend implements Backend {
  constructor(private readonly source: Pick<CatalogueSource, 'document'>) {}

  /** Rejects with `Unavailable` when the store cannot be reached. */
  async invoke({ name, target, api }: ValidatedCall): Promise<BackendAnswer | Denial> {
    const binding = target.backend as Extract<BackendBinding, { kind: 'document' }>;
    if (binding.size > MAX_BYTES) {
      const download = `GET /admin/v1/tenants/${target.tenant ?? ''}/apis/${encodeURIComponent(api?.name ?? '')}/document`;
      return new Denial({ code: 'BACKEND_RESPONSE_TOO_LARGE', message: `The document has ${binding.size} bytes; a resource gives at most ${MAX_BYTES}. Download it from the admin API: ${download}.` });
    }
    const startedAt = performance.now();
    const document = target.tenant === undefined ? undefined : await this.source.document(target.tenant, binding.api, binding.specHash);
    if (!document) return new Denial({ code: 'UNAVAILABLE', message: 'The document was replaced or deleted a moment ago; try again.', retryAfterSeconds: 1 });
    const contents = { uri: name, mimeType: binding.mimeType, ...contentOf(document.bytes) };
    return { result: { type: 'resource', contents: [contents] }, outcome: 'success', latencyMs: performance.now() - startedAt, bytes: document.bytes.byteLength };
  }
}

/** Text where the bytes are UTF-8, else base64. */
function contentOf(bytes: Uint8Array): { readonly text: string } | { readonly blob: string } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { blob: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') };
  }
}
