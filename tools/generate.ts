/**
 * Writes the files that are made from code; with `--check` writes nothing and fails when one is stale.
 * `npm run generate [-- --check]`
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { z } from 'zod';
import type { ConfigurationRow } from '#libs/configuration/describe.js';

// Read from the sources, never from an older build: a relative `./x.js` of a source is its neighbour `./x.ts`.
registerHooks({
  resolve: (specifier, context, next) => next(/^\.\.?\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts') === true ? specifier.replace(/\.js$/, '.ts') : specifier, context),
});
const { describeConfig } = await import('#libs/configuration/describe.js');
const { customResourceDefinition } = await import('#libs/kubernetes/custom-resource-definition.js');
const { RESOURCES } = await import('#libs/kubernetes/resources.js');

const ROOT = join(import.meta.dirname, '..');
const PROCESSES = [
  { title: 'Standalone', command: 'npm start', file: 'apps/standalone/src/config.ts', schema: 'StandaloneConfig', about: 'The whole product in one process on embedded parts.' },
  { title: 'Gateway', command: 'node dist/apps/gateway/src/main.js', file: 'apps/gateway/src/config.ts', schema: 'GatewayConfig', about: 'The data plane: MCP and the REST facade.' },
  { title: 'Controller', command: 'node dist/apps/controller/src/main.js', file: 'apps/controller/src/config.ts', schema: 'ControllerConfig', about: 'The control plane: admin API, imports, migrations.' },
  { title: 'Billing', command: 'node dist/apps/billing/src/main.js', file: 'apps/billing/src/config.ts', schema: 'BillingConfig', about: 'Reads the metering topics into the ledger.' },
  { title: 'Development issuer', command: 'node dist/apps/dev-issuer/src/main.js', file: 'apps/dev-issuer/src/config.ts', schema: 'DevIssuerConfig', about: 'Tokens for tests, as MCP Gateway\'s issuer gives them. Never for production.' },
];

async function configurationPage(): Promise<string> {
  const sections: string[] = [];
  for (const { title, command, file, schema, about } of PROCESSES) {
    const path = join(ROOT, file);
    if (!existsSync(path)) continue;
    const module: Record<string, unknown> = await import(path);
    const found = module[schema];
    if (!(found instanceof z.ZodObject)) throw new Error(`${file} does not export the zod object ${schema}`);
    sections.push(`## ${title}\n\n${about} \`${command}\`\n\n${table(describeConfig(found))}`);
  }
  return `<!-- Made by \`npm run generate\` from the zod schema of each process. Do not edit. -->
# Configuration

Every process reads its environment once, at start. A wrong value stops the start with one message that names each wrong
variable and what would be right. \`NAME_FILE\` names a file that holds the value of \`NAME\`, for secrets; an empty value
counts as unset; unknown variables are ignored.

${sections.join('\n\n')}
`;
}

const cell = (text: string): string => text.replaceAll('|', String.raw`\|`).replaceAll('\n', ' ');

function table(rows: readonly ConfigurationRow[]): string {
  return ['| Variable | Type | Default | What it does |', '|---|---|---|---|', ...rows.map((row) =>
    `| \`${row.env}\` | ${cell(row.type)} | ${row.required ? '**required**' : row.default === undefined ? '' : `\`${cell(row.default)}\``} | ${cell(row.description)} |`)].join('\n');
}

/** The chart's CustomResourceDefinitions, from the objects that the controller reads with. */
const definitions = Object.fromEntries(RESOURCES.map((resource) => [`charts/stoa-platform/crds/${resource.plural}.yaml`, `# Made by \`npm run generate\`. Do not edit.\n${stringify(customResourceDefinition(resource), { lineWidth: 0 })}`]));

const made: Readonly<Record<string, string>> = { 'docs/configuration.md': await configurationPage(), ...definitions };
const check = process.argv.includes('--check');
let stale = 0;
for (const [file, content] of Object.entries(made)) {
  const path = join(ROOT, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === content) continue;
  stale += 1;
  if (!check) writeFileSync(path, content);
  console.log(`${file} ${check ? 'is stale: run npm run generate' : 'written'}`);
}
if (check && stale > 0) process.exit(1);
