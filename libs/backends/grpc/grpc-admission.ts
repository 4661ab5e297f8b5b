import { Metadata } from '@grpc/grpc-js';
import { type Admission, AdmissionError, type DescribeContext } from '#libs/core/admission.js';
import type { Connection } from '#libs/core/api-kind.js';
import type { ConversionOptions, ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import { OutboundFailure } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import type { Channels } from '#libs/backends/grpc/channels.js';
import { readConnection } from '#libs/backends/grpc/connection.js';
import { reflect } from '#libs/backends/grpc/reflection.js';
import { convertInThread } from '#libs/tool-listing/conversion-thread.js';


/** gRPC servers by reflection; descriptor sets and `.proto` files as documents. */
export class GrpcAdmission implements Admission {
  readonly kind = 'grpc';
  constructor(private readonly options: { readonly channels: Channels; readonly credentials?: CredentialResolver | undefined }) {}

  async describe(given: Connection, context: DescribeContext): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string }> {
    const { address, tls, auth, metadata: fixed } = readConnection(given, undefined);
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(fixed)) metadata.set(name, value);
    if (auth !== undefined) {
      const secret = await this.#secret(context);
      if (auth.type === 'apiKey') metadata.set(auth.name.toLowerCase(), secret);
      else metadata.set('authorization', auth.type === 'bearer' ? `Bearer ${secret}` : `Basic ${Buffer.from(secret).toString('base64')}`);
    }
    try {
      return { bytes: await reflect(await this.options.channels.to(address, tls), metadata, context.signal), mediaType: 'application/x-protobuf' };
    } catch (failure) {
      if (!(failure instanceof OutboundFailure)) throw failure;
      throw new AdmissionError(`backend-${failure.kind}`, `connection.address: ${failure.message}`, failure.kind === 'refused-address' ? 'input' : 'backend');
    }
  }

  /** In a thread of its own: the thread that serves must not wait for a large document. */
  convert(bytes: Uint8Array, options: ConversionOptions & { readonly fileName?: string }): Promise<ConvertedDocument> {
    return convertInThread(import.meta.url, { bytes, options }, { what: 'the descriptors', remedy: 'give those of fewer services' });
  }

  async #secret({ tenant, credentials }: DescribeContext): Promise<string> {
    const reference = credentials['auth'];
    if (reference === undefined) throw new AdmissionError('missing-credential', 'credentials.auth is missing: the connection says that the server wants one');
    const secret = await this.options.credentials?.resolve(tenant, reference);
    if (secret === undefined) throw new AdmissionError('missing-credential', 'credentials cannot be read in this process; import a descriptor set instead');
    if (secret instanceof Denial) throw new AdmissionError('missing-credential', `credentials.auth: ${secret.message}`);
    return secret;
  }
}
