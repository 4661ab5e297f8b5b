import type { FastifyRequest } from 'fastify';
import type { Principal } from '#libs/core/principal.js';

/** What the controllers are given beside the ports of libs/core; each asks for what it uses. */
export const GATEWAY = Symbol('Gateway');
export const ABOUT = Symbol('About');
export const HEALTH = Symbol('Health');
export const RUN_CALL = Symbol('RunCall');
export const LISTING = Symbol('Listing');
export const HTTP_SETTINGS = Symbol('HttpSettings');

/** Whom the authentication hook proved. Where an operator switched authentication off there is nobody, who sees platform tools alone. */
export const principalOf = (request: FastifyRequest): Principal => (request as { principal?: Principal }).principal ?? NOBODY;
const NOBODY: Principal = Object.freeze({ tenant: undefined, issuer: '', subject: 'anonymous', clientId: '', roles: new Set<string>(), scopes: new Set<string>(), expiresAt: Number.MAX_SAFE_INTEGER });
