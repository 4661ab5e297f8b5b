import { Worker } from 'node:worker_threads';
import { Metadata } from '@grpc/grpc-js';
import { type Admission, AdmissionError, type DescribeContext } from '#libs/core/admission.js';
import type { Connection } from '#libs/core/api-kind.js';
import type { ConversionOptions, ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import { OutboundFailure } from '#libs/core/outbound.js';
import type { CredentialResolver } from '#libs/core/ports.js';
import type { Channels } from '#libs/backends/grpc/channels.js';
import { readConnection } from '#libs/backends/grpc/connection.js';
import type { ConversionReply } from '#libs/backends/grpc/conversion-worker-entry.js';
import { reflect } from '#libs/backends/grpc/reflection.js';

const CONVERSION_MS = 60_000;

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
    const source = import.meta.url.endsWith('.ts');
    const worker = new Worker(new URL(source ? './conversion-worker-entry.ts' : './conversion-worker-entry.js', import.meta.url), {
      workerData: { bytes, options }, execArgv: source ? ['--conditions=stoa-source'] : [], resourceLimits: { maxOldGenerationSizeMb: 1024 },
    });
    return new Promise<ConvertedDocument>((resolve, reject) => {
      const timer = setTimeout(() => { reject(new AdmissionError('time-limit', `the descriptors took longer than ${CONVERSION_MS / 1000} s to convert; give those of fewer services`)); }, CONVERSION_MS);
      worker.once('message', (reply: ConversionReply) => {
        clearTimeout(timer);
        if ('document' in reply) resolve(reply.document); else reject(new AdmissionError(reply.code, reply.message));
      });
      worker.once('error', (error: Error) => { clearTimeout(timer); reject(new AdmissionError('conversion-failed', `the descriptors could not be converted: ${error.message}`)); });
    }).finally(() => worker.terminate());
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
