import { z } from 'zod';
import type { ApiKeyRecord } from '#libs/core/api-key.js';
import { McpNameField, text } from '../http/fields.js';

const DAY = 86_400;
/** Roles and scopes are words of tokens: no blanks, which separate scopes there. */
const word = z.string().regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 visible ASCII characters');

export const KeyIdField = z.uuid();

export const KeyBody = z.strictObject({
  name: text(200).default('').meta({ description: 'For people.' }),
  roles: z.array(word).max(32).optional().meta({ description: 'None beyond those of the caller. Default: `stoa.agent`, or none where scopes are given.' }),
  scopes: z.array(word).max(64).default([]).meta({ description: 'Beside those that the roles map to; none beyond those of the caller.' }),
  tools: z.array(McpNameField).min(1).max(256).optional().meta({ description: 'The only tools that the key may list and call. Left out: no such limit.' }),
  ttlSeconds: z.int().min(60).max(366 * DAY).default(90 * DAY).meta({ description: 'Until the key ends.' }),
  stepUp: z.boolean().default(false).meta({ description: 'Rotation, which reveals a new secret, needs a sign-in with a second factor (`acr`).' }),
}).meta({ id: 'KeyBody' });
export type KeyBody = z.infer<typeof KeyBody>;

export const RotationBody = z.strictObject({
  graceSeconds: z.int().min(0).max(7 * DAY).default(DAY).meta({ description: 'For so long the secret before works as well; 0: not at all.' }),
}).meta({ id: 'KeyRotationBody' });
export type RotationBody = z.infer<typeof RotationBody>;

export const KeyAnswer = z.object({
  id: z.string(),
  name: z.string(),
  prefix: z.string().meta({ description: 'The first characters of the secret.' }),
  owner: z.object({ issuer: z.string(), subject: z.string() }),
  roles: z.array(z.string()),
  scopes: z.array(z.string()),
  tools: z.array(z.string()).nullable(),
  stepUp: z.boolean(),
  status: z.enum(['active', 'expired', 'revoked']),
  expiresAt: z.iso.datetime(),
  createdAt: z.iso.datetime(),
  rotatedAt: z.iso.datetime().nullable(),
  graceUntil: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
}).meta({ id: 'ApiKey' });
export type KeyAnswer = z.infer<typeof KeyAnswer>;

export const KeyList = z.object({ keys: z.array(KeyAnswer) }).meta({ id: 'ApiKeyList' });
export type KeyList = z.infer<typeof KeyList>;

export const RevealedKey = z.object({
  key: KeyAnswer,
  secret: z.string().meta({ description: 'Shown this once: it is stored nowhere.' }),
}).meta({ id: 'RevealedApiKey' });
export type RevealedKey = z.infer<typeof RevealedKey>;

export function keyAnswer(key: ApiKeyRecord, now: Date): KeyAnswer {
  const { id, name, prefix, owner, roles, scopes, tools, stepUp, expiresAt, createdAt, rotatedAt, graceUntil, revokedAt } = key;
  return {
    id, name, prefix, owner, roles: [...roles], scopes: [...scopes], tools: tools === undefined ? null : [...tools], stepUp,
    status: revokedAt !== undefined ? 'revoked' : expiresAt <= now ? 'expired' : 'active',
    expiresAt: expiresAt.toISOString(), createdAt: createdAt.toISOString(),
    rotatedAt: rotatedAt?.toISOString() ?? null, graceUntil: graceUntil?.toISOString() ?? null, revokedAt: revokedAt?.toISOString() ?? null,
  };
}
