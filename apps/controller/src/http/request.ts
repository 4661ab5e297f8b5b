import type { FastifyRequest } from 'fastify';
import type { Principal } from '#libs/core/principal.js';

/** Who calls, as the door (`#libs/auth/door.js`) proved it; undefined where no door stands, and then nobody may do anything. */
export const principalOf = (request: FastifyRequest): Principal | undefined => (request as { principal?: Principal }).principal;

const documentTypes = new WeakMap<FastifyRequest, string>();

/** Keeps what the caller said of an upload: its body is read as bytes whatever the type. */
export const rememberMediaType = (request: FastifyRequest, type: string): void => { documentTypes.set(request, type); };

/** Lower-case media type without parameters; the empty string when the caller gave none. */
export const mediaTypeOf = (request: FastifyRequest): string => (documentTypes.get(request) ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
