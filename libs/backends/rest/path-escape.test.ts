import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import type { RestBinding, RestParameter } from '#libs/core/rest-binding.js';
import { createEgress } from '#libs/egress/egress.js';
import { buildRequest } from './request.js';

/** How many argument values are tried over all templates; 1,000,000 is the long run. */
// oxlint-disable-next-line node/no-process-env -- the long run is asked for by hand
const VALUES = Number(process.env['PATH_ESCAPE_VALUES'] ?? 20_000);

type Style = 'simple' | 'label' | 'matrix';
const TEMPLATES: readonly { readonly path: string; readonly style?: Style; readonly explode?: boolean; readonly allowReserved?: boolean }[] = [
  { path: '/pets/{a}' }, { path: '/{a}' }, { path: '/pets/{a}/toys' }, { path: '/pets/{a}/toys/{b}' }, { path: '/{a}/{b}/{c}' }, { path: '/x/{a}.json' }, { path: '/x/.{a}' }, { path: '/x/{a}.' }, { path: '/x/{a}{b}' },
  { path: '/x/{a}-{b}' }, { path: '/x/{a};v=1' }, { path: '/x:{a}' }, { path: '/x/{a}:cancel' }, { path: '/v1/a b/{a}' }, { path: '/%2F/{a}' }, { path: '/x{a}', style: 'label' }, { path: '/x{a}', style: 'label', explode: true },
  { path: '/x/{a}', style: 'label' }, { path: '/x{a}', style: 'matrix' }, { path: '/x{a}/y{b}', style: 'matrix', explode: true }, { path: '/x/{a}/y', style: 'simple', explode: true }, { path: '/x/{a}/y', allowReserved: true }, { path: '/x/{a}{b}', allowReserved: true },
];

function bindingOf(template: (typeof TEMPLATES)[number]): RestBinding {
  const { style = 'simple', explode = false, allowReserved = false } = template;
  const parameters = ['a', 'b', 'c'].map((name): RestParameter => ({ argument: name, name, in: 'path', style, explode, allowReserved, required: true }));
  return { kind: 'rest', method: 'GET', baseUrl: 'https://api.example/base', path: template.path, parameters, accept: '*/*', security: [] };
}
/** What a request target made of this template may look like: one non-empty run without separators for each expression. */
const literal = (text: string): string => text.replaceAll(' ', '%20').replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
function shapeOf(template: string): RegExp {
  return new RegExp(`^/base${template.split(/(\{[^}]*\})/).map((part) => (part.startsWith('{') ? '[^/?#\\\\\\s]+' : literal(part))).join('')}$`);
}

const hostile = fc.constantFrom(
  '.', '..', '/', '\\', '%2e', '%2E', '%2f', '%5c', '%252e', '%25252e', '%252f', '%00', '%0d%0a', '\r\n', '\0', '\t', ' ', ';', '?', '#', '&', '=', '@', ':', '%', '%%', '%2', 'admin', 'etc/passwd', '．', '。', '‥', '／', '＼', 'é', '😀', '\ud800', '..;', '/../', '//', 'http://127.0.0.1/', ' HTTP/1.1\r\nHost: x\r\n\r\n',
);
const text = fc.oneof({ weight: 3, arbitrary: fc.array(hostile, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('')) }, { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) });
const value: fc.Arbitrary<unknown> = fc.oneof({ weight: 6, arbitrary: text }, { weight: 1, arbitrary: fc.array(text, { maxLength: 3 }) }, { weight: 1, arbitrary: fc.dictionary(text, text, { maxKeys: 3 }) }, { weight: 1, arbitrary: fc.constantFrom<unknown>(0, false, null, 1.5) });

/** A proxy that decodes what it can before it looks at segments: none may be a dot segment, however often it does so. */
function decodedSegments(path: string): string[] {
  const segments: string[] = [];
  let seen = path;
  for (let i = 0; i < 4; i++) {
    segments.push(...seen.split(/[/\\]/).map((segment) => segment.split(';', 1)[0] ?? ''));
    seen = seen.replaceAll(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  return segments;
}

it(`lets none of ${VALUES} hostile values out of the path of its template`, () => {
  const perTemplate = Math.ceil(VALUES / TEMPLATES.length);
  let sent = 0;
  for (const template of TEMPLATES) {
    const binding = bindingOf(template);
    const shape = shapeOf(template.path);
    fc.assert(fc.property(value, value, value, (a, b, c) => {
      const request = buildRequest(binding, undefined, { a, b, c });
      if (request instanceof Denial) return request.code === 'INVALID_ARGUMENTS';
      sent += 1;
      const path = request.url.slice('https://api.example'.length);
      const parsed = new URL(request.url);
      return shape.test(path) && parsed.origin === 'https://api.example' && parsed.pathname === path && decodedSegments(path).every((segment) => segment !== '.' && segment !== '..');
    }), { numRuns: perTemplate });
  }
  expect(sent).toBeGreaterThan(VALUES / 20);
});

it('puts exactly one request line on the wire for each call, and it matches the template', async () => {
  const lines: string[] = [];
  const server = createServer((socket) => {
    let pending = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
        lines.push(pending.slice(0, pending.indexOf('\r\n')));
        pending = pending.slice(end + 4);
        socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const expected: RegExp[] = [];
  try {
    for (const template of TEMPLATES) {
      const binding = { ...bindingOf(template), baseUrl: `${origin}/base` };
      for (const [a, b, c] of fc.sample(fc.tuple(value, value, value), { numRuns: 60, seed: 7 })) {
        const request = buildRequest(binding, undefined, { a, b, c });
        if (request instanceof Denial) continue;
        expected.push(shapeOf(template.path));
        await egress.request({ ...request, timeoutMs: 5_000 });
      }
    }
  } finally {
    await egress.close();
    server.close();
  }
  expect(lines).toHaveLength(expected.length);
  for (const [i, line] of lines.entries()) {
    const [, path] = /^GET (\S+) HTTP\/1\.1$/.exec(line) ?? [];
    expect(path ?? line).toMatch(expected[i] ?? /never/);
  }
});

it('sends header values of any kind as one request, or not at all', async () => {
  const seen: string[] = [];
  const server = createServer((socket) => {
    let pending = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      pending += chunk.toString('latin1');
      for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
        seen.push(pending.slice(0, end));
        pending = pending.slice(end + 4);
        socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const parameters: RestParameter[] = [{ argument: 'h', name: 'X-H', in: 'header', style: 'simple', explode: false, allowReserved: false, required: false }, { argument: 'c', name: 'c', in: 'cookie', style: 'cookie', explode: true, allowReserved: false, required: false }];
  const binding: RestBinding = { kind: 'rest', method: 'GET', baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, path: '/', parameters, accept: '*/*', security: [] };
  const egress = createEgress({ allow: ['127.0.0.1'] });
  let sent = 0;
  try {
    for (const [h, c] of fc.sample(fc.tuple(value, value), { numRuns: 1_000, seed: 3 })) {
      const request = buildRequest(binding, undefined, { h, c });
      if (request instanceof Denial) continue;
      sent += 1;
      await egress.request({ ...request, timeoutMs: 5_000 });
    }
  } finally {
    await egress.close();
    server.close();
  }
  expect(seen).toHaveLength(sent);
  expect(sent).toBeGreaterThan(50);
  const names = new Set(seen.flatMap((head) => head.split('\r\n').slice(1).map((line) => line.slice(0, line.indexOf(':')).toLowerCase())));
  expect([...names].toSorted()).toEqual(['accept', 'accept-encoding', 'connection', 'cookie', 'host', 'x-h']);
});
