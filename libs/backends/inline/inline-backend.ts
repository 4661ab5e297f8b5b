import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import type { Backend } from '#libs/core/ports.js';
import type { ResourceContents } from '#libs/core/result.js';
import type { BackendBinding } from '#libs/core/target.js';

/** A resource whose content is in the catalogue itself. */
export class InlineBackend implements Backend {
  async invoke(call: ValidatedCall): Promise<BackendAnswer> {
    const { mimeType, text, blob } = call.target.backend as Extract<BackendBinding, { kind: 'inline' }>;
    const base = { uri: call.name, mimeType };
    const contents: ResourceContents = blob === undefined ? { ...base, text: text ?? '' } : { ...base, blob };
    return { result: { type: 'resource', contents: [contents] }, outcome: 'success', latencyMs: 0, bytes: blob === undefined ? Buffer.byteLength(text ?? '') : Buffer.byteLength(blob, 'base64') };
  }
}
