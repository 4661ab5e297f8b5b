#!/usr/bin/env node
// Writes .env for docker-compose.yml, with a random value for each secret:  node tools/make-env.mjs [FILE] [--no-demo] [--print]
// What the file already says is kept, so that it may be run again after an upgrade: only what is missing is added.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { execFileSync } from 'node:child_process';

const args = process.argv.slice(2);
const file = args.find((arg) => !arg.startsWith('--')) ?? '.env';
const demo = !args.includes('--no-demo');
const secret = (bytes = 24) => randomBytes(bytes).toString('base64url');

/** Name, value made for a new installation, what it is.
 * @type {[string, string | (() => string), string][]} */
const VALUES = [
  ['STOA_COMMIT', commit, 'Shown by /info.'],
  ['BIND_ADDRESS', '127.0.0.1', 'Address of this computer on which the published ports listen.'],
  ['GATEWAY_PORT', '8080', 'MCP and the REST facade.'],
  ['ADMIN_PORT', '8081', 'Admin API.'],
  ['KEYCLOAK_PORT', '8180', 'Sign-in.'],
  ['PUBLIC_URL', 'http://localhost:8080', 'The gateway as clients write it; tokens are for PUBLIC_URL/mcp. Changed later, the realm\'s audience mapper must be as well.'],
  ['KEYCLOAK_PUBLIC_URL', 'http://localhost:8180', 'Keycloak as browsers and clients write it.'],
  ['ENVIRONMENT', demo ? 'dev' : 'prod', 'dev, staging or prod.'],
  ['COMPOSE_PROFILES', demo ? 'demo' : '', 'demo: a pet shop to import; opa: an OPA server beside the gateway (with OPA_EMBEDDED=false).'],
  ['OPA_EMBEDDED', 'true', 'Whether policy is decided inside the gateway.'],
  ['STOA_DEMO', String(demo), 'Demo users and clients in a new realm. Not for production.'],
  ['EGRESS_ALLOW_MORE', demo ? 'demo:8090' : '', 'Further private addresses of backends, comma-separated host:port.'],
  ['POSTGRES_PASSWORD', () => secret(), 'Superuser of Postgres.'],
  ['CONTROLLER_DB_PASSWORD', () => secret(), 'The controller\'s login, owner of the database.'],
  ['GATEWAY_DB_PASSWORD', () => secret(), 'The gateway\'s login.'],
  ['BILLING_DB_PASSWORD', () => secret(), 'The billing process\'s login.'],
  ['KEYCLOAK_DB_PASSWORD', () => secret(), 'Keycloak\'s login, owner of its own database.'],
  ['REDIS_PASSWORD', () => secret(), 'Redis.'],
  ['KEYCLOAK_ADMIN_PASSWORD', () => secret(), 'First administrator (admin) of Keycloak.'],
  ['STOA_GATEWAY_SECRET', () => secret(), 'Client secret of the gateway and controller at Keycloak, for their check at start.'],
  ['STOA_DEMO_PASSWORD', () => secret(12), 'Of the demo users root, alice, dora, vic, bob and gus.'],
  ['STOA_AGENT_SECRET', () => secret(), 'Client secret of stoa-agent, a demo agent.'],
  ['GRAFANA_ADMIN_PASSWORD', () => secret(), 'Of Grafana\'s admin.'],
  ['KAFKA_CLUSTER_ID', () => randomBytes(16).toString('base64url'), 'Identity of the Kafka cluster; never changes.'],
  ['CAPABILITY_SECRETS', () => secret(32), 'Signs capability tokens.'],
  ['AUDIT_SIGNING_KEY', signingKey, 'Signs checkpoints of the audit trail (Ed25519, PKCS #8).'],
  ['CURSOR_KEY', () => randomBytes(32).toString('hex'), 'Seals cursors.'],
];

/** On one line: Compose makes line ends of \\n between double quotes. */
function signingKey() {
  return JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
}
function commit() {
  try { return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim(); } catch { return 'unknown'; }
}

const before = readIfThere(file);
const known = new Set([...before.matchAll(/^([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name));
const added = VALUES.filter(([name]) => !known.has(name));
const lines = added.map(([name, value, what]) => `# ${what}\n${name}=${typeof value === 'function' ? value() : value}\n`);
const text = before + (before === '' ? '# Made by tools/make-env.mjs. Secrets: keep it out of version control, and in your backup.\n' : before.endsWith('\n') ? '' : '\n') + lines.join('');

if (args.includes('--print')) process.stdout.write(text);
else {
  // For its owner alone from the first byte on; a rename, so that no half a file is ever read.
  const next = `${file}.new`;
  const out = openSync(next, 'w', 0o600);
  writeSync(out, text);
  closeSync(out);
  renameSync(next, file);
  process.stdout.write(added.length === 0 ? `${file} has everything already\n` : `${file}: ${before === '' ? 'made' : 'added'} ${added.map(([name]) => name).join(', ')}\n`);
}

function readIfThere(path) {
  try { return readFileSync(path, 'utf8'); } catch (error) { if (error.code === 'ENOENT') return ''; throw error; }
}
