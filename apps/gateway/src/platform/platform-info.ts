import type { Catalogue } from '#libs/core/catalogue.js';
import type { BuildInfo } from '../parts.js';
import { answer, everyone, type PlatformTool, platformTarget } from './platform-tool.js';

export interface PlatformInfoParts { readonly build: BuildInfo; readonly catalogue: Pick<Catalogue, 'snapshot'>; readonly protocolVersions: readonly string[] }

export const platformInfo = ({ build, catalogue, protocolVersions }: PlatformInfoParts): PlatformTool => ({
  target: platformTarget({
    name: 'stoa_platform_info', title: 'Platform information', category: 'Platform & Discovery', properties: {},
    description: 'What this platform is: version, protocol versions, and how much of the catalogue your tenant has.',
  }),
  visibleTo: everyone,
  run: async (_input, call) => {
    const { tenant } = call.principal;
    const snapshot = tenant === undefined ? undefined : await catalogue.snapshot(tenant);
    return answer({
      platform: 'STOA', service: 'stoa-mcp-gateway', version: build.version, commit: build.commit, build_time: build.builtAt, protocol_versions: protocolVersions,
      capabilities: { tools: true, resources: true, prompts: true, sampling: false },
      tenant: tenant ?? null,
      catalogue: snapshot ? { revision: snapshot.revision, apis: snapshot.apis.size, tools: snapshot.tools.size, resources: snapshot.resources.size, prompts: snapshot.prompts.size } : null,
    });
  },
});
