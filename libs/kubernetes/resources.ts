import { z } from 'zod';

/**
 * The custom resources of `gostoa.dev/v1alpha1`, as the controller reads them. Their CustomResourceDefinitions are made from these objects (`npm run generate`), so that
 * what the API server takes is what is understood here. Every object is namespaced; its tenant is the namespace's, never a field.
 */
export const GROUP = 'gostoa.dev';
export const VERSION = 'v1alpha1';

const DisplayName = z.string().min(1).max(64);
const Tag = z.string().min(1).max(32);
const Tags = z.array(Tag).max(10);
const Duration = z.string().regex(/^\d+(s|m)$/);
const Key = z.string().min(1).max(253);
const Name = z.string().regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/).max(253);
const SecretRef = z.object({ name: Name, key: Key.default('token') }).meta({ description: 'A Secret in the same namespace.' });
const KeyRef = z.object({ name: Name, key: Key.default('openapi.yaml') });
const Authentication = z.object({
  type: z.enum(['none', 'bearer', 'basic', 'apiKey', 'oauth2']).default('bearer'), secretRef: SecretRef.optional(), headerName: z.string().min(1).max(128).default('Authorization'),
}).meta({ description: 'How the backend is told who asks.', 'x-kubernetes-validations': [{ rule: 'self.type == \'none\' || has(self.secretRef)', message: 'secretRef is required unless type is none' }] });
const RateLimit = z.object({ requestsPerMinute: z.int().min(1).max(10_000).default(60), burst: z.int().min(1).max(1000).default(10) });
const Anything = z.record(z.string(), z.unknown()).meta({ 'x-kubernetes-preserve-unknown-fields': true });

const Condition = z.object({ type: z.string().max(316), status: z.enum(['True', 'False', 'Unknown']), reason: z.string().max(1024).optional(), message: z.string().max(32_768).optional(), lastTransitionTime: z.iso.datetime().optional(), observedGeneration: z.int().optional() });
const conditions = z.array(Condition).max(16).optional().meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });
const Observed = { observedGeneration: z.int().optional(), lastError: z.string().max(4096).optional(), lastSyncedAt: z.iso.datetime().optional(), conditions };

export const ToolSpec = z.object({
  displayName: DisplayName,
  description: z.string().min(1).max(1024),
  endpoint: z.string().regex(/^https?:\/\//).max(2048).optional().meta({ description: 'Where the backend is called.' }),
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).default('POST'),
  inputSchema: Anything.optional().meta({ description: 'JSON Schema of the arguments; an object.' }),
  tags: Tags.optional(),
  version: z.string().regex(/^\d+\.\d+\.\d+(-[a-zA-Z0-9]+)?$/).default('1.0.0'),
  apiRef: z.object({ name: z.string().max(253), version: z.string().max(64).optional(), operationId: z.string().max(253).optional() }).optional(),
  authentication: Authentication.optional(),
  timeout: Duration.default('30s'),
  rateLimit: RateLimit.optional(),
  enabled: z.boolean().default(true),
});
export const ToolStatus = z.object({
  phase: z.enum(['Pending', 'Registered', 'Error', 'Disabled']).optional(), registeredAt: z.iso.datetime().optional(), invocationCount: z.int().optional(), errorCount: z.int().optional(), ...Observed,
});

export const ToolSetSpec = z.object({
  displayName: DisplayName,
  description: z.string().max(1024).optional(),
  openAPISpec: z.object({
    url: z.string().regex(/^https?:\/\//).max(2048).optional(), inline: z.string().max(1_000_000).optional(), configMapRef: KeyRef.optional(), secretRef: KeyRef.optional(),
    refreshInterval: z.string().regex(/^\d+(s|m|h)$/).default('1h'),
  }).meta({ description: 'Where the document is: the first that is given of url, inline, configMapRef, secretRef.', 'x-kubernetes-validations': [{ rule: 'has(self.url) || has(self.inline) || has(self.configMapRef) || has(self.secretRef)', message: 'one of url, inline, configMapRef and secretRef is required' }] }),
  baseURL: z.string().regex(/^https?:\/\//).max(2048).optional(),
  selector: z.object({ tags: z.array(z.string().max(128)).max(100).optional(), excludeTags: z.array(z.string().max(128)).max(100).optional(), methods: z.array(z.string().max(16)).max(16).optional(), pathPrefix: z.string().max(1024).optional(), operationIds: z.array(z.string().max(253)).max(1000).optional() }).optional(),
  toolDefaults: z.object({ tags: Tags.optional(), timeout: Duration.default('30s'), rateLimit: RateLimit.optional(), authentication: Authentication.optional() }).optional(),
  naming: z.object({ prefix: z.string().regex(/^[a-z][a-z0-9_]*$/).max(32).optional(), suffix: z.string().regex(/^[a-z0-9_]+$/).max(32).optional(), useOperationId: z.boolean().default(true) }).optional(),
  enabled: z.boolean().default(true),
});
export const ToolSetStatus = z.object({
  phase: z.enum(['Pending', 'Syncing', 'Ready', 'Error', 'Disabled']).optional(), toolCount: z.int().optional(), tools: z.array(z.string().max(64)).max(25_000).optional(), specHash: z.string().max(64).optional(),
  operations: z.int().optional(), exact: z.int().optional(), degraded: z.int().optional(), refused: z.int().optional(), ...Observed,
});

export const TenantSpec = z.object({
  displayName: DisplayName.optional(), description: z.string().max(1024).optional(), contact: z.string().max(253).optional(),
  quota: z.object({ maxSubscriptions: z.int().min(0).optional(), maxRequestsPerDay: z.int().min(1).optional(), maxToolsPerNamespace: z.int().min(1).optional() }).optional(),
  rateLimit: RateLimit.optional(),
  users: z.array(z.object({ userId: z.string().min(1).max(253), role: z.enum(['admin', 'viewer', 'devops']), email: z.string().max(253).optional() })).max(1000).optional(),
  allowedTools: z.array(z.string().min(1).max(64)).max(10_000).optional(),
  namespaces: z.array(z.string().max(63)).max(100).optional(),
  enabled: z.boolean().default(true),
});
export const TenantStatus = z.object({ phase: z.enum(['Pending', 'Active', 'Suspended', 'Terminated']).optional(), activeSubscriptions: z.int().optional(), lastUpdated: z.iso.datetime().optional(), ...Observed });

const Fixed = { 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'cannot be changed: make a new object' }] };
export const SubscriptionSpec = z.object({
  tenantId: z.string().max(63).meta(Fixed), toolId: z.string().max(253).meta(Fixed), subscriberId: z.string().max(253).meta(Fixed),
  toolName: z.string().max(64).optional(), toolNamespace: z.string().max(63).optional(), subscriberEmail: z.string().max(253).optional(), applicationId: z.string().max(253).optional(), applicationName: z.string().max(253).optional(),
  plan: z.string().max(64).default('standard'), status: z.enum(['pending', 'active', 'suspended', 'revoked', 'expired']).default('pending'),
  approvedBy: z.string().max(253).optional(), approvedAt: z.iso.datetime().optional(), revokedBy: z.string().max(253).optional(), revokedAt: z.iso.datetime().optional(), revokedReason: z.string().max(1024).optional(), expiresAt: z.iso.datetime().optional(),
  quota: z.object({ requestsPerDay: z.int().min(1).optional(), requestsPerMinute: z.int().min(1).optional() }).optional(),
});
export const SubscriptionStatus = z.object({ phase: z.enum(['Pending', 'Active', 'Suspended', 'Revoked', 'Expired']).optional(), apiKeyPrefix: z.string().max(32).optional(), usageToday: z.int().optional(), lastUsed: z.iso.datetime().optional(), ...Observed });

export const PrincipalSpec = z.object({
  issuer: z.string().max(2048), subject: z.string().min(1).max(253), displayName: DisplayName.optional(),
  roles: z.array(z.string().max(64)).max(32).optional(), allowedTools: z.array(z.string().max(64)).max(1000).optional(), disabled: z.boolean().default(false),
});
export const PrincipalStatus = z.object({ phase: z.enum(['Pending', 'Active', 'Disabled', 'Error']).optional(), lastSeen: z.iso.datetime().optional(), ...Observed });

export const PolicySpec = z.object({
  description: z.string().max(1024).optional(),
  files: z.record(z.string().max(253), z.string().max(500_000)).meta({ description: 'Role files and argument rules (YAML) and Rego modules, by file name.' }),
  enabled: z.boolean().default(true),
});
export const PolicyStatus = z.object({ phase: z.enum(['Pending', 'Active', 'Error', 'Disabled']).optional(), digest: z.string().max(64).optional(), ...Observed });

const LabelSelector = z.object({
  matchLabels: z.record(z.string(), z.string().max(63)).optional(),
  matchExpressions: z.array(z.object({ key: z.string().min(1).max(316), operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']), values: z.array(z.string().max(63)).max(100).optional() })).max(20).optional(),
});
export const MCPServerSpec = z.object({
  image: z.string().min(1).max(1024).optional().meta({ description: 'Image of the tool server.' }),
  replicas: z.int().min(1).max(10).default(1),
  redis: z.object({ serviceName: z.string().min(1).max(253) }).optional(),
  ingress: z.object({ host: z.string().max(253).optional(), tlsSecretName: z.string().max(253).optional(), pathPrefix: z.string().regex(/^\/[a-z0-9/-]*$/).default('/mcp') }).optional(),
  toolSelector: LabelSelector,
  config: z.object({ requestTimeout: z.string().regex(/^[0-9]+(s|m|h)$/).default('30s'), maxConcurrentRequests: z.int().min(1).max(10_000).default(100) }).optional(),
  secretRefs: z.array(z.object({ name: Name, key: Key.optional(), env: z.string().regex(/^[A-Z_][A-Z0-9_]*$/).max(128).optional() })).max(50).optional().meta({ description: 'Secrets that this server alone is given.' }),
  resources: Anything.optional(),
  egress: z.array(z.string().max(253)).max(50).optional(),
});
export const MCPServerStatus = z.object({ readyReplicas: z.int().optional(), toolCount: z.int().optional(), promptCount: z.int().optional(), resourceCount: z.int().optional(), ...Observed });

const PromptVariable = z.object({ name: z.string().regex(/^[a-zA-Z0-9_]+$/).max(64), description: z.string().max(200).optional(), required: z.boolean().default(false), default: z.string().max(1000).optional() });
export const MCPPromptSpec = z.object({ name: z.string().min(1).max(63), description: z.string().max(500).optional(), template: z.string().min(1).max(10_000), variables: z.array(PromptVariable).max(50).optional(), ingressPath: z.string().regex(/^\//).max(253).optional() });
export const MCPPromptStatus = z.object({ validated: z.boolean().optional(), lastValidationTime: z.iso.datetime().optional(), ...Observed });

const ServiceRef = z.object({ name: Name, namespace: Name.optional(), port: z.int().min(1).max(65_535), path: z.string().regex(/^\//).max(1024).default('/') });
export const MCPResourceSpec = z.object({
  name: z.string().min(1).max(63), description: z.string().max(500).optional(),
  operations: z.array(z.object({
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']), ingressPath: z.string().regex(/^\//).max(253), service: ServiceRef,
    parameters: z.array(z.object({ name: z.string().min(1).max(64), in: z.enum(['path', 'query', 'header']), required: z.boolean().default(false), description: z.string().max(200).optional() })).max(50).optional(),
  })).min(1).max(50).optional(),
  content: z.object({ uri: z.string().min(1).max(500), mimeType: z.string().max(127).default('text/plain'), text: z.string().max(100_000).optional(), blob: z.string().max(500_000).optional() }).optional(),
}).meta({ 'x-kubernetes-validations': [{ rule: 'has(self.operations) != has(self.content)', message: 'give either operations or content' }] });
export const MCPResourceStatus = z.object({ ready: z.boolean().optional(), operationCount: z.int().optional(), lastSyncTime: z.iso.datetime().optional(), ...Observed });

export const PriceBookSpec = z.object({
  validFrom: z.iso.datetime().meta(Fixed), book: Anything.meta({ description: 'As `docs/billing.md` describes price books; immutable once it is in force.' }),
});
export const PriceBookStatus = z.object({ phase: z.enum(['Pending', 'Active', 'Superseded', 'Error']).optional(), version: z.int().optional(), hash: z.string().max(64).optional(), ...Observed });

/** One column of `kubectl get`. */
export interface Column { readonly name: string; readonly type: 'string' | 'integer' | 'date' | 'boolean'; readonly jsonPath: string }
export interface ResourceKind {
  readonly kind: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly columns: readonly Column[];
  readonly spec: z.ZodObject;
  readonly status: z.ZodObject;
}

const column = (name: string, jsonPath: string, type: Column['type'] = 'string'): Column => ({ name, type, jsonPath });
const AGE = column('Age', '.metadata.creationTimestamp', 'date');
const STATUS = column('Status', '.status.phase');
const DISPLAY = column('Display Name', '.spec.displayName');

export const RESOURCES: readonly ResourceKind[] = [
  { kind: 'Tool', plural: 'tools', shortNames: ['tl'], columns: [DISPLAY, column('Method', '.spec.method'), STATUS, AGE], spec: ToolSpec, status: ToolStatus },
  { kind: 'ToolSet', plural: 'toolsets', shortNames: ['ts'], columns: [DISPLAY, column('Tools', '.status.toolCount', 'integer'), STATUS, AGE], spec: ToolSetSpec, status: ToolSetStatus },
  { kind: 'Tenant', plural: 'tenants', shortNames: ['tn'], columns: [DISPLAY, STATUS, AGE], spec: TenantSpec, status: TenantStatus },
  { kind: 'Subscription', plural: 'subscriptions', shortNames: ['sub'], columns: [column('Tool', '.spec.toolId'), column('Subscriber', '.spec.subscriberId'), column('Plan', '.spec.plan'), STATUS, AGE], spec: SubscriptionSpec, status: SubscriptionStatus },
  { kind: 'Principal', plural: 'principals', shortNames: ['prn'], columns: [column('Subject', '.spec.subject'), column('Disabled', '.spec.disabled', 'boolean'), STATUS, AGE], spec: PrincipalSpec, status: PrincipalStatus },
  { kind: 'Policy', plural: 'policies', shortNames: ['pol'], columns: [STATUS, column('Digest', '.status.digest'), AGE], spec: PolicySpec, status: PolicyStatus },
  { kind: 'MCPServer', plural: 'mcpservers', shortNames: ['mcps'], columns: [column('Replicas', '.spec.replicas', 'integer'), column('Ready', '.status.readyReplicas', 'integer'), column('Tools', '.status.toolCount', 'integer'), AGE], spec: MCPServerSpec, status: MCPServerStatus },
  { kind: 'MCPPrompt', plural: 'mcpprompts', shortNames: ['mcpp'], columns: [column('Prompt Name', '.spec.name'), column('Validated', '.status.validated', 'boolean'), AGE], spec: MCPPromptSpec, status: MCPPromptStatus },
  { kind: 'MCPResource', plural: 'mcpresources', shortNames: ['mcpr'], columns: [column('Resource Name', '.spec.name'), column('Operations', '.status.operationCount', 'integer'), column('Ready', '.status.ready', 'boolean'), AGE], spec: MCPResourceSpec, status: MCPResourceStatus },
  { kind: 'PriceBook', plural: 'pricebooks', shortNames: ['pb'], columns: [column('Valid From', '.spec.validFrom', 'date'), column('Version', '.status.version', 'integer'), STATUS, AGE], spec: PriceBookSpec, status: PriceBookStatus },
];
