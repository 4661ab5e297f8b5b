import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Standalone } from './start.js';

/** What the data folder holds for those who use the product: the command line's connection, and a client configuration. */
export async function writeHandover(home: string, product: Pick<Standalone, 'url' | 'issuer' | 'demos'>): Promise<{ readonly clientConfig: string }> {
  const { url, issuer } = product;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  writePrivately(join(home, 'cli.json'), { url, issuer: issuer.url, clientId: issuer.clientId, clientSecret: issuer.clientSecret });

  const tokens = await Promise.all(product.demos.map(async ({ tenant }) => [tenant, await demoToken(product, tenant)] as const));
  const clientConfig = join(home, 'client-config.json');
  writePrivately(clientConfig, {
    mcpServers: {
      // Clients that speak OAuth find the issuer themselves and open its login page.
      stoa: { type: 'http', url: `${url}/mcp` },
      // Others send a header; these tokens end with the day and are new at each start.
      ...Object.fromEntries(tokens.map(([tenant, token]) => [`stoa-${tenant}`, { type: 'http', url: `${url}/mcp`, headers: { Authorization: `Bearer ${token}` } }])),
    },
  });
  return { clientConfig };
}

async function demoToken({ url, issuer }: Pick<Standalone, 'url' | 'issuer'>, tenant: string): Promise<string> {
  const answer = await fetch(`${issuer.url}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${issuer.clientId}:${issuer.clientSecret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: `${url}/mcp`, tenant, role: 'tenant-admin' }),
  });
  if (!answer.ok) throw new Error(`the local issuer refused a token for tenant ${tenant}: ${await answer.text()}`);
  return ((await answer.json()) as { access_token: string }).access_token;
}

function writePrivately(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
