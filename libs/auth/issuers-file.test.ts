import { expect, it, describe } from 'vitest';
import { readIssuersFile } from './issuers-file.js';

const SECRET = 'a shared secret of at least 32 bytes';
const read = (text: string, files: Readonly<Record<string, string>> = {}) => readIssuersFile('issuers.yaml', {
  environment: { PARTNER_SECRET: SECRET, SHORT: 'short' },
  readFile: (path) => { const found = path === 'issuers.yaml' ? text : files[path]; if (found === undefined) throw new Error(`cannot read ${path}`); return found; },
});

const GOOD = `
issuers:
  - issuer: https://login.example/realms/stoa
    resource: https://gw.example/mcp
    audiences: [account]
    algorithms: [RS256, ES256]
    claims: { tenant: [tid, org_id], roles: groups, expiresAt: end, issuedAt: start, apiVersion: v, groups: teams, subject: uid, scopes: scp }
    maxTokenAgeMinutes: 60
    clockSkewSeconds: 10
    apiVersions: [1.1, "2"]
    requiredGroups: [mcp.users]
  - issuer: partner
    audiences: [partner-audience]
    secret: { env: PARTNER_SECRET }
  - issuer: another
    audiences: [x]
    secret: { file: /run/secret }
  - issuer: keys elsewhere
    audiences: [x]
    jwksUri: https://keys.example/jwks
`;

describe('a file of issuers', () => {
  it('gives each its own resource, audiences, algorithms, claim names and limits', () => {
    expect(read(GOOD, { '/run/secret': `${SECRET}\n` })).toEqual([
      {
        issuer: 'https://login.example/realms/stoa', audiences: ['https://gw.example/mcp', 'account'], keys: { from: 'discovery', algorithms: ['RS256', 'ES256'] },
        claims: { tenant: ['tid', 'org_id'], roles: 'groups', expiresAt: 'end', issuedAt: 'start', apiVersion: 'v', groups: 'teams', subject: 'uid', scopes: 'scp' },
        maxTokenAgeSeconds: 3600, clockSkewSeconds: 10, apiVersions: ['1.1', '2'], requiredGroups: ['mcp.users'],
      },
      { issuer: 'partner', audiences: ['partner-audience'], keys: { from: 'secret', secret: SECRET }, claims: {}, maxTokenAgeSeconds: 0, apiVersions: [], requiredGroups: [] },
      { issuer: 'another', audiences: ['x'], keys: { from: 'secret', secret: SECRET }, claims: {}, maxTokenAgeSeconds: 0, apiVersions: [], requiredGroups: [] },
      { issuer: 'keys elsewhere', audiences: ['x'], keys: { from: 'jwks', uri: 'https://keys.example/jwks' }, claims: {}, maxTokenAgeSeconds: 0, apiVersions: [], requiredGroups: [] },
    ]);
  });
  it('may be JSON, and a plain list', () => {
    expect(read('[{"issuer":"https://a.example","audiences":["x"]}]')).toMatchObject([{ issuer: 'https://a.example', keys: { from: 'discovery' } }]);
  });
  it.each([
    { name: 'syntax', text: 'issuers:\n  - {issuer: a\n', says: /^issuers\.yaml:\d: / },
    { name: 'a member twice', text: 'issuers:\n  - issuer: https://a.example\n    issuer: https://b.example\n', says: /^issuers\.yaml:3: .*unique/ },
    { name: 'nothing', text: '', says: /^issuers\.yaml:1: must be a list/ },
    { name: 'an empty list', text: 'issuers: []', says: /^issuers\.yaml:1: must be a list/ },
    { name: 'another member beside the list', text: 'issuers: [{issuer: https://a.example, audiences: [x]}]\nissuer: x', says: /^issuers\.yaml:1: must be a list/ },
    { name: 'an unknown member', text: '- issuer: https://a.example\n  audience: [x]\n  audiences: [x]\n', says: /^issuers\.yaml:1: 0: .*"audience"/ },
    { name: 'no audience', text: '- issuer: https://a.example\n', says: /^issuers\.yaml:1: 0\.audiences: name at least one, or a resource/ },
    { name: 'an unknown algorithm', text: '- issuer: https://a.example\n  audiences: [x]\n  algorithms:\n    - RS256\n    - none\n', says: /^issuers\.yaml:5: 0\.algorithms\.1: .*RS256/ },
    { name: 'HS256 with a key set', text: '- issuer: https://a.example\n  audiences: [x]\n  algorithms: [HS256]\n', says: /^issuers\.yaml:3: 0\.algorithms\.0: / },
    { name: 'a secret and a key set', text: '- issuer: a\n  audiences: [x]\n  secret: {env: PARTNER_SECRET}\n  jwksUri: https://a.example/jwks\n', says: /^issuers\.yaml:4: 0\.jwksUri: does not go with secret/ },
    { name: 'a secret in the file', text: `- issuer: a\n  audiences: [x]\n  secret: ${SECRET}\n`, says: /^issuers\.yaml:3: 0\.secret: / },
    { name: 'a variable that is not set', text: '- issuer: a\n  audiences: [x]\n  secret: {env: NOT_THERE}\n', says: /^issuers\.yaml:3: 0\.secret: the variable NOT_THERE is not set/ },
    { name: 'a file that is not there', text: '- issuer: a\n  audiences: [x]\n  secret: {file: /nowhere}\n', says: /^issuers\.yaml:3: 0\.secret: cannot read \/nowhere/ },
    { name: 'a short secret', text: '- issuer: a\n  audiences: [x]\n  secret: {env: SHORT}\n', says: /^issuers\.yaml:3: 0\.secret: HS256 needs at least 32 bytes/ },
    { name: 'a negative age', text: 'issuers:\n  - issuer: https://a.example\n    audiences: [x]\n    maxTokenAgeMinutes: -1\n', says: /^issuers\.yaml:4: 0\.maxTokenAgeMinutes: / },
    { name: 'a skew of an hour', text: '- {issuer: https://a.example, audiences: [x], clockSkewSeconds: 3600}', says: /^issuers\.yaml:1: 0\.clockSkewSeconds: / },
    { name: 'no address to discover keys at', text: '- {issuer: a, audiences: [x]}', says: /^issuers\.yaml:1: 0\.issuer: is not an http or https URL/ },
    { name: 'an alias', text: 'issuers:\n  - &a {issuer: https://a.example, audiences: [x]}\n  - *a\n', says: /^issuers\.yaml: aliases are not taken/ },
    { name: 'two megabytes', text: '#'.repeat(2 ** 21), says: /larger than 1 MiB/ },
  ])('with $name is refused by file, line and field', ({ text, says }) => {
    expect(() => read(text)).toThrow(says);
    expect(() => read(text)).not.toThrow(SECRET);
  });
  it('tells every fault at once', () => {
    expect(() => read('- issuer: https://a.example\n- issuer: b\n  audiences: [x]\n')).toThrow(/issuers\.yaml:1: 0\.audiences.*\nissuers\.yaml:2: 1\.issuer/s);
  });
});
