import { describe, expect, it } from 'vitest';
import { Denial } from '#libs/core/errors.js';
import { forbiddenHeaderParameter } from '#libs/core/header-names.js';
import type { CredentialSlot, RestBinding, RestBody, RestParameter } from '#libs/core/rest-binding.js';
import type { AppliedCredential } from '#libs/backends/http/credentials.js';
import type { BuiltRequest } from '#libs/backends/http/http-caller.js';
import { buildRequest } from './request.js';

const param = (where: RestParameter['in'], more: Partial<RestParameter> = {}): RestParameter =>
  ({ argument: 'color', name: 'color', in: where, style: where === 'path' || where === 'header' ? 'simple' : 'form', explode: where === 'query' || where === 'cookie', allowReserved: false, required: false, ...more });
const binding = (more: Partial<RestBinding> = {}): RestBinding =>
  ({ kind: 'rest', method: 'GET', baseUrl: 'https://api.example/v1', path: '/pets', parameters: [], accept: '*/*', security: [], ...more });
function built(made: RestBinding, args: Record<string, unknown>, credentials: readonly AppliedCredential[] = []): BuiltRequest {
  const request = buildRequest(made, undefined, args, { credentials, boundary: () => 'mark' });
  if (request instanceof Denial) throw new Error(request.message);
  return request;
}
const refusal = (made: RestBinding, args: Record<string, unknown>): Denial => {
  const request = buildRequest(made, undefined, args);
  if (!(request instanceof Denial)) throw new Error(`not refused: ${request.url}`);
  return request;
};
const header = (request: BuiltRequest, name: string): string | undefined => request.headers.find(([key]) => key.toLowerCase() === name)?.[1];
const body = (content: RestBody['content'], value: unknown): BuiltRequest => built(binding({ method: 'POST', body: { argument: 'body', required: true, content } }), { body: value });
const partBytes = async (part: File | string | null): Promise<unknown> => (part instanceof File ? [part.type, [...new Uint8Array(await part.arrayBuffer())]] : part);
const bodyText = (request: BuiltRequest): string => Buffer.from(request.body ?? []).toString('latin1');

const ARRAY = ['blue', 'black', 'brown'];
const OBJECT = { R: 100, G: 200, B: 150 };

describe('styles, as in the table of OpenAPI 3.2 §4.12.3', () => {
  type Row = { style: RestParameter['style']; explode: boolean; empty?: string; text?: string; array?: string; object?: string };
  const expectations = ({ empty, text, array, object }: Row): (readonly [unknown, string])[] =>
    ([['', empty], ['blue', text], [ARRAY, array], [OBJECT, object]] as const).flatMap(([value, expected]) => (expected === undefined ? [] : [[value, expected] as const]));

  it.each<Row>([
    { style: 'matrix', explode: false, empty: ';color', text: ';color=blue', array: ';color=blue,black,brown', object: ';color=R,100,G,200,B,150' },
    { style: 'matrix', explode: true, empty: ';color', text: ';color=blue', array: ';color=blue;color=black;color=brown', object: ';R=100;G=200;B=150' },
    { style: 'label', explode: false, text: '.blue', array: '.blue,black,brown', object: '.R,100,G,200,B,150' },
    { style: 'label', explode: true, text: '.blue', array: '.blue.black.brown', object: '.R=100.G=200.B=150' },
    { style: 'simple', explode: false, text: 'blue', array: 'blue,black,brown', object: 'R,100,G,200,B,150' },
    { style: 'simple', explode: true, text: 'blue', array: 'blue,black,brown', object: 'R=100,G=200,B=150' },
  ])('path $style, explode $explode', (row) => {
    const made = binding({ path: '/c{color}', parameters: [param('path', { style: row.style, explode: row.explode })] });
    expect(expectations(row).map(([value]) => built(made, { color: value }).url)).toEqual(expectations(row).map(([, expected]) => `https://api.example/v1/c${expected}`));
  });

  it.each<Row>([
    { style: 'form', explode: false, empty: 'color=', text: 'color=blue', array: 'color=blue,black,brown', object: 'color=R,100,G,200,B,150' },
    { style: 'form', explode: true, empty: 'color=', text: 'color=blue', array: 'color=blue&color=black&color=brown', object: 'R=100&G=200&B=150' },
    { style: 'spaceDelimited', explode: false, array: 'color=blue%20black%20brown', object: 'color=R%20100%20G%20200%20B%20150' },
    { style: 'pipeDelimited', explode: false, array: 'color=blue%7Cblack%7Cbrown', object: 'color=R%7C100%7CG%7C200%7CB%7C150' },
    { style: 'tabDelimited', explode: false, array: 'color=blue%09black%09brown' },
    { style: 'deepObject', explode: true, object: 'color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150' },
  ])('query $style, explode $explode', (row) => {
    const made = binding({ parameters: [param('query', { style: row.style, explode: row.explode })] });
    expect(expectations(row).map(([value]) => built(made, { color: value }).url)).toEqual(expectations(row).map(([, expected]) => `https://api.example/v1/pets?${expected}`));
  });

  it.each([
    [false, 'blue', 'blue'], [false, ARRAY, 'blue,black,brown'], [false, OBJECT, 'R,100,G,200,B,150'], [true, OBJECT, 'R=100,G=200,B=150'], [false, 0, '0'], [false, false, 'false'], [false, 'a b%20/c', 'a b%20/c'],
  ] as const)('header simple, explode %s, %j', (explode, value, expected) => {
    expect(header(built(binding({ parameters: [param('header', { name: 'X-Color', explode })] }), { color: value }), 'x-color')).toBe(expected);
  });

  it("joins Swagger 2.0's lists in paths and headers as their collectionFormat says", () => {
    // A tab is a control character, which the path guard refuses from anyone.
    for (const [style, inPath] of [['spaceDelimited', 'a%20b'], ['pipeDelimited', 'a%7Cb']] as const) {
      expect(built(binding({ path: '/{color}', parameters: [param('path', { style })] }), { color: ['a', 'b'] }).url).toBe(`https://api.example/v1/${inPath}`);
    }
    for (const [style, inHeader] of [['spaceDelimited', 'a b'], ['pipeDelimited', 'a|b'], ['tabDelimited', 'a\tb']] as const) {
      expect(header(built(binding({ parameters: [param('header', { name: 'X-C', style })] }), { color: ['a', 'b'] }), 'x-c')).toBe(inHeader);
    }
  });

  it.each([
    ['form', true, 'bl ue', 'color=bl%20ue'], ['form', false, ARRAY, 'color=blue,black,brown'], ['form', true, ARRAY, 'color=blue&color=black&color=brown'], ['form', true, OBJECT, 'R=100&G=200&B=150'],
    ['cookie', true, ARRAY, 'color=blue; color=black; color=brown'], ['cookie', false, ARRAY, 'color=blue,black,brown'], ['cookie', true, OBJECT, 'R=100; G=200; B=150'], ['cookie', true, 'a%20=b', 'color=a%20=b'],
  ] as const)('cookie %s, explode %s, %j', (style, explode, value, expected) => {
    expect(header(built(binding({ parameters: [param('cookie', { style, explode })] }), { color: value }), 'cookie')).toBe(expected);
  });

  it('joins several cookies', () => {
    const made = binding({ parameters: [param('cookie', { argument: 'a', name: 'a' }), param('cookie', { argument: 'b', name: 'b', content: 'application/json' })] });
    expect(header(built(made, { a: 1, b: { x: 'é' } }), 'cookie')).toBe('a=1; b=%7B%22x%22%3A%22%C3%A9%22%7D');
  });
});

describe('values', () => {
  it.each([
    [0, 'color=0'], [false, 'color=false'], ['', 'color='], [-0.5, 'color=-0.5'], [1e21, 'color=1e%2B21'], [['', 0, false], 'color=&color=0&color=false'],
    [{ a: 0, b: '', c: false }, 'a=0&b=&c=false'], [null, ''], [[], ''], [{}, ''], [[null, 1], 'color=1'], [{ a: null, b: 1 }, 'b=1'],
    ['a&b=c#d?e/f+g h%', 'color=a%26b%3Dc%23d%3Fe%2Ff%2Bg%20h%25'], ["!'()*~", 'color=%21%27%28%29%2A~'], ['日本', 'color=%E6%97%A5%E6%9C%AC'], [[{ a: 1 }], 'color=%7B%22a%22%3A1%7D'],
  ])('query %j is %s: falsy values are sent, undefined ones (RFC 6570 §2.3) are not', (value, expected) => {
    expect(built(binding({ parameters: [param('query')] }), { color: value }).url).toBe(`https://api.example/v1/pets${expected === '' ? '' : `?${expected}`}`);
  });

  it('keeps reserved characters where the document allows them, but none that would divide the query', () => {
    const made = binding({ parameters: [param('query', { allowReserved: true })] });
    expect(built(made, { color: ':/?@!$\'()*,;=|%41%zz a&b#c[d]+' }).url).toBe('https://api.example/v1/pets?color=:/?@!$\'()*,;=%7C%41%25zz%20a%26b%23c%5Bd%5D%2B');
  });

  it('sends base64 values as bytes', () => {
    const made = binding({ parameters: [param('query', { binary: true })] });
    expect(built(made, { color: 'AP9BKw==' }).url).toBe('https://api.example/v1/pets?color=%00%FFA%2B');
    expect(refusal(made, { color: 'no!' }).issues).toEqual([{ pointer: '/color', message: 'must be base64 (RFC 4648)' }]);
  });

  it('serializes `content` parameters by their media type', () => {
    const json = { content: 'application/json' };
    expect(built(binding({ parameters: [param('query', json)] }), { color: { a: [0, ''] } }).url).toContain('?color=%7B%22a%22%3A%5B0%2C%22%22%5D%7D');
    expect(built(binding({ parameters: [param('query', json)] }), { color: 'x' }).url).toContain('?color=%22x%22');
    expect(header(built(binding({ parameters: [param('header', { ...json, name: 'X-J' })] }), { color: 'é' }), 'x-j')).toBe('"\\u00e9"');
    expect(built(binding({ path: '/{color}', parameters: [param('path', json)] }), { color: [1] }).url).toBe('https://api.example/v1/%5B1%5D');
  });

  it('takes a whole query string', () => {
    const form = binding({ parameters: [param('querystring', { content: 'application/x-www-form-urlencoded' })] });
    expect(built(form, { color: { a: 'x y', b: [1, 2] } }).url).toBe('https://api.example/v1/pets?a=x+y&b=1&b=2');
    expect(built(binding({ parameters: [param('querystring', { content: 'application/json' })] }), { color: { a: 1 } }).url).toBe('https://api.example/v1/pets?%7B%22a%22%3A1%7D');
  });

  it('goes on below the first level of deepObject', () => {
    const made = binding({ parameters: [param('query', { style: 'deepObject', name: 'f' })] });
    expect(built(made, { color: { a: { b: 1 }, c: ['x', 'y'] } }).url).toBe('https://api.example/v1/pets?f%5Ba%5D%5Bb%5D=1&f%5Bc%5D%5B0%5D=x&f%5Bc%5D%5B1%5D=y');
  });

  it('reads only own arguments', () => {
    expect(built(binding({ parameters: [param('query', { argument: 'constructor' }), param('query', { argument: '__proto__' })] }), {}).url).toBe('https://api.example/v1/pets');
  });

  it('refuses a lone surrogate, naming the argument', () => {
    expect(refusal(binding({ parameters: [param('query')] }), { color: '\ud800' })).toMatchObject({ code: 'INVALID_ARGUMENTS', issues: [{ pointer: '/color' }] });
  });
});

describe('bodies', () => {
  it.each([[0, '0'], [false, 'false'], [null, 'null'], ['', '""'], [{ a: null }, '{"a":null}']])('JSON %j', (value, expected) => {
    const request = body({ mediaType: 'application/merge-patch+json', kind: 'json' }, value);
    expect([header(request, 'content-type'), bodyText(request)]).toEqual(['application/merge-patch+json', expected]);
  });

  it('sends no content type without a body', () => {
    const request = built(binding({ method: 'POST', body: { argument: 'body', required: false, content: { mediaType: 'application/json', kind: 'json' } } }), {});
    expect([request.body, header(request, 'content-type')]).toEqual([undefined, undefined]);
  });

  it('encodes forms as browsers do, with styles where the document sets them', () => {
    const request = body({
      mediaType: 'application/x-www-form-urlencoded', kind: 'form',
      encoding: { deep: { style: 'deepObject', explode: true }, list: { style: 'pipeDelimited', explode: false }, json: { contentType: 'application/json' }, bytes: { binary: true } },
    }, { a: 'x y&=+é', zero: 0, no: false, empty: '', none: null, many: [1, 'b'], nested: { k: 1 }, deep: { x: 1, y: ['p'] }, list: ['p', 'q'], json: ['r'], bytes: '/0E=' });
    expect(bodyText(request)).toBe('a=x+y%26%3D%2B%C3%A9&zero=0&no=false&empty=&many=1&many=b&nested=%7B%22k%22%3A1%7D&deep%5Bx%5D=1&deep%5By%5D%5B0%5D=p&list=p%7Cq&json=%5B%22r%22%5D&bytes=%FFA');
  });

  it('makes multipart bodies that an independent parser reads back', async () => {
    const request = body({
      mediaType: 'multipart/form-data', kind: 'multipart',
      encoding: { file: { binary: true, contentType: 'image/png' }, files: { binary: true, repeated: true }, meta: { contentType: 'application/json', headers: { 'X-Part': 'a' } } },
    }, { text: 'a"b\r\n', zero: 0, no: false, list: ['x', 'y'], object: { k: 0 }, file: 'AP8=', files: ['AQ==', 'Ag=='], meta: [1] });
    const type = header(request, 'content-type') ?? '';
    expect(type).toBe('multipart/form-data; boundary=mark');
    const form = await new Response(Buffer.from(request.body ?? []), { headers: { 'content-type': type } }).formData();
    expect([form.get('text'), form.get('zero'), form.get('no'), form.getAll('list'), form.get('object'), form.get('meta')]).toEqual(['a"b\r\n', '0', 'false', ['x', 'y'], '{"k":0}', '[1]']);
    expect(await partBytes(form.get('file'))).toEqual(['image/png', [0, 255]]);
    expect(await Promise.all(form.getAll('files').map(partBytes))).toEqual([['application/octet-stream', [1]], ['application/octet-stream', [2]]]);
    expect(bodyText(request)).toContain('name="object"\r\nContent-Type: application/json\r\n\r\n');
    expect(bodyText(request)).toContain('Content-Type: application/json\r\nX-Part: a\r\n');
  });

  it('takes text and XML as they are and bytes from base64', () => {
    expect(bodyText(body({ mediaType: 'text/plain', kind: 'text' }, 'a b'))).toBe('a b');
    expect(bodyText(body({ mediaType: 'application/xml', kind: 'xml' }, '<a/>'))).toBe('<a/>');
    expect([...(body({ mediaType: 'application/zip', kind: 'binary' }, 'AP8').body ?? [])]).toEqual([0, 255]);
    const xml = binding({ method: 'POST', body: { argument: 'body', required: true, content: { mediaType: 'application/xml', kind: 'xml' } } });
    expect(refusal(xml, { body: { a: 1 } }).issues).toEqual([{ pointer: '/body', message: 'must be XML as text' }]);
  });

  it('names the member of a form that cannot be sent', () => {
    const made = binding({ method: 'POST', body: { argument: 'body', required: true, content: { mediaType: 'multipart/form-data', kind: 'multipart', encoding: { file: { binary: true } } } } });
    expect(refusal(made, { body: { file: '***' } }).issues?.[0]?.pointer).toBe('/body/file');
  });
});

describe('the path', () => {
  const made = binding({ path: '/pets/{color}/toys', parameters: [param('path')] });

  it.each([
    '.', '..', '../admin', '..%2f..%2fadmin', '..%2F', '%2e%2e', '%2E%2e', '%2e', '.%2e', '%252e%252e', '%25252e%25252e', '..\\admin', '\\', 'a\\..\\b', '%5c', '%255c..', '../', '/..', 'a/../b', 'a/./b', 'a%2f..%2fb',
    '..;', '..;/admin', '..;a=b/x', '.;x', 'a/..;/b', '..\u0000', '\u0000', 'a\nb', 'a\r\nHost: x', '%00', '%0d%0aHost:x', '%2500', '\u007f', '\t', '．．', '．．／admin', '‥', ' .. ', '..%20', '..%09', '',
    '../../../../etc/passwd', '%2e%2e%2f%2e%2e%2fadmin', 'x/%2e%2e/%2e%2e/admin',
  ])('refuses %j', (value) => {
    expect(refusal(made, { color: value })).toMatchObject({ code: 'INVALID_ARGUMENTS', issues: [{ pointer: '/color' }] });
  });

  it.each([
    ['a/b', 'a%2Fb'], ['group/project', 'group%2Fproject'], ['...', '...'], ['a..b', 'a..b'], ['.hidden', '.hidden'], ['v1.2', 'v1.2'], ['a?b#c', 'a%3Fb%23c'], ['a;b=c', 'a%3Bb%3Dc'], ['100%', '100%25'], ['%41', '%2541'],
    ['a:b@c', 'a%3Ab%40c'], ['é', '%C3%A9'], [0, '0'], [false, 'false'], ['user@example.com', 'user%40example.com'], ['http://x/y', 'http%3A%2F%2Fx%2Fy'],
  ])('sends %j as one segment', (value, expected) => {
    expect(built(made, { color: value }).url).toBe(`https://api.example/v1/pets/${expected}/toys`);
  });

  it.each([
    { name: 'values that meet in a dot segment', path: '/{a}{b}', args: { a: '.', b: '.' } },
    { name: 'values that meet in an encoded dot', path: '/{a}{b}x', args: { a: '..%2', b: 'f' } },
    { name: 'a literal dot and a value', path: '/.{a}', args: { a: '.', b: 'x' } },
    { name: 'a list of dots', path: '/{a}', args: { a: ['..'] } },
    { name: 'an object key', path: '/{a}', args: { a: { '../x': 1 } } },
    { name: 'an empty list', path: '/{a}', args: { a: [] } },
    { name: 'null', path: '/{a}', args: { a: null } },
    { name: 'nothing', path: '/{a}', args: {} },
  ])('refuses $name', ({ path, args }) => {
    const two = binding({ path, parameters: [param('path', { argument: 'a', name: 'a' }), param('path', { argument: 'b', name: 'b' })] });
    expect(refusal(two, args).code).toBe('INVALID_ARGUMENTS');
  });

  it('keeps what the document itself wrote, and nothing of a fragment', () => {
    expect(built(binding({ path: '/a b/é/%2F/x:y#frag' }), {}).url).toBe('https://api.example/v1/a%20b/%C3%A9/%2F/x:y');
    expect(built(binding({ path: '/x?action={color}&v=1', parameters: [param('path'), param('query', { argument: 'q', name: 'q' })] }), { color: 'a&b', q: 2 }).url).toBe('https://api.example/v1/x?action=a%26b&v=1&q=2');
  });

  it.each(['/a/../b', '/a/./b', '/%2e%2e/b', '/{missing}', 'relative'])('makes no call to the path %s', (path) => {
    expect(refusal(binding({ path }), {}).code).toBe('INTERNAL');
  });

  it.each(['', '/v1', 'ftp://x', 'https://u:p@x/', 'https://x?y', 'https://x/#y', 'https://x\\@y', 'https://x/a/../b', 'https://{host}/', 'javascript:1'])('makes no call with the base URL %j', (baseUrl) => {
    expect(refusal(binding({ baseUrl }), {}).code).toBe('INTERNAL');
  });

  it("takes the API's base URL instead of the operation's own, with or without a final slash", () => {
    for (const baseUrl of ['http://other.example:81/v2', 'http://other.example:81/v2/']) {
      const request = buildRequest(binding(), { baseUrl }, {});
      expect(request instanceof Denial ? request : request.url).toBe('http://other.example:81/v2/pets');
    }
  });
});

describe('headers', () => {
  it.each([
    'Host', 'HOST', 'Authorization', 'Proxy-Authorization', 'Cookie', 'Content-Length', 'content-type', 'Accept', 'Transfer-Encoding', 'Connection', 'Upgrade', 'TE', 'Trailer', 'Expect', 'Keep-Alive', 'X-Forwarded-For',
    'x-forwarded-host', 'Forwarded', 'Via', 'X-Real-IP', 'X-Tenant-ID', 'X-STOA-Tenant-ID', 'X-Stoa-Anything', 'X-Request-ID', 'traceparent', 'tracestate', 'User-Agent', 'X-Original-URL', 'X-HTTP-Method-Override', 'mcp-init-host', 'x-gw-a',
    'a b', 'a:', '', 'a\r\nb', 'é',
  ])('%j is not a caller\'s to set, at import and at the call', (name) => {
    expect(forbiddenHeaderParameter(name)).toBe(true);
    expect(refusal(binding({ parameters: [param('header', { name })] }), { color: 'x' }).code).toBe('INTERNAL');
  });

  it.each(['X-Color', 'If-Match', 'Prefer', 'Range', 'Idempotency-Key', 'x-ms-version', 'Accept-Language', 'api-version'])('%s is', (name) => { expect(forbiddenHeaderParameter(name)).toBe(false); });

  it.each(['a\r\nx: y', 'a\nb', 'a\u0000', 'é', '\u2028', '\u007f', ['a', 'b\r\n'], { k: '\n' }, { '\n': 'v' }])('refuses the value %j', (value) => {
    expect(refusal(binding({ parameters: [param('header', { name: 'X-Color' })] }), { color: value }).code).toBe('INVALID_ARGUMENTS');
  });

  it('refuses what would end a cookie', () => {
    expect(refusal(binding({ parameters: [param('cookie', { style: 'cookie' })] }), { color: 'a; admin=1' }).code).toBe('INVALID_ARGUMENTS');
    expect(header(built(binding({ parameters: [param('cookie')] }), { color: 'a; admin=1' }), 'cookie')).toBe('color=a%3B%20admin%3D1');
  });
});

const apply = (slot: CredentialSlot, secret: string): AppliedCredential => ({ slot, secret });

describe('credentials', () => {  it('go where their slot says', () => {
    const request = built(binding(), {}, [
      apply({ type: 'bearer' }, 'tok'), apply({ type: 'apiKey', in: 'header', name: 'X-Key' }, 'k1'), apply({ type: 'apiKey', in: 'query', name: 'api key' }, 'k&2'), apply({ type: 'apiKey', in: 'cookie', name: 'sid' }, 'k3'),
    ]);
    expect(request.url).toBe('https://api.example/v1/pets?api%20key=k%262');
    expect(request.headers).toEqual([['accept', '*/*'], ['authorization', 'Bearer tok'], ['X-Key', 'k1'], ['cookie', 'sid=k3']]);
    expect(header(built(binding(), {}, [apply({ type: 'basic' }, 'user:pä')]), 'authorization')).toBe(`Basic ${Buffer.from('user:pä').toString('base64')}`);
  });

  it('cannot be replaced or doubled by an argument of the same name', () => {
    const made = binding({ parameters: [param('query', { argument: 'q', name: 'key' }), param('query'), param('header', { argument: 'h', name: 'x-key' }), param('cookie', { argument: 'c', name: 'key' })] });
    const request = built(made, { q: 'mine', color: { key: 'mine' }, h: 'mine', c: 'mine' }, [
      apply({ type: 'apiKey', in: 'query', name: 'key' }, 'ours'), apply({ type: 'apiKey', in: 'header', name: 'X-KEY' }, 'ours'), apply({ type: 'apiKey', in: 'cookie', name: 'key' }, 'ours'),
    ]);
    expect(JSON.stringify(request)).not.toContain('mine');
    expect(request).toMatchObject({ url: 'https://api.example/v1/pets?key=ours', headers: [['accept', '*/*'], ['X-KEY', 'ours'], ['cookie', 'key=ours']] });
  });
});
