import { createPrivateKey } from 'node:crypto';
import { exportPKCS8 } from 'jose';
import { type Claims, type ClaimNames, keyPair, type KeyPair, type Mint, signer } from './mint.js';

export interface KeycloakAccess {
  /** `{base}/realms/{realm}`, as it stands in `iss`. */
  readonly issuer: string;
  /** The admin API of that realm; `path` is below `/admin/realms/{realm}`. */
  readonly admin: (method: string, path: string, body?: unknown) => Promise<unknown>;
  readonly audience: string;
  readonly names?: ClaimNames;
  /** The server's clock, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** An administrator of the owner's tenant, and a client with the password grant: they are given tokens under other algorithms, ID and refresh tokens. */
  readonly person: { readonly clientId: string; readonly username: string; readonly password: string };
}

/**
 * Tokens of a real Keycloak realm: it is lent private keys of the suite's, which it publishes beside its own, so that the suite can
 * sign what Keycloak itself never would. For realms made for tests only: whoever has these keys is anybody there. `close` takes them away.
 */
export async function keycloakMint(access: KeycloakAccess): Promise<Mint & { close(): Promise<void> }> {
  const { issuer, admin, audience, names, now, person } = access;
  const signIn = (): Promise<Readonly<Record<string, unknown>>> => grant(issuer, { grant_type: 'password', client_id: person.clientId, username: person.username, password: person.password, scope: 'openid' });
  const { id: realmId } = await admin('GET', '') as { id: string };
  const components: string[] = [];
  const provide = async (name: string, providerId: string, config: Readonly<Record<string, readonly string[]>>): Promise<string> => {
    const made = `token-suite-${name}`;
    await admin('POST', '/components', { name: made, parentId: realmId, providerId, providerType: 'org.keycloak.keys.KeyProvider', config });
    const [component] = await admin('GET', `/components?name=${made}&type=org.keycloak.keys.KeyProvider`) as { id: string }[];
    if (!component) throw new Error(`Keycloak keeps no key provider ${made}`);
    components.push(component.id);
    return component.id;
  };
  const lend = async (name: string): Promise<{ readonly pair: KeyPair; readonly component: string }> => {
    const pair = await keyPair(name);
    const pem = createPrivateKey(await exportPKCS8(pair.privateKey)).export({ type: 'pkcs8', format: 'pem' }).toString();
    // Passive: published, and never what Keycloak itself signs with.
    const component = await provide(name, 'rsa', { privateKey: [pem], priority: ['-100'], enabled: ['true'], active: ['false'], algorithm: ['RS256'] });
    const kid = (await publishedKeys(issuer)).find(({ n }) => n === pair.publicJwk.n)?.kid;
    if (kid === undefined) throw new Error(`Keycloak does not publish the key ${name}`);
    return { pair: { ...pair, kid, publicJwk: { ...pair.publicJwk, kid } }, component };
  };

  const main = await lend('main');
  const own = await signer({ issuer, audience, key: main.pair, names, now });
  const old = await lend('old');
  let next: Awaited<ReturnType<typeof lend>> | undefined;
  const by = async (pair: KeyPair, claims: Claims): Promise<string> => (await signer({ issuer, audience, key: pair, names, now })).sign(claims);

  await provide('es', 'ecdsa-generated', { priority: ['-50'], ecdsaEllipticCurveKey: ['P-256'], active: ['true'], enabled: ['true'] });
  await provide('ed', 'eddsa-generated', { priority: ['-50'], eddsaEllipticCurveKey: ['Ed25519'], active: ['true'], enabled: ['true'] });
  await provide('ps', 'rsa-generated', { priority: ['-50'], algorithm: ['PS256'], keySize: ['2048'], active: ['true'], enabled: ['true'] });

  return {
    ...own,
    signedBy: async (algorithm) => {
      const [client] = await admin('GET', `/clients?clientId=${person.clientId}`) as { id: string; attributes: Record<string, string> }[];
      if (!client) throw new Error(`the realm has no client ${person.clientId}`);
      const signs = (alg: string): Promise<unknown> => admin('PUT', `/clients/${client.id}`, { ...client, attributes: { ...client.attributes, 'access.token.signed.response.alg': alg } });
      await signs(algorithm);
      try { return tokenOf(await signIn(), 'access_token'); } finally { await signs('RS256'); }
    },
    others: async () => {
      const answer = await signIn();
      return { idToken: tokenOf(answer, 'id_token'), refreshToken: tokenOf(answer, 'refresh_token') };
    },
    rotation: {
      publish: async () => { next = await lend('next'); },
      withNewKey: async (caller) => by((next ?? old).pair, own.claims(caller)),
      withOldKey: async (caller) => by(old.pair, own.claims(caller)),
      retireOld: async () => { await admin('DELETE', `/components/${old.component}`); },
    },
    close: async () => { for (const id of components) await admin('DELETE', `/components/${id}`).catch(() => undefined); },
  };
}

async function publishedKeys(issuer: string): Promise<readonly { readonly kid: string; readonly n?: string }[]> {
  const { keys } = await (await fetch(`${issuer}/protocol/openid-connect/certs`)).json() as { keys: { kid: string; n?: string }[] };
  return keys;
}

/** RFC 6749 §4.3 and §4.4. Rejects with what Keycloak said. */
export async function grant(issuer: string, parameters: Readonly<Record<string, string>>): Promise<Readonly<Record<string, unknown>>> {
  const reply = await fetch(`${issuer}/protocol/openid-connect/token`, { method: 'POST', body: new URLSearchParams(parameters) });
  const answer = await reply.json() as Record<string, unknown>;
  if (!reply.ok) throw new Error(`no token: ${reply.status} ${JSON.stringify(answer)}`);
  return answer;
}
function tokenOf(answer: Readonly<Record<string, unknown>>, name: string): string {
  const token = answer[name];
  if (typeof token !== 'string') throw new Error(`Keycloak gave no ${name}`);
  return token;
}
