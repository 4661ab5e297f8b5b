/** How a Kafka topic is written, read or described. The topic is the definition's; no argument changes it. */
export interface KafkaBinding {
  readonly kind: 'kafka';
  readonly action: 'publish' | 'consume' | 'request' | 'list' | 'describe';
  readonly cluster: KafkaCluster;
  /** Undefined for `list` and `describe`. */
  readonly topic?: string;
  readonly value?: KafkaPayload;
  /** Undefined: messages have no key. */
  readonly key?: KafkaPayload;
  /** Fixed message headers; never a secret. */
  readonly headers: Readonly<Record<string, string>>;
  /** Members of the argument `headers`. */
  readonly callerHeaders: readonly string[];
  /** The argument `partition` chooses; else the key does (murmur2, as Kafka's own client). */
  readonly callerPartition: boolean;
  readonly reply?: KafkaReply;
  /** One alternative at most, of slots `sasl` and `registry` in this order; see `RestBinding.security`. */
  readonly security: readonly (readonly string[])[];
}

export interface KafkaCluster {
  /** `host:port`, one or more; the API's `baseUrl` (`kafka://`, `kafkas://`) replaces them when set. */
  readonly brokers: readonly string[];
  readonly tls: boolean;
  /** PEM of certificate authorities instead of the system's. */
  readonly ca?: string;
  readonly sasl?: 'plain' | 'scram-sha-256' | 'scram-sha-512' | 'oauthbearer';
  /** Names and patterns (`orders.*`): nothing else is written, read or shown. */
  readonly topics: readonly string[];
  /** Every topic begins so. */
  readonly topicPrefix?: string;
  /** URL of a Confluent-compatible schema registry. */
  readonly registry?: string;
}

/** What stands in a message's value or key. */
export interface KafkaPayload {
  readonly format: 'json' | 'avro' | 'protobuf' | 'text' | 'bytes';
  /** Confluent wire format: a zero byte, the schema's id (4 bytes), for Protobuf the message's indexes, then the payload. */
  readonly framed: boolean;
  /** Avro: the schema (JSON). Protobuf: a `google.protobuf.FileDescriptorSet`, base64. JSON: the registered schema's text, where it is framed. */
  readonly schema?: string;
  /** Avro schemas that `schema` names, those that are named first. */
  readonly references?: readonly string[];
  /** Protobuf: full name of the message, and where it stands in its file. */
  readonly message?: string;
  readonly indexes?: readonly number[];
  /** Of `schema` in the registry; undefined: asked for at the first call. */
  readonly schemaId?: number;
  readonly subject?: string;
}

/** Where the answer to a request comes, and how it is known. */
export interface KafkaReply {
  readonly topic: string;
  readonly value: KafkaPayload;
  /** Header that carries the correlation id both ways. */
  readonly correlationHeader: string;
  /** Header that tells the other side the reply's topic. */
  readonly replyToHeader?: string;
}
