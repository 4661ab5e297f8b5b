import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { BuildInfo } from './probes/process-parts.js';

const Package = z.object({ version: z.string() });

/** Version of the package above; commit and time as the build that made the image gave them. */
export function readBuildInfo(env: Readonly<Record<string, string | undefined>>): BuildInfo {
  const { version } = Package.parse(JSON.parse(readFileSync(packageFile(), 'utf8')));
  return { version: env['APP_VERSION'] ?? version, commit: env['STOA_COMMIT'] ?? 'unknown', builtAt: env['STOA_BUILT_AT'] ?? 'unknown' };
}

/** `package.json` is three folders above the source and four above the build. */
const packageFile = (): URL => new URL(import.meta.url.endsWith('.ts') ? '../../../package.json' : '../../../../package.json', import.meta.url);
