import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { allowInsecureRequests, clientCredentialsGrant, ClientError, ClientSecretBasic, discovery, ResponseBodyError } from 'openid-client';
import { z } from 'zod';
import { CommandError, type Connection, type Environment, readAnswer, readConnection, send } from './client.js';
import type { Io } from './io.js';
import { issuerRequest, issuerToken } from './issuer-token.js';

export const TOKEN_HELP = `stoa token [--tenant TENANT] --role ROLE [--url URL] [--home FOLDER]

Prints a bearer token of the running product's own issuer, and nothing else.
  --tenant   whose tools and APIs; leave it out for cpi-admin, who administers the platform
  --role     cpi-admin, tenant-admin, devops, viewer, or a persona such as stoa.agent
  --url      base URL of the product, where it is not the one in the data folder
  --home     data folder (default STOA_HOME, else .stoa)

stoa token --issuer URL --client-id ID [--client-secret SECRET] [--username NAME --password WORD] [--scope SCOPES] [--resource URL]

Prints a token of any OpenID issuer, such as a Keycloak realm: of a machine by its client's secret, or of a person by password.
  --client-secret, --password   or STOA_CLIENT_SECRET, STOA_PASSWORD in the environment, where process lists do not show them
  --resource                    the server that the token is for (RFC 8707), where the issuer asks for it

stoa token exchange --tool NAME… [--tenant T] [--role R] [--ttl 60s] [--one-time] [--scope SCOPES] [--json]

Prints a capability token, for these tools and nothing else, made of your own (docs/capability-tokens.md).

All commands speak to the product of the data folder, or to the one that the environment names: STOA_URL (and STOA_ADMIN_URL, where the control plane is elsewhere), with
STOA_TOKEN, or with STOA_ISSUER, STOA_CLIENT_ID and STOA_CLIENT_SECRET (or STOA_USERNAME and STOA_PASSWORD). Roles and tenant are then those that the issuer gives.`;

export interface TokenRequest {
  /** Data folder of the running product; undefined: where the environment says. */
  readonly home: string | undefined;
  readonly tenant: string | undefined;
  readonly role: string;
  /** Base URL of the product in place of the one in the data folder. */
  readonly url?: string | undefined;
}

/**
 * A bearer token by client credentials of the command line's own client (RFC 6749 §4.4), for the product's `/mcp` (RFC 8707).
 * Rejects with a `CommandError` in one line: no data folder, the product does not run, or the issuer's reason.
 */
export async function getToken(request: TokenRequest, env: Environment = {}): Promise<string> {
  const connection = readConnection(request.home === undefined ? env : { ...env, STOA_HOME: resolve(request.home) });
  return requestToken(moved(connection, request.url), request);
}

export async function tokenCommand(args: readonly string[], io: Io): Promise<number> {
  if (args[0] === 'exchange') return exchangeCommand(args.slice(1), io);
  const { values } = parseArgs({
    args: [...args],
    options: {
      tenant: { type: 'string' }, role: { type: 'string' }, url: { type: 'string' }, home: { type: 'string' }, issuer: { type: 'string' }, 'client-id': { type: 'string' },
      'client-secret': { type: 'string' }, username: { type: 'string' }, password: { type: 'string' }, scope: { type: 'string' }, resource: { type: 'string' },
    },
  });
  const request = issuerRequest(values, io.env);
  if (request !== undefined) { io.out(await issuerToken(request)); return 0; }
  const elsewhere = values.home === undefined && (io.env['STOA_URL'] ?? '') !== '';
  if (values.role === undefined && !elsewhere) throw new CommandError('--role is missing: one of cpi-admin, tenant-admin, devops, viewer', 2);
  io.out(await getToken({ home: values.home, tenant: values.tenant, role: values.role ?? '', url: values.url }, io.env));
  return 0;
}

const Exchanged = z.object({ access_token: z.string() });

async function exchangeCommand(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: {
    tenant: { type: 'string' }, role: { type: 'string', default: 'tenant-admin' }, tool: { type: 'string', multiple: true, default: [] }, ttl: { type: 'string' }, 'one-time': { type: 'boolean', default: false }, scope: { type: 'string' }, json: { type: 'boolean', default: false },
  } });
  if (values.tool.length === 0) throw new CommandError('--tool is missing: name the tools that the token is for', 2);
  const ttl = values.ttl === undefined ? undefined : /^(\d{1,4})s?$/.exec(values.ttl)?.[1];
  if (values.ttl !== undefined && ttl === undefined) throw new CommandError(`--ttl ${values.ttl} is no number of seconds: 60s to 120s`, 2);
  const connection = readConnection(io.env);
  if (connection.signIn.kind === 'own' && values.tenant === undefined) throw new CommandError('--tenant is missing: say whose tools', 2);
  const token = await requestToken(connection, { tenant: values.tenant, role: values.role });
  const answer = await readAnswer(await send(connection, new Request(`${connection.url}/v1/token/exchange`, {
    method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tools: values.tool, one_time: values['one-time'], ...(ttl === undefined ? {} : { ttl_seconds: Number(ttl) }), ...(values.scope === undefined ? {} : { scope: values.scope }) }),
  })));
  io.out(values.json ? JSON.stringify(answer, undefined, 2) : Exchanged.parse(answer).access_token);
  return 0;
}

/** As `getToken`, for a connection already read. Of an issuer that is not the product's own the token is what it is, whoever was asked for. */
export async function requestToken({ url, signIn }: Connection, { tenant, role }: { readonly tenant: string | undefined; readonly role: string }): Promise<string> {
  if (signIn.kind === 'token') return signIn.token;
  if (signIn.kind === 'issuer') {
    const request = issuerRequest(signIn.values, {});
    if (request === undefined) throw new CommandError('STOA_ISSUER is missing', 2);
    return issuerToken(request);
  }
  const { issuer, clientId, clientSecret } = signIn;
  try {
    const server = await discovery(new URL(issuer), clientId, undefined, ClientSecretBasic(clientSecret), {
      // The local issuer speaks plain HTTP on loopback.
      ...(issuer.startsWith('http:') ? { execute: [allowInsecureRequests] } : {}), timeout: 10,
    });
    const answer = await clientCredentialsGrant(server, { role, ...(tenant === undefined ? {} : { tenant }), resource: `${url}/mcp` });
    return answer.access_token;
  } catch (error) {
    throw new CommandError(explained(error, url, issuer));
  }
}

/** The same product behind another address: its issuer moves along where it is below the product's own. */
function moved(connection: Connection, url: string | undefined): Connection {
  if (url === undefined) return connection;
  if (!URL.canParse(url)) throw new CommandError(`--url ${url} is not an absolute URL`, 2);
  const base = url.replace(/\/+$/, '');
  const { signIn } = connection;
  const below = signIn.kind === 'own' && signIn.issuer.startsWith(`${connection.url}/`);
  return { url: base, adminUrl: connection.adminUrl === connection.url ? base : connection.adminUrl, signIn: below ? { ...signIn, issuer: base + signIn.issuer.slice(connection.url.length) } : signIn };
}

function explained(error: unknown, url: string, issuer: string): string {
  if (error instanceof ResponseBodyError) return `the issuer refused a token: ${error.error_description ?? error.error}`;
  if (error instanceof ClientError) return `${issuer} is not the product's issuer (${error.message}): check --url, or start the product again (npm start)`;
  return `nothing answers on ${url}: is the product running? Start it with npm start`;
}
