import { allowInsecureRequests, ClientError, ClientSecretBasic, clientCredentialsGrant, type Configuration, discovery, genericGrantRequest, None, ResponseBodyError } from 'openid-client';
import { CommandError, type Environment } from './client.js';

export interface IssuerRequest {
  /** Exact issuer URL; its discovery document is asked (OpenID Connect Discovery 1.0, or RFC 8414). */
  readonly issuer: string;
  readonly clientId: string;
  /** Unset: a public client. */
  readonly clientSecret?: string | undefined;
  /** With it the password grant (RFC 6749 §4.3), else client credentials (§4.4). */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly scope?: string | undefined;
  /** Sent as `resource` (RFC 8707). */
  readonly resource?: string | undefined;
}

/** What a command line gives of an issuer's client; secrets may come from the environment, where other users of the machine do not see them. */
export function issuerRequest(values: { readonly [name in 'issuer' | 'client-id' | 'client-secret' | 'username' | 'password' | 'scope' | 'resource']?: string | undefined }, env: Environment): IssuerRequest | undefined {
  if (values.issuer === undefined) {
    const alone = (['client-id', 'client-secret', 'username', 'password', 'scope', 'resource'] as const).find((name) => values[name] !== undefined);
    if (alone !== undefined) throw new CommandError(`--${alone} belongs to --issuer: name the issuer's URL too`, 2);
    return undefined;
  }
  if (!URL.canParse(values.issuer)) throw new CommandError(`--issuer ${values.issuer} is not an absolute URL`, 2);
  if (values['client-id'] === undefined) throw new CommandError('--client-id is missing: the client that asks for the token', 2);
  const clientSecret = values['client-secret'] ?? env['STOA_CLIENT_SECRET'];
  const password = values.password ?? env['STOA_PASSWORD'];
  if (values.username !== undefined && password === undefined) throw new CommandError('--password is missing: give it, or set STOA_PASSWORD', 2);
  if (values.username === undefined && clientSecret === undefined) throw new CommandError('--client-secret is missing: give it or set STOA_CLIENT_SECRET, or sign in a person with --username', 2);
  return { issuer: values.issuer, clientId: values['client-id'], clientSecret, username: values.username, password, scope: values.scope, resource: values.resource };
}

/** A token of any OpenID issuer. Rejects with a `CommandError` in one line. */
export async function issuerToken(request: IssuerRequest): Promise<string> {
  const { issuer, clientId, clientSecret, username, password, scope, resource } = request;
  const parameters = { ...(scope === undefined ? {} : { scope }), ...(resource === undefined ? {} : { resource }) };
  let config: Configuration;
  try {
    config = await discovery(new URL(issuer), clientId, undefined, clientSecret === undefined ? None() : ClientSecretBasic(clientSecret), {
      // Only for an issuer on plain HTTP, as on one's own computer; what it says is believed by nobody else.
      ...(issuer.startsWith('http:') ? { execute: [allowInsecureRequests] } : {}), timeout: 10,
    });
  } catch (error) {
    throw new CommandError(error instanceof ClientError ? `${issuer} is not an OpenID issuer (${error.message}): check --issuer, which must equal its "iss" exactly` : `nothing answers on ${issuer}: check --issuer`);
  }
  try {
    const answer = username === undefined
      ? await clientCredentialsGrant(config, parameters)
      : await genericGrantRequest(config, 'password', { username, password: password ?? '', ...parameters });
    return answer.access_token;
  } catch (error) {
    if (error instanceof ResponseBodyError) throw new CommandError(`the issuer refused a token: ${error.error_description ?? error.error}`);
    throw new CommandError(`the issuer gave no token: ${error instanceof Error ? error.message : String(error)}`);
  }
}
