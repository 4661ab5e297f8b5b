import { Controller, Get, Inject, Req, UseFilters } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { ProtectedResource } from '../parts.js';
import { PROTECTED_RESOURCE } from '../tokens.js';
import { Problem, ProblemFilter } from './problem.js';

/** Protected-resource metadata (RFC 9728 §3): at the root, and with the resource's own path behind it. */
@Controller('.well-known/oauth-protected-resource')
@UseFilters(ProblemFilter)
export class WellKnownController {
  constructor(@Inject(PROTECTED_RESOURCE) private readonly own: ProtectedResource) {}

  @Get()
  root(): object { return this.metadata(); }

  @Get('*')
  ofPath(@Req() request: FastifyRequest): object {
    const { '*': path = '' } = request.params as { '*'?: string };
    if (`/${path}` !== new URL(this.own.resource).pathname) throw new Problem(404, 'Not Found');
    return this.metadata();
  }

  private metadata(): object {
    return { resource: this.own.resource, authorization_servers: this.own.authorizationServers, scopes_supported: this.own.scopes, bearer_methods_supported: ['header'], resource_name: 'STOA MCP Gateway' };
  }
}

/** Where the metadata of a resource is found: the well-known path goes before the resource's own (RFC 9728 §3.1). */
export function metadataUrl(resource: string): string {
  const { origin, pathname } = new URL(resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname === '/' ? '' : pathname}`;
}
