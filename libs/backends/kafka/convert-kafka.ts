import { createHash } from 'node:crypto';
import type { ConversionOptions, ConvertedDocument } from '#libs/core/conversion.js';
import { isObject } from '#libs/tool-listing/raw.js';
import { toolsOf } from '#libs/tool-listing/tools-of.js';
import { readDocument } from '#libs/backends/kafka/asyncapi-document.js';
import { readConnection } from '#libs/backends/kafka/connection.js';
import { planAsyncapi } from '#libs/backends/kafka/convert-asyncapi.js';
import { planTopics, readTopicsDocument } from '#libs/backends/kafka/convert-topics.js';

export interface KafkaConversion extends ConversionOptions {
  readonly fileName?: string;
  /** How the operator says that this tenant's topics begin. */
  readonly topicPrefix?: string | undefined;
}

/** An AsyncAPI document, or what a cluster said of itself, into tools. Throws `AdmissionError` naming the place and the fix. */
export function convertKafka(bytes: Uint8Array, options: KafkaConversion): ConvertedDocument {
  const file = options.fileName ?? 'document';
  const document = readDocument(bytes, file);
  const specHash = createHash('sha256').update(bytes).digest('hex');
  if (isObject(document) && document['asyncapi'] !== undefined) {
    const { plans, definitions, ...about } = planAsyncapi(document, { baseUrl: options.baseUrl, topicPrefix: options.topicPrefix, file });
    return { ...about, specHash, definitions, ...toolsOf(plans, definitions, options) };
  }
  const topics = readTopicsDocument(document, file);
  const connection = readConnection(options.connection ?? {}, options.topicPrefix);
  const { plans, definitions } = planTopics(topics, connection);
  return { format: 'kafka-topics', title: file, version: '', description: '', specHash, definitions, slots: connection.slots, ...toolsOf(plans, definitions, options) };
}
