import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { allowInsecureRequests, clientCredentialsGrant, ClientError, ClientSecretBasic, discovery, ResponseBodyError } from 'openid-client';
import { CommandError, type Connection, type Environment, readConnection } from './client.js';
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
  --resource                    the server that the token is for (RFC 8707), where the issuer asks for it`;

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
  const { values } = parseArgs({
    args: [...args],
    options: {
      tenant: { type: 'string' }, role: { type: 'string' }, url: { type: 'string' }, home: { type: 'string' }, issuer: { type: 'string' }, 'client-id': { type: 'string' },
      'client-secret': { type: 'string' }, username: { type: 'string' }, password: { type: 'string' }, scope: { type: 'string' }, resource: { type: 'string' },
    },
  });
  const request = issuerRequest(values, io.env);
  if (request !== undefined) { io.out(await issuerToken(request)); return 0; }
  if (values.role === undefined) throw new CommandError('--role is missing: one of cpi-admin, tenant-admin, devops, viewer', 2);
  io.out(await getToken({ home: values.home, tenant: values.tenant, role: values.role, url: values.url }, io.env));
  return 0;
}

/** As `getToken`, for a connection already read. */
export async function requestToken(connection: Connection, { tenant, role }: { readonly tenant: string | undefined; readonly role: string }): Promise<string> {
  try {
    const server = await discovery(new URL(connection.issuer), connection.clientId, undefined, ClientSecretBasic(connection.clientSecret), {
      // The local issuer speaks plain HTTP on loopback.
      ...(connection.issuer.startsWith('http:') ? { execute: [allowInsecureRequests] } : {}), timeout: 10,
    });
    const answer = await clientCredentialsGrant(server, { role, ...(tenant === undefined ? {} : { tenant }), resource: `${connection.url}/mcp` });
    return answer.access_token;
  } catch (error) {
    throw new CommandError(explained(error, connection));
  }
}

/** The same product behind another address: its issuer moves along where it is below the product's own. */
function moved(connection: Connection, url: string | undefined): Connection {
  if (url === undefined) return connection;
  if (!URL.canParse(url)) throw new CommandError(`--url ${url} is not an absolute URL`, 2);
  const base = url.replace(/\/+$/, '');
  const issuer = connection.issuer.startsWith(`${connection.url}/`) ? base + connection.issuer.slice(connection.url.length) : connection.issuer;
  return { ...connection, url: base, issuer };
}

function explained(error: unknown, { url, issuer }: Connection): string {
  if (error instanceof ResponseBodyError) return `the issuer refused a token: ${error.error_description ?? error.error}`;
  if (error instanceof ClientError) return `${issuer} is not the product's issuer (${error.message}): check --url, or start the product again (npm start)`;
  return `nothing answers on ${url}: is the product running? Start it with npm start`;
}
