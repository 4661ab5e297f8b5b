import type { ConvertedDocument, ConvertedTool, OperationVerdict } from '#libs/core/conversion.js';
import type { JsonSchema } from '#libs/core/json-schema.js';
import type { DocumentErrorFacts } from '#libs/openapi/document-error.js';

/** What a conversion thread says, in this order; after each but the last it waits to be asked for more. */
export type ConversionMessage =
  | { readonly kind: 'definitions'; readonly entries: readonly (readonly [string, JsonSchema])[] }
  | { readonly kind: 'tools'; readonly tools: readonly ConvertedTool[] }
  | { readonly kind: 'ledger'; readonly ledger: readonly OperationVerdict[] }
  | { readonly kind: 'done'; readonly head: Omit<ConvertedDocument, 'definitions' | 'tools' | 'ledger'> }
  | { readonly kind: 'failed'; readonly facts: DocumentErrorFacts };
