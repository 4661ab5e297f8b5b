import type { ApiKind } from './api-kind.js';
import type { BackendBinding } from './target.js';

/**
 * Injection tokens of the ports: plain symbols, since core knows no framework. Who offers a port (the modules of libs) and who takes it
 * (the apps, and modules that stand on it) meet here and nowhere else. Each port has one provider at most in a process.
 */
export const LOG = Symbol('Log');
/** `(secret: string) => void`: makes a secret known to the logs, which then never write it. */
export const HIDE_SECRET = Symbol('HideSecret');
export const TRACING = Symbol('Tracing');
export const OUTBOUND = Symbol('Outbound');
/** `OutboundStreams`, by the same egress as `OUTBOUND`. */
export const OUTBOUND_STREAMS = Symbol('OutboundStreams');
export const OUTBOUND_GUARD = Symbol('OutboundGuard');
export const CONTROL_STORE = Symbol('ControlStore');
export const SQL_DATABASE = Symbol('SqlDatabase');
export const CATALOGUE_SOURCE = Symbol('CatalogueSource');
export const CATALOGUE = Symbol('Catalogue');
export const TOKEN_VERIFIER = Symbol('TokenVerifier');
/** A `CredentialVerifier` for each kind of bearer credential beside the tokens of issuers; `TOKEN_VERIFIER` asks those that a process has. */
export const CREDENTIAL_VERIFIER = { apiKey: Symbol('CredentialVerifier apiKey'), capability: Symbol('CredentialVerifier capability') };
export const API_KEY_STORE = Symbol('ApiKeyStore');
export const API_KEY_DIRECTORY = Symbol('ApiKeyDirectory');
export const CREDENTIAL_RESOLVER = Symbol('CredentialResolver');
export const POLICY = Symbol('PolicyDecisionPoint');
export const ADMINISTRATION = Symbol('AdministrationPolicy');
export const POLICY_STORE = Symbol('PolicyStore');
export const POLICY_OFFICE = Symbol('PolicyOffice');
export const DECISION_LOG = Symbol('DecisionLog');
export const RATE_LIMITER = Symbol('RateLimiter');
export const CONCURRENCY_LIMITER = Symbol('ConcurrencyLimiter');
export const VALIDATOR = Symbol('ArgumentValidator');
export const REDACTOR = Symbol('Redactor');
export const REPLAYS = Symbol('Replays');
export const USAGE_METER = Symbol('UsageMeter');
/** `RecordSink`s that take the journal's records in this process; where none is offered they go to the broker, or stay. */
export const RECORD_SINK = { ledger: Symbol('RecordSink ledger'), audit: Symbol('RecordSink audit') };
/** `RecordSource`: how far the journal's records have come. */
export const RECORD_SOURCE = Symbol('RecordSource');
export const ADMIN_AUDIT = Symbol('AdminAudit');
export const AUDIT_TRAIL = Symbol('AuditTrail');
export const USAGE_LEDGER = Symbol('UsageLedger');
export const PRICE_OFFICE = Symbol('PriceOffice');
export const SPEND_GUARD = Symbol('SpendGuard');

/** A `Backend` for each kind of binding; `builtin` is the gateway's own. */
export const BACKEND = {
  rest: Symbol('Backend rest'), graphql: Symbol('Backend graphql'), grpc: Symbol('Backend grpc'), kafka: Symbol('Backend kafka'), mcp: Symbol('Backend mcp'), fetch: Symbol('Backend fetch'), inline: Symbol('Backend inline'), prompt: Symbol('Backend prompt'), document: Symbol('Backend document'),
} satisfies Readonly<Record<Exclude<BackendBinding['kind'], 'builtin'>, symbol>>;

/** The `Admission` of each kind of API. */
export const ADMISSION = {
  openapi: Symbol('Admission openapi'), graphql: Symbol('Admission graphql'), grpc: Symbol('Admission grpc'), kafka: Symbol('Admission kafka'), mcp: Symbol('Admission mcp'),
} satisfies Readonly<Record<ApiKind, symbol>>;

/** The `ReadinessCheck` of each dependency that a process may have. */
export const READINESS = { database: Symbol('Readiness database'), catalogue: Symbol('Readiness catalogue'), issuers: Symbol('Readiness issuers'), policy: Symbol('Readiness policy'), journal: Symbol('Readiness journal') };

/** The `readonly Reading[]` of each part of a process that tells numbers of itself. */
export const READINGS = { metering: Symbol('Readings metering'), audit: Symbol('Readings audit'), ledger: Symbol('Readings ledger') };
