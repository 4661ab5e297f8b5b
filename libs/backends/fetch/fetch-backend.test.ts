import { describe, expect, it } from 'vitest';
import type { ValidatedCall } from '#libs/core/call.js';
import { OutboundFailure, type OutboundRequest, type OutboundResponse } from '#libs/core/outbound.js';
import type { Target } from '#libs/core/target.js';
import { InlineBackend } from '../inline/inline-backend.js';
import { FetchBackend } from './fetch-backend.js';

const call = (backend: Target['backend']): ValidatedCall => ({ name: 'docs://guide', requestId: 'r1', target: { backend, timeoutMs: 1_000 }, exchange: { signal: new AbortController().signal } }) as unknown as ValidatedCall;
function reading(answer: Partial<OutboundResponse> | OutboundFailure) {
  const sent: OutboundRequest[] = [];
  const outbound = { request: async (request: OutboundRequest) => { sent.push(request); if (answer instanceof OutboundFailure) throw answer; return { status: 200, headers: {}, body: new Uint8Array(), ...answer }; } };
  return { sent, backend: new FetchBackend({ outbound, version: '1' }) };
}

const binding = (mimeType: string): Target['backend'] => ({ kind: 'fetch', url: 'https://docs.example/guide', mimeType });

describe('a resource that is fetched', () => {
  it('is text where its type is text, and bytes otherwise', async () => {
    const body = Buffer.from('# Hé');
    expect(await reading({ body }).backend.invoke(call(binding('text/markdown')))).toMatchObject({ outcome: 'success', bytes: 5, result: { type: 'resource', contents: [{ uri: 'docs://guide', mimeType: 'text/markdown', text: '# Hé' }] } });
    expect(await reading({ body: Buffer.from([0]) }).backend.invoke(call(binding('image/png')))).toMatchObject({ result: { contents: [{ blob: 'AA==' }] } });
  });

  describe('from a template', () => {
    const url = 'https://docs.example/docs/{section}?version={version}';
    const read = async (input: object, template = url) => {
      const { sent, backend } = reading({});
      const answer = await backend.invoke({ ...call({ kind: 'fetch', url: template, mimeType: 'text/plain' }), input } as ValidatedCall);
      return { answer, url: sent[0]?.url };
    };
    it('has each variable in its place, encoded', async () => {
      expect((await read({ section: 'a b&c', version: '2=3#' })).url).toBe('https://docs.example/docs/a%20b%26c?version=2%3D3%23');
    });
    it.each(['.', '..', '%2e%2e', '%2E.', 'a/b', '..%2f', 'a\\b', 'a\u0000', ''])('sends nothing for the value %j, which could leave its place', async (section) => {
      expect(await read({ section, version: '1' })).toMatchObject({ answer: { code: 'INVALID_ARGUMENTS' }, url: undefined });
    });
    it('sends nothing when a variable is missing, stands in the host, or makes dots of what is around it', async () => {
      expect((await read({ section: 'a' })).url).toBeUndefined();
      expect((await read({ host: 'x' }, 'https://{host}/a')).url).toBeUndefined();
      expect((await read({ x: 'a', y: 'b' }, 'https://{x}@docs.example/{y}')).url).toBeUndefined();
      expect((await read({ x: '.' }, 'https://docs.example/a/.{x}/b')).url).toBeUndefined();
      expect((await read({ x: 'e' }, 'https://docs.example/a/%2{x}/b')).url).toBeUndefined();
    });
  });

  it('is asked for without any credential', async () => {
    const { sent, backend } = reading({});
    await backend.invoke(call(binding('text/plain')));
    expect(sent[0]?.headers.map(([name]) => name)).toEqual(['accept', 'user-agent', 'x-request-id']);
  });

  it.each([[404, 'BACKEND_ERROR'], [302, 'BACKEND_ERROR'], [500, 'BACKEND_ERROR']])('is a denial when its server answers %i', async (status, code) => {
    expect(await reading({ status }).backend.invoke(call(binding('text/plain')))).toMatchObject({ code, backendStatus: status });
  });

  it.each([['refused-address', 'EGRESS_REFUSED'], ['timeout', 'BACKEND_TIMEOUT'], ['unreachable', 'BACKEND_UNREACHABLE'], ['too-large', 'BACKEND_RESPONSE_TOO_LARGE'], ['aborted', 'CANCELLED']] as const)('is a denial when it cannot be read (%s)', async (kind, code) => {
    expect(await reading(new OutboundFailure(kind, 'why')).backend.invoke(call(binding('text/plain')))).toMatchObject({ code, message: 'The resource cannot be read: why.' });
  });
});

it.each([
  { inline: { kind: 'inline', mimeType: 'text/plain', text: '' } as const, contents: { text: '' } },
  { inline: { kind: 'inline', mimeType: 'image/png', blob: 'AA==' } as const, contents: { blob: 'AA==' } },
])('a resource in the catalogue is given as it is', async ({ inline, contents }) => {
  expect((await new InlineBackend().invoke(call(inline))).result).toEqual({ type: 'resource', contents: [{ uri: 'docs://guide', mimeType: inline.mimeType, ...contents }] });
});
