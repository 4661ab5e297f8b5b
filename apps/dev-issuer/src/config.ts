import { z } from 'zod';

/** The development issuer's whole configuration; docs/configuration.md is generated from it. */
export const DevIssuerConfig = z.object({
  host: z.string().default('127.0.0.1').meta({ env: 'HOST', description: 'Address to listen on.' }),
  port: z.coerce.number().int().min(0).max(65_535).default(8010).meta({ env: 'PORT', description: 'TCP port to listen on; 0 takes any free one.' }),
  environment: z.enum(['dev', 'staging', 'prod']).default('dev').meta({ env: 'ENVIRONMENT', description: '`prod` stops the start: it gives anybody a token for anybody.' }),
  jwtSecretKey: z.string().refine((secret) => Buffer.byteLength(secret) >= 32, 'needs at least 32 bytes (RFC 7518 §3.2)').meta({ env: 'JWT_SECRET_KEY', description: 'Shared secret that signs the tokens (HS256); the same as the gateway\'s.', secret: true }),
  jwtIssuer: z.string().min(1).meta({ env: 'JWT_ISSUER', description: '`iss` of the tokens.' }),
  jwtAudience: z.string().min(1).meta({ env: 'JWT_AUDIENCE', description: '`aud` of the tokens.' }),
  adminToken: z.string().optional().meta({ env: 'JWT_ISSUER_ADMIN_TOKEN', description: 'What `X-Issuer-Token` must carry. Unset: nobody is asked.', secret: true }),
}).superRefine((config, context) => {
  if (config.environment === 'prod') context.addIssue({ code: 'custom', path: ['environment'], message: 'is prod: this issuer is for development, configure a real one' });
});
export type DevIssuerConfig = z.infer<typeof DevIssuerConfig>;
