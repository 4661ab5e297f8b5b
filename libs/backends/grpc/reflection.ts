import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, type FileDescriptorProto, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type Client, type ClientDuplexStream, type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { AdmissionError } from '#libs/core/admission.js';
import { inOrder } from '#libs/backends/grpc/descriptors.js';
import { defineMessages } from '#libs/backends/grpc/define-messages.js';

/** The messages of gRPC server reflection; the same in v1 and v1alpha but for the package. */
const PACKAGE = 'stoa.reflection';
const messages = defineMessages('stoa/reflection.proto', PACKAGE, {
  Request: { file_by_filename: [3, 'string'], file_containing_symbol: [4, 'string'], list_services: [7, 'string'] },
  Response: { file_descriptor_response: [4, `${PACKAGE}.Files`], list_services_response: [6, `${PACKAGE}.Services`], error_response: [7, `${PACKAGE}.Failure`] },
  Files: { file_descriptor_proto: [1, 'bytes[]'] },
  Services: { service: [1, `${PACKAGE}.Service[]`] },
  Service: { name: [1, 'string'] },
  Failure: { error_code: [1, 'int32'], error_message: [2, 'string'] },
});
type Request = { readonly fileByFilename: string } | { readonly fileContainingSymbol: string } | { readonly listServices: string };
interface Response {
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Uint8Array[] };
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly errorResponse?: { readonly errorCode: number; readonly errorMessage: string };
}
const schemaOf = (name: string): NonNullable<ReturnType<typeof messages.getMessage>> => {
  const found = messages.getMessage(`${PACKAGE}.${name}`);
  if (found === undefined) throw new Error(`no message ${name}`);
  return found;
};

/** Bounds of what a server may tell of itself. */
const MAX_FILES = 5000;
const MAX_BYTES = 32 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

/**
 * Everything that a server says of itself by reflection (v1, else v1alpha), as a `FileDescriptorSet`; the same bytes as long as it says the same. Rejects with
 * `AdmissionError` when it does not answer, says too much, or contradicts itself.
 */
export async function reflect(client: Client, metadata: Metadata, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try { return await ask(new Session(client, metadata, { version: 'v1', signal })); } catch (failure) {
    if (!isUnimplemented(failure)) throw refusal(failure);
  }
  try { return await ask(new Session(client, metadata, { version: 'v1alpha', signal })); } catch (failure) { throw refusal(failure); }
}

async function ask(session: Session): Promise<Uint8Array> {
  try {
    // The text means nothing to servers; without one, the field would not be on the wire.
    const listed = (await session.send({ listServices: '*' })).listServicesResponse?.service ?? [];
    const files = new Map<string, FileDescriptorProto>();
    let bytes = 0;
    const keep = (answer: Response): void => {
      for (const one of answer.fileDescriptorResponse?.fileDescriptorProto ?? []) {
        bytes += one.byteLength;
        const file = fromBinary(FileDescriptorProtoSchema, one);
        files.set(file.name, file);
        if (files.size > MAX_FILES || bytes > MAX_BYTES) throw new AdmissionError('reflection-too-large', `connection.address: the server describes more than ${MAX_FILES} files or ${MAX_BYTES} bytes; give a descriptor set of the services that are wanted`, 'backend');
      }
    };
    for (const { name } of listed) {
      if (name.startsWith('grpc.reflection.') || name.startsWith('grpc.health.')) continue;
      keep(await session.send({ fileContainingSymbol: name }));
      if (![...files.values()].some((file) => file.service.some((service) => (file.package === '' ? service.name : `${file.package}.${service.name}`) === name))) {
        throw new AdmissionError('reflection-contradicts', `connection.address: the server lists ${name} and describes no such service; give a descriptor set instead`, 'backend');
      }
    }
    for (let missing = missingFrom(files); missing !== undefined; missing = missingFrom(files)) {
      const before = files.size;
      keep(await session.send({ fileByFilename: missing }));
      if (files.size === before) throw new AdmissionError('missing-import', `connection.address: the server's files import ${missing}, and it does not describe that; give a descriptor set instead`, 'backend');
    }
    return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [...inOrder([...files.values()], 'the server\'s reflection')] }));
  } finally { session.close(); }
}

const missingFrom = (files: ReadonlyMap<string, FileDescriptorProto>): string | undefined => [...files.values()].flatMap(({ dependency }) => dependency).find((name) => !files.has(name));

interface Waiting { readonly resolve: (answer: Response) => void; readonly reject: (failure: unknown) => void }

/** One stream of requests and answers, one at a time. */
class Session {
  readonly #stream: ClientDuplexStream<Uint8Array, Uint8Array>;
  #waiting: Waiting | undefined;
  #failure: unknown;

  constructor(client: Client, metadata: Metadata, { version, signal }: { readonly version: 'v1' | 'v1alpha'; readonly signal: AbortSignal | undefined }) {
    this.#stream = client.makeBidiStreamRequest(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, (bytes: Uint8Array) => Buffer.from(bytes), (bytes: Buffer) => bytes, metadata, { deadline: Date.now() + TIMEOUT_MS });
    signal?.addEventListener('abort', () => { this.#stream.cancel(); }, { once: true });
    this.#stream.on('data', (bytes: Uint8Array) => { this.#settle((waiting) => { waiting.resolve(fromBinary(schemaOf('Response'), bytes) as Response); }); });
    this.#stream.on('error', (failure: Error) => { this.#failure ??= failure; this.#settle((waiting) => { waiting.reject(failure); }); });
    this.#stream.on('end', () => { this.#settle((waiting) => { waiting.reject(new AdmissionError('reflection-contradicts', 'connection.address: the server ended its reflection in the middle', 'backend')); }); });
  }

  async send(request: Request): Promise<Response> {
    if (this.#failure !== undefined) throw this.#failure;
    const answer = await new Promise<Response>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#stream.write(toBinary(schemaOf('Request'), create(schemaOf('Request'), request)));
    });
    if (answer.errorResponse === undefined) return answer;
    throw new AdmissionError('reflection-contradicts', `connection.address: the server's reflection answers ${JSON.stringify(request)} with error ${answer.errorResponse.errorCode}: ${answer.errorResponse.errorMessage.slice(0, 300)}`, 'backend');
  }

  close(): void { this.#stream.end(); this.#stream.cancel(); }

  #settle(how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) return;
    try { how(waiting); } catch (failure) { waiting.reject(new AdmissionError('reflection-contradicts', `connection.address: the server's reflection sent something that is none: ${failure instanceof Error ? failure.message : String(failure)}`, 'backend')); }
  }
}

const isServiceError = (failure: unknown): failure is ServiceError => failure instanceof Error && 'code' in failure && 'details' in failure;
const isUnimplemented = (failure: unknown): boolean => isServiceError(failure) && failure.code === status.UNIMPLEMENTED;

function refusal(failure: unknown): unknown {
  if (failure instanceof AdmissionError || !isServiceError(failure)) return failure;
  if (failure.code === status.UNIMPLEMENTED) return new AdmissionError('reflection-disabled', 'connection.address: the server has no reflection; give its .proto (--proto) or a descriptor set (--descriptor)', 'backend');
  return new AdmissionError('backend-error', `connection.address: the server's reflection failed: ${status[failure.code]} ${failure.details.slice(0, 300)}`, 'backend');
}
