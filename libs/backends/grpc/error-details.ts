import { createRegistry, fromBinary, type Registry, toJson } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import type { Metadata } from '@grpc/grpc-js';
import { defineMessages } from '#libs/backends/grpc/define-messages.js';

const PACKAGE = 'google.rpc';
/** Field numbers of google/rpc/status.proto and error_details.proto (API error model, AIP-193). */
const known = defineMessages('stoa/google_rpc.proto', PACKAGE, {
  Status: { code: [1, 'int32'], message: [2, 'string'], details: [3, 'google.protobuf.Any[]'] },
  RetryInfo: { retry_delay: [1, 'google.protobuf.Duration'] },
  DebugInfo: { stack_entries: [1, 'string[]'], detail: [2, 'string'] },
  ErrorInfo: { reason: [1, 'string'], domain: [2, 'string'] },
  QuotaFailure: { violations: [1, 'google.rpc.Violation[]'] },
  Violation: { subject: [1, 'string'], description: [2, 'string'] },
  PreconditionFailure: { violations: [1, 'google.rpc.PreconditionViolation[]'] },
  PreconditionViolation: { type: [1, 'string'], subject: [2, 'string'], description: [3, 'string'] },
  BadRequest: { field_violations: [1, 'google.rpc.FieldViolation[]'] },
  FieldViolation: { field: [1, 'string'], description: [2, 'string'], reason: [3, 'string'] },
  RequestInfo: { request_id: [1, 'string'], serving_data: [2, 'string'] },
  ResourceInfo: { resource_type: [1, 'string'], resource_name: [2, 'string'], owner: [3, 'string'], description: [4, 'string'] },
  Help: { links: [1, 'google.rpc.Link[]'] },
  Link: { description: [1, 'string'], url: [2, 'string'] },
  LocalizedMessage: { locale: [1, 'string'], message: [2, 'string'] },
});

/** `details` of the status that a server put into its trailers (`grpc-status-details-bin`), as JSON; those of unknown types with their bytes. */
export function errorDetails(metadata: Metadata, own: Registry): readonly unknown[] {
  const [bytes] = metadata.get('grpc-status-details-bin');
  const status = known.getMessage(`${PACKAGE}.Status`);
  if (!Buffer.isBuffer(bytes) || status === undefined) return [];
  try {
    const { details = [] } = fromBinary(status, bytes) as unknown as { readonly details?: readonly Any[] };
    const registry = createRegistry(known, own);
    return details.map((detail) => {
      try { return toJson(AnySchema, detail, { registry }); } catch { return { '@type': detail.typeUrl, value: Buffer.from(detail.value).toString('base64') }; }
    });
  } catch { return []; }
}
