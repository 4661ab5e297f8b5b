import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ValidatedCall } from '#libs/core/call.js';
import type { CallResult, ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import { createRedactor } from './redactor.js';
import { readSettings, RedactionRefused } from './settings.js';
import { RedactionFailed } from './text-scanner.js';

const target = (more: Partial<Target> = {}): Target => ({
  kind: 'tool', name: 'get_customer', tenant: 'acme' as Target['tenant'], apiId: 'crm', description: '', operationClass: 'read', tags: [], category: undefined, version: '1', inputSchema: {}, definitions: {},
  backend: { kind: 'builtin', handler: 'none' }, timeoutMs: 1000, hash: '', listed: '{}', ...more,
});
const call = (more: Partial<Target> = {}): ValidatedCall => ({ requestId: 'r', kind: 'tool', principal: { tenant: 'acme' }, target: target(more) }) as unknown as ValidatedCall;
const lines: unknown[] = [];
const redactor = (yaml?: string, patterns?: readonly string[]) => createRedactor({
  settings: readSettings({ patterns, ...(yaml === undefined ? {} : { file: 'dlp.yaml', text: yaml }) }), budgetMs: 60_000, log: { info: (fields) => { lines.push(fields); } },
});
const shipped = redactor();
const text = (value: string, on = shipped): string => on.redactText(value, undefined);
const result = (content: readonly string[], structuredJson?: string): ToolResult => ({ type: 'tool', isError: false, content: content.map((one) => ({ type: 'text', text: one })), ...(structuredJson === undefined ? {} : { structuredJson }) });
const redacted = (given: CallResult, more: Partial<Target> = {}, on = shipped): ToolResult => on.redact(given, call(more)) as ToolResult;
const textsOf = ({ content }: ToolResult): string[] => content.map((block) => (block.type === 'text' ? block.text : ''));

/** Made up, or published as examples by whoever issues such things. */
const SECRETS: Readonly<Record<string, readonly string[]>> = {
  'email': ['a@b.co', 'ada.lovelace+x@mail.example.com', "o'hara@example.org", 'jörg@exämple.de'],
  'credit-card': ['4111111111111111', '4111 1111 1111 1111', '5500-0000-0000-0004', '378282246310005', '6011 1111 1111 1117'],
  'iban': ['GB29NWBK60161331926819', 'DE89 3704 0044 0532 0130 00', 'FR14 2004 1010 0505 0001 3M02 606', 'NO93 8601 1117 947'],
  'ssn': ['078-05-1120', '219 09 9999'],
  'jwt': ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U'],
  'aws-key': ['AKIAIOSFODNN7EXAMPLE'],
  'github-token': [`ghp_${'aB3'.repeat(12)}`, `github_pat_${'a1B2'.repeat(10)}`],
  'stripe-key': [['sk_live', '4eC39HqLyjWDarjtT1zdp7dc'].join('_')],
  'slack-token': [['xoxb', '123456789012', 'abcdefGHIJKL'].join('-')],
  'google-key': [['AIza', 'SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q'].join('')],
  'stoa-key': ['stoa_sk_abcdefgh12345678'],
  'private-key': ['-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD9\nabcdefghijkl==\n-----END RSA PRIVATE KEY-----'],
};
const ALL = Object.entries(SECRETS).flatMap(([name, secrets]) => secrets.map((secret) => ({ name, secret })));

describe('shipped patterns', () => {
  it.each(ALL)('$name: $secret', ({ name, secret }) => {
    expect(text(`before ${secret} after`)).toBe(`before [redacted-${name}] after`);
  });
  it('keep the word before a bearer token', () => { expect(text('Authorization: Bearer abcdef0123456789abcdef')).toBe('Authorization: Bearer [redacted-token]'); });
  it('leave a card between other numbers no way out', () => { expect(text('12 4111 1111 1111 1111 123')).not.toContain('1111 1111'); });
  it.each([
    'The order 2026-11-21T07:24:10Z cost 12.50', 'id 550e8400-e29b-41d4-a716-446655440000', '4111111111111112 fails its check', '000-12-3456', 'DE89 3704 0044 0532 0130 01', 'write to @ada', 'v1.2.3@latest',
    'a_perfectly_ordinary_identifier', 'https://example.com/a/b/c?x=1&y=2', '+49 30 123456',
  ])('leave alone what is none of them: %s', (plain) => { expect(text(plain)).toBe(plain); });
  it('find telephone numbers only where they are asked to', () => {
    expect(text('call +49 30 1234 5678', redactor(undefined, ['phone']))).toBe('call [redacted-phone]');
    expect(() => readSettings({ patterns: ['e-mail'] })).toThrow('there is no pattern e-mail');
  });
});

describe('whatever dress it comes in', () => {
  it.each([
    ['base64', `token=${Buffer.from('mail ada@example.com now').toString('base64')}`], ['base64url', Buffer.from('??>ada@example.com<??').toString('base64url')],
    ['base64 in base64', Buffer.from(Buffer.from('ada@example.com').toString('base64')).toString('base64')],
    ['percent', 'ada%40example.com'], ['JSON escapes', 'ada\\u0040example.com'], ['full width', 'ada＠example．com'], ['zero width', 'ada@exam\u200bple.com'], ['soft hyphen', 'a\u00adda@example.com'], ['styled letters', '𝐚𝐝𝐚@example.com'],
  ])('%s', (_name, dressed) => {
    const clean = text(dressed);
    expect(clean).toContain('[redacted-email]');
    expect(clean).not.toMatch(/example|YWRh|ada/);
  });
  it.each(ALL)('split at every point over two content blocks: $name $secret', ({ secret }) => {
    for (let at = 1; at < secret.length; at += 1) {
      const all = textsOf(redacted(result([`x ${secret.slice(0, at)}`, `${secret.slice(at)} y`]))).join('');
      expect(all).not.toContain(secret);
      expect(all).toContain('[redacted-');
    }
  });
});

describe('results', () => {
  const json = '{"id":12345678901234567890,"mail":"a@b.co","card":4111111111111111,"n":1.50,"nested":[{"a@b.co":"x"},"ok",null,true]}';
  it('keep their types, their numbers and the order of their members, and the text says what the structure says', () => {
    const clean = redacted(result([json], json));
    expect(clean.structuredJson).toBe('{"id":12345678901234567890,"mail":"[redacted-email]","card":0,"n":1.50,"nested":[{"[redacted-email]":"x"},"ok",null,true]}');
    expect(textsOf(clean)).toEqual([clean.structuredJson]);
  });
  it('a text that is JSON in other words is redacted by its values', () => {
    expect(textsOf(redacted(result([JSON.stringify({ mail: 'a@b.co' }, undefined, 2)])))).toEqual(['{\n  "mail": "[redacted-email]"\n}']);
  });
  it('are values that their schema lets pass', () => {
    const outputSchema = { type: 'object', properties: { mail: { $ref: '#/$defs/Mail' }, code: { type: 'string', maxLength: 6 }, card: { type: 'integer', minimum: 1000 } } };
    const clean = redacted(result([], '{"mail":"a@b.co","code":"x@y.zz","card":4111111111111111}'), { outputSchema, definitions: { Mail: { type: 'string', format: 'email' } } });
    expect(JSON.parse(clean.structuredJson ?? '')).toEqual({ mail: 'redacted@redacted.invalid', code: '[redac', card: 1000 });
  });
  it('that hold nothing leave as the very same object', () => {
    const plain = result(['{"ok":true}'], '{"ok":true}');
    expect(shipped.redact(plain, call())).toBe(plain);
  });
  it('of resources, prompts, links and embedded resources are redacted alike, bytes of text included', () => {
    const blob = Buffer.from('mail: a@b.co').toString('base64');
    const all: CallResult[] = [
      { type: 'resource', contents: [{ uri: 'x:1', text: 'a@b.co' }, { uri: 'x:2', mimeType: 'application/json', text: '{"m":"a@b.co"}' }, { uri: 'x:3', mimeType: 'text/plain', blob }] },
      { type: 'prompt', description: 'a@b.co', messages: [{ role: 'user', content: { type: 'text', text: 'a@b.co' } }] },
      { type: 'tool', isError: true, content: [{ type: 'resource', resource: { uri: 'x:4', text: 'a@b.co' } }, { type: 'resource_link', uri: 'mailto:a@b.co', name: 'a@b.co', description: 'a@b.co' }], meta: { who: 'a@b.co' } },
      { type: 'input_required', inputRequests: { one: { method: 'elicitation/create', params: { message: 'a@b.co?' } } } },
    ];
    const clean = JSON.stringify(all.map((one) => shipped.redact(one, call())));
    expect(clean).not.toContain('a@b.co');
    expect(clean).not.toContain(blob);
  });
  it('arguments are redacted for records, and counted', () => {
    expect(shipped.redactArguments({ to: 'a@b.co', n: 1 }, target())).toEqual({ value: { to: '[redacted-email]', n: 1 }, replaced: 1 });
    expect(shipped.redactValue({ to: ['a@b.co'] }, undefined)).toEqual({ to: ['[redacted-email]'] });
  });
  it('the log shows how many of what, and nothing else of it', () => {
    lines.length = 0;
    redacted(result(['a@b.co and c@d.ee and 078-05-1120']));
    expect(lines).toEqual([{ request_id: 'r', tenant: 'acme', kind: 'tool', name: 'get_customer', redacted: { email: 2, ssn: 1 } }]);
  });
});

describe('rules of one\'s own', () => {
  const yaml = `dlp:
  patterns:
    - { name: badge, regex: 'EMP-[0-9]{4}', replace: '[badge]' }
    - { name: note, regex: 'secret \\w+', fields: [note, /deep/*/text] }
  tools:
    - { tool: get_customer, fields: [ssn, /owner/age] }
  tenants:
    acme: { patterns: [{ name: project, regex: 'Project \\w+' }] }
`;
  const own = redactor(yaml);
  it('replace by their own words, under their own fields, for their own tenant', () => {
    const json = '{"a":"EMP-1234","note":"secret thing","other":"secret thing","deep":[{"text":"secret x"}],"p":"Project Zeus"}';
    expect(redacted(result([], json), {}, own).structuredJson).toBe('{"a":"[badge]","note":"[redacted-note]","other":"secret thing","deep":[{"text":"[redacted-note]"}],"p":"[redacted-project]"}');
    expect(own.redactText('Project Zeus', 'globex' as Target['tenant'])).toBe('Project Zeus');
  });
  it('mask a field for one tool and no other, whatever it holds', () => {
    const json = '{"ssn":"plain words","owner":{"age":41,"ssn":{"a":"b","c":true,"d":null}}}';
    expect(redacted(result([json], json), {}, own).structuredJson).toBe('{"ssn":"[redacted]","owner":{"age":0,"ssn":{"a":"[redacted]","c":false,"d":null}}}');
    expect(redacted(result([json], json), { name: 'other_tool' }, own).structuredJson).toBe(json);
  });
  it.each([
    ['a pattern that needs look-around', "dlp: { patterns: [{ name: x, regex: '(?=a)b' }] }", /dlp\.patterns\.0: x: the regular expression cannot be used/],
    ['one that matches everywhere', "dlp: { patterns: [{ name: x, regex: 'a*' }] }", /matches nothing at all/],
    ['an unknown key', "dlp: { patterns: [{ name: x, regex: a, flags: i }] }", /dlp\.patterns\.0: Unrecognized key/],
    ['a tenant that is none', "dlp: { tenants: { 'A b': { patterns: [] } } }", /expected a tenant/],
    ['YAML that is not', 'dlp: {', /dlp\.yaml: /],
  ])('are refused by place: %s', (_name, wrong, message) => { expect(() => redactor(wrong)).toThrow(message); expect(() => redactor(wrong)).toThrow(RedactionRefused); });
  it('find across the windows of the linear engine', () => {
    for (const at of [65_530, 61_440, 61_436, 122_876]) expect(text(`${'x '.repeat(at / 2)}EMP-1234 y`, own)).toContain('[badge]');
  });
});

it('fails closed: past its time it throws, and answers nothing', () => {
  let at = 0;
  const slow = createRedactor({ settings: readSettings({}), budgetMs: 10, now: () => (at += 11) });
  expect(() => slow.redact(result(['a@b.co']), call())).toThrow(RedactionFailed);
});

describe('properties', () => {
  const secret = fc.constantFrom(...ALL.map((one) => one.secret).filter((one) => !one.includes('\n')));
  const word = fc.string({ unit: fc.constantFrom(...Array.from('abcdefghij klmnop qrstuvwxyz,;!?()\n')), maxLength: 12 });
  const dress = fc.constantFrom<(plain: string) => string>((plain) => plain, (plain) => Buffer.from(`mail: <${plain}>`).toString('base64'), (plain) => plain.replaceAll('@', '%40'), (plain) => plain.replaceAll('@', '＠'));
  const around = fc.tuple(word, secret, dress, word, fc.nat(3));
  const RUNS = 5_000;
  it(`no secret leaves any of ${RUNS} generated documents, in structure, text or key`, { timeout: 300_000 }, () => {
    fc.assert(fc.property(around, ([before, plain, dressed, after, where]) => {
      const worn = `${before} ${dressed(plain)} ${after}`;
      const document = [{ a: worn }, { a: [{ b: worn }] }, { [worn]: 1 }, worn][where]!;
      const json = JSON.stringify(document);
      const clean = redacted(result([json, worn], json));
      const out = JSON.stringify(clean);
      expect(out).not.toContain(JSON.stringify(plain).slice(1, -1));
      expect(out).not.toContain(dressed(plain));
      JSON.parse(clean.structuredJson ?? '');
    }), { numRuns: RUNS });
  });
  it('JSON without anything in it stays byte for byte', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 4 }), (json) => { expect(shipped.redactText(json, undefined)).toBe(json); }), { numRuns: 500, seed: 7 });
  });
});
