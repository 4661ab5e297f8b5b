import { Agent, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { type Environment, readConfig } from '#libs/configuration/read-config.js';
import type { Gateway } from './compose.js';
import { GatewayConfig } from './config.js';
import { gatewayDoor } from './door.js';
import { openGateway } from './process.module.js';
import { GATEWAY } from './tokens.js';

/** Nothing listens there: the process must be alive without its database and its issuer. */
const AWAY = '127.0.0.1:1';
const LEAST: Environment = { DATABASE_URL: `postgres://stoa:hidden@${AWAY}/stoa`, OIDC_ISSUER: `http://${AWAY}`, LOG_LEVEL: 'silent', RESOURCE_URL: 'https://gw.test/mcp', METERING_ENABLED: 'false' };
const EVERYTHING_OFF: Environment = {
  AUTH_ENABLED: 'false', POLICY_MODE: 'open', RATE_LIMIT_ENABLED: 'false', REDACTION_ENABLED: 'false', ENABLE_METRICS: 'false', ENABLE_TRACING: 'false', CATALOGUE_DISK_ENABLED: 'false',
  MCP_ENABLED: 'false', REST_ENABLED: 'false', PLATFORM_TOOLS_ENABLED: 'false',
  REST_BACKEND_ENABLED: 'false', FETCH_BACKEND_ENABLED: 'false', INLINE_BACKEND_ENABLED: 'false', PROMPT_BACKEND_ENABLED: 'false', DOCUMENT_BACKEND_ENABLED: 'false',
};

let app: NestFastifyApplication;
const open = async (env: Environment = {}, ...first: [] | [Parameters<typeof openGateway>[2]]): Promise<void> => {
  const environment = { ...LEAST, ...env };
  app = await openGateway(readConfig(GatewayConfig, environment), environment, ...first);
};
const off = (): readonly string[] => app.get<Gateway>(GATEWAY, { strict: false }).off;
afterEach(() => app.close());

describe('each module can be switched off by configuration, and the process starts and says so', () => {
  /** What this version does not have yet, or what needs an address to be on. */
  const ALWAYS = ['metering', 'tracing'];
  it.each<{ name: string; env: Environment; says: readonly string[]; gone?: string }>([
    { name: 'nothing', env: {}, says: [] },
    { name: 'authentication', env: { AUTH_ENABLED: 'false' }, says: ['authentication'], gone: '/.well-known/oauth-protected-resource' },
    { name: 'metrics', env: { ENABLE_METRICS: 'false', AUTH_ENABLED: 'false' }, says: ['authentication', 'metrics'], gone: '/metrics' },
    { name: 'the MCP door', env: { MCP_ENABLED: 'false', AUTH_ENABLED: 'false' }, says: ['authentication', 'MCP door'], gone: '/mcp' },
    { name: 'the REST facade', env: { REST_ENABLED: 'false', AUTH_ENABLED: 'false' }, says: ['authentication', 'REST facade'], gone: '/mcp/v1/tools' },
    { name: 'rate limits', env: { RATE_LIMIT_ENABLED: 'false' }, says: ['rate limits'] },
    { name: 'redaction', env: { REDACTION_ENABLED: 'false' }, says: ['redaction'] },
    { name: 'platform tools', env: { PLATFORM_TOOLS_ENABLED: 'false' }, says: ['platform tools'] },
    { name: 'the REST backend', env: { REST_BACKEND_ENABLED: 'false' }, says: ['rest backend'] },
    { name: 'the fetch backend', env: { FETCH_BACKEND_ENABLED: 'false' }, says: ['fetch backend'] },
    { name: 'the inline backend', env: { INLINE_BACKEND_ENABLED: 'false' }, says: ['inline backend'] },
    { name: 'the prompt backend', env: { PROMPT_BACKEND_ENABLED: 'false' }, says: ['prompt backend'] },
    { name: 'the document backend', env: { DOCUMENT_BACKEND_ENABLED: 'false' }, says: ['document backend'] },
    {
      name: 'everything', env: EVERYTHING_OFF, gone: '/mcp',
      says: ['authentication', 'rate limits', 'redaction', 'metrics', 'MCP door', 'REST facade', 'platform tools', 'rest backend', 'fetch backend', 'inline backend', 'prompt backend', 'document backend'],
    },
  ])('$name', async ({ env, says, gone = '/.well-known/nothing' }) => {
    await open(env);
    expect((await app.inject('/live')).statusCode).toBe(200);
    expect(off().toSorted()).toEqual([...ALWAYS, ...says].toSorted());
    expect((await app.inject(gone)).statusCode).toBe(404);
  });
  it('tracing is on where a collector has an address', async () => {
    await open({ OTLP_ENDPOINT: `http://${AWAY}` });
    expect(off()).not.toContain('tracing');
  });
});

it('with its database and its issuer away it is alive, and not ready with a reason for each', async () => {
  await open();
  expect((await app.inject('/live')).statusCode).toBe(200);
  const ready = await app.inject('/ready');
  expect([ready.statusCode, ready.json()]).toMatchObject([503, {
    checks: { app_ready: true, catalogue: false, database: false, issuer_keys: false },
    reasons: { catalogue: expect.any(String), database: expect.any(String), issuer_keys: expect.any(String) },
  }]);
  expect(ready.body).not.toContain('hidden');
});

it('publishes its metadata at the root and with its path behind, names it in each challenge, and passes the issuer\'s on', async () => {
  await open();
  for (const url of ['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp']) {
    expect((await app.inject(url)).json()).toMatchObject({ resource: 'https://gw.test/mcp', authorization_servers: [`http://${AWAY}`], bearer_methods_supported: ['header'] });
  }
  expect((await app.inject('/mcp/v1/tools')).headers['www-authenticate']).toBe('Bearer resource_metadata="https://gw.test/.well-known/oauth-protected-resource/mcp"');
  for (const url of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']) expect((await app.inject(url)).json()).toEqual({ detail: 'Authentication service unavailable' });
});

it('authentication that is on, without a module that proves tokens, stops the start', async () => {
  await open({ AUTH_ENABLED: 'false' });
  const door = gatewayDoor({ resource: 'https://gw.test/mcp', open: [] });
  expect(() => { door(app.getHttpAdapter().getInstance(), app.get<Gateway>(GATEWAY, { strict: false })); }).toThrow('no module proves tokens');
});

/** Written out on its own: what answers without a token, and nothing else. */
const OPEN = new Set([
  '/', '/info', '/mcp/v1', '/mcp/v1/', '/health', '/healthz', '/api/health', '/health/live', '/health/ready', '/health/startup', '/live', '/ready', '/status', '/api/status',
  '/metrics', '/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/mcp', '/.well-known/oauth-authorization-server', '/.well-known/openid-configuration',
]);

const agent = new Agent({ keepAlive: true });
/** The status of a request whose path goes out as it is written: other clients resolve dots before they send. */
const raw = (port: number, method: string, path: string): Promise<number> => new Promise((resolve, reject) => {
  httpRequest({ host: '127.0.0.1', port, method, path, agent }, (reply) => { reply.resume().on('end', () => { resolve(reply.statusCode ?? 0); }); }).on('error', (failure) => { reject(new Error(`${method} ${path}`, { cause: failure })); }).end();
});

const bent = (path: string): string[] => [
  path, `${path}/`, `/${path}`, path.replace(/\/(?=[^/]*$)/, '//'), path.replace(/\/(?=[^/]*$)/, '%2F'), path.toUpperCase(), `${path};a=b`, `${path}?x=1`, `${path}%00`, `${path}/.`, `/x/..${path}`, `${path}%20`, `${path}#f`,
].filter((url) => url.startsWith('/'));

describe('without a token', () => {
  it('only the golden list of routes answers, whatever the method and however the path is bent', { timeout: 30_000 }, async () => {
    const routes = new Set<string>();
    await open({}, (server) => { server.addHook('onRoute', ({ url }) => { routes.add(url); }); });
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    expect(routes.size).toBeGreaterThan(25);
    const concrete = [...routes].map((route) => route.replace(':name', 'getPet').replace('*', 'x:y'));
    const answered = new Set<string>();
    let tried = 0;
    for (const path of concrete) {
      for (const url of bent(path)) {
        for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'] as const) {
          const status = await raw(port, method, url);
          tried += 1;
          if (![400, 401, 404, 405].includes(status)) answered.add(`${method} ${url}`);
        }
      }
    }
    expect(tried).toBeGreaterThan(2000);
    const golden = new Set([...OPEN].flatMap((path) => [path, `${path}?x=1`, `${path}#f`].flatMap((url) => [`GET ${url}`, `HEAD ${url}`])));
    expect([...answered].filter((line) => !golden.has(line))).toEqual([]);
    expect([...OPEN].filter((path) => !answered.has(`GET ${path}`))).toEqual([]);
  });
  it('/metrics does not answer where it is not public', async () => {
    await open({ METRICS_PUBLIC: 'false' });
    expect((await app.inject('/metrics')).statusCode).toBe(401);
  });
});
