import { z } from 'zod';
import type { StoredPolicy } from '#libs/core/policy-store.js';
import { text } from '../http/fields.js';

export const DigestField = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits');
export const PolicyFilesBody = z.strictObject({
  files: z.record(z.string().min(1).max(128), text(1024 * 1024)).meta({ description: 'Text by file name: *.yaml (a role file, argument rules, settings) and at most one *.rego.' }),
  dryRun: z.boolean().default(false).meta({ description: 'Check everything and put nothing in force.' }),
});
export type PolicyFilesBody = z.infer<typeof PolicyFilesBody>;

const Remark = z.object({ file: z.string(), line: z.int().optional(), message: z.string() });
export const Remarks = z.object({ remarks: z.array(Remark).meta({ description: 'What is odd and still in order: rules that nothing can reach, policies that allow or deny everything.' }) });
export const AppliedAnswer = Remarks.extend({
  digest: z.string().meta({ description: 'SHA-256 of the files; empty on a dry run.' }), revision: z.int().meta({ description: 'Of the pointer; 0 on a dry run.' }),
  inForce: z.string().meta({ description: 'SHA-256 of everything that decides then: it is on every decision.' }),
});
const PolicyAnswer = z.object({ digest: z.string(), createdAt: z.string(), createdBy: z.string(), active: z.boolean(), files: z.array(z.string()) });
export const PolicyList = z.object({ inForce: z.string().nullable(), policies: z.array(PolicyAnswer) });
export const PolicyDetail = PolicyAnswer.extend({ files: z.record(z.string(), z.string()) });
export const WithdrawnAnswer = z.object({ revision: z.int(), inForce: z.string() });

export const CheckBody = z.strictObject({
  tool: text(1024).min(1).meta({ description: 'Name of the tool or prompt, or URI of the resource.' }),
  kind: z.enum(['tool', 'prompt', 'resource']).default('tool'),
  arguments: z.record(z.string(), z.json()).default({}),
  role: z.string().max(256).optional(),
  roles: z.array(z.string().max(256)).max(100).default([]),
  scopes: z.array(z.string().max(256)).max(100).default([]).meta({ description: 'Beside those that the roles bring.' }),
  allowedTools: z.array(z.string().max(256)).max(1000).optional().meta({ description: 'As of a credential that is for certain tools.' }),
  subject: z.string().max(256).default('policy-check'),
  at: z.iso.datetime().optional().meta({ description: 'When; now if left out.' }),
});
export type CheckBody = z.infer<typeof CheckBody>;
const Tried = z.object({ rule: z.string(), holds: z.boolean(), action: z.string().optional() });
export const CheckAnswer = z.object({
  allowed: z.boolean(), rule_id: z.string(), reason: z.string(), policy_revision: z.string(), obligations: z.array(z.record(z.string(), z.json())), missing_scopes: z.array(z.string()),
  input: z.json(), tried: z.array(Tried),
});
export type CheckAnswer = z.infer<typeof CheckAnswer>;

export const DecisionAnswer = z.object({
  id: z.string(), requestId: z.string(), at: z.string(), name: z.string(), door: z.string(), outcome: z.string(), code: z.string().optional(),
  effect: z.enum(['allow', 'deny', 'none']).meta({ description: '`none`: the call ended before policy was asked.' }),
  ruleId: z.string().nullable(), reason: z.string().nullable(), policyRevision: z.string().nullable(), obligations: z.array(z.record(z.string(), z.json())),
  input: z.json().meta({ description: 'As the policy saw it, the arguments redacted; rebuilt from the record.' }), redactions: z.int(),
  tried: z.array(Tried), triedNote: z.string().meta({ description: 'Under which policy the clauses were tried again, and what that leaves open.' }), reach: z.string(),
});

export const listed = ({ digest, createdAt, createdBy, active, files }: StoredPolicy & { readonly active: boolean }): z.infer<typeof PolicyAnswer> =>
  ({ digest, createdAt: createdAt.toISOString(), createdBy, active, files: Object.keys(files).toSorted() });
