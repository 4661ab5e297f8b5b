import { Controller, Get, Inject } from '@nestjs/common';
import { ABOUT } from '../tokens.js';
import type { BuildInfo } from '../parts.js';

export interface About {
  readonly build: BuildInfo;
  readonly environment: string;
  readonly startedAt: Date;
  readonly doors: { readonly mcp: boolean; readonly rest: boolean };
}

export const SERVICE = 'stoa-mcp-gateway';
export const PROTOCOL_VERSIONS = ['2026-07-28', '2025-11-25', '2025-06-18'] as const;

const ICON = 'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 24 24%22%3E%3Cpath d=%22M2 8 12 2l10 6v2H2zM4 12h3v7H4zm6.500 0h3v7h-3zM17 12h3v7h-3zM2 20h20v2H2z%22/%3E%3C/svg%3E';

/** `GET /mcp/v1/`. */
export const serverInfo = ({ build }: About): object => ({
  name: SERVICE, version: build.version, protocol_version: '1.0',
  capabilities: { tools: true, resources: true, prompts: true, sampling: false },
  icons: [{ src: ICON, mimeType: 'image/svg+xml', sizes: ['any'] }],
  instructions: 'STOA MCP Gateway exposes APIs as MCP tools. Use /mcp/v1/tools to discover available tools.',
});

/** What this server is, for people and for discovery. Open: it says nothing of any tenant. */
@Controller()
export class InfoController {
  constructor(@Inject(ABOUT) private readonly about: About) {}

  @Get()
  root(): object {
    const { build, doors } = this.about;
    return {
      service: SERVICE, description: 'APIs as governed MCP tools, resources and prompts', version: build.version,
      mcp: { ...(doors.mcp ? { endpoint: '/mcp', protocol_versions: PROTOCOL_VERSIONS } : {}), ...(doors.rest ? { tools: '/mcp/v1/tools' } : {}), docs: '/info' },
      health: { live: '/live', ready: '/ready' },
    };
  }

  @Get('info')
  info(): object {
    const { build, environment, startedAt } = this.about;
    return { service: SERVICE, version: build.version, commit: build.commit, build_time: build.builtAt, node: process.version, environment, started_at: startedAt.toISOString(), protocol_versions: PROTOCOL_VERSIONS };
  }
}
