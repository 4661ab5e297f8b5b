import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { RouteOptions } from 'fastify';
import { StandaloneConfig } from '#apps/standalone/src/config.js';
import { startStandalone } from '#apps/standalone/src/start.js';
import { readConfig } from '#libs/configuration/read-config.js';

/** Both planes in one process, on an embedded database, with its local issuer: every surface that the product has, behind one port. */
export interface World {
  readonly url: string;
  readonly app: NestFastifyApplication;
  /** `METHOD /pattern` of every route, HEAD left out where GET implies it. */
  readonly routes: ReadonlySet<string>;
  token(role: string, tenant?: string): Promise<string>;
  close(): Promise<void>;
}

export async function openWorld(): Promise<World> {
  const home = mkdtempSync(join(tmpdir(), 'stoa-isolation-'));
  const environment = { STOA_HOME: home, STOA_PORT: '0', STOA_DEMO: 'false', LOG_LEVEL: 'silent' };
  const registered: RouteOptions[] = [];
  let app: NestFastifyApplication | undefined;
  const product = await startStandalone(readConfig(StandaloneConfig, environment), environment, (server, made) => {
    app = made;
    server.addHook('onRoute', (route) => { registered.push(route); });
  });
  if (!app) throw new Error('the product did not show its server');
  const all = new Set(registered.flatMap(({ method, url: pattern }) => [method].flat().map((one) => `${one} ${pattern}`)));
  const { url, issuer } = product;
  return {
    url, app,
    routes: new Set([...all].filter((route) => !route.startsWith('HEAD ') || !all.has(route.replace('HEAD', 'GET')))),
    async token(role, tenant) {
      const answer = await fetch(`${issuer.url}/token`, {
        method: 'POST', headers: { authorization: `Basic ${Buffer.from(`${issuer.clientId}:${issuer.clientSecret}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: `${url}/mcp`, role, ...(tenant === undefined ? {} : { tenant }) }),
      });
      const body = (await answer.json()) as { access_token?: string };
      if (body.access_token === undefined) throw new Error(JSON.stringify(body));
      return body.access_token;
    },
    async close() {
      await product.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export interface Asked { readonly method: string; readonly path: string; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown; /** Reads this many server-sent events and goes away. */ readonly events?: number }
export interface Answer { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }

const SILENCE_MS = 2_000;
/** Of an answer, what depends on the moment and not on what was asked: left out of every comparison. The length follows from the body, which is compared. */
const MOMENT: ReadonlySet<string> = new Set(['content-length', 'date', 'x-request-id', 'x-stoa-call-id', 'mcp-session-id', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'ratelimit', 'keep-alive', 'connection', 'transfer-encoding']);
const still = (body: string): string => body.replaceAll(/"latency_ms":\d+/g, '"latency_ms":0').replaceAll(/"invoked_at":"[^"]*"/g, '"invoked_at":""')
  .replaceAll(/"(?:correlation_id|request_id)":"[^"]*"/g, '"id":""');

export async function ask(world: World, token: string | undefined, { method, path, headers = {}, body, events }: Asked): Promise<Answer> {
  const gone = new AbortController();
  const answer = await fetch(`${world.url}${path}`, {
    method, signal: gone.signal, redirect: 'manual',
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const isStream = answer.headers.get('content-type')?.startsWith('text/event-stream') === true;
  let text = '';
  if (isStream && answer.body) {
    const decoder = new TextDecoder();
    // A stream that says nothing is an answer too.
    const silence = setTimeout(() => { gone.abort(); }, SILENCE_MS);
    try {
      for await (const chunk of answer.body) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        if ((text.match(/^data: ./gm)?.length ?? 0) >= (events ?? 1)) break;
      }
    } catch (failure) {
      if (!gone.signal.aborted) throw failure;
    } finally { clearTimeout(silence); }
    gone.abort();
    text = text.replaceAll(/^(?:id|retry): .*$/gm, '');
  } else text = await answer.text();
  return { status: answer.status, headers: Object.fromEntries([...answer.headers].filter(([name]) => !MOMENT.has(name))), body: still(text) };
}
