#!/usr/bin/env node
// Prisma's schema engine without its binary: what `prisma migrate` starts when PRISMA_SCHEMA_ENGINE_BINARY points here. It speaks
// the engine's JSON-RPC on standard input and output, one message a line, and gives the work to the engine's WebAssembly
// build, which reaches Postgres through the driver adapter. For machines that cannot fetch Prisma's binaries.
//
//   PRISMA_SCHEMA_ENGINE_BINARY=$PWD/tools/prisma-schema-engine-wasm.mjs DATABASE_URL=postgres://… npx prisma migrate status
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import * as engine from '@prisma/schema-engine-wasm/schema_engine_bg';
import { Client, escapeIdentifier, Pool } from 'pg';

const option = (name) => { const at = process.argv.indexOf(name); return at < 0 ? undefined : process.argv[at + 1]; };
const { url } = JSON.parse(option('--datasource') ?? '{}');

// The engine leaves its last words here when it panics; what it throws after them, out of any call of ours, says nothing.
globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => { process.stderr.write(`${message}\n`); process.exit(101); } };

if (process.argv.includes('cli')) await databaseCommand(process.argv[process.argv.indexOf('cli') + 1]);
else serve();

/** `schema-engine cli can-connect-to-database | create-database | drop-database`: answers by its exit status and one line of JSON. */
async function databaseCommand(command) {
  const target = new URL(url);
  const database = decodeURIComponent(target.pathname.slice(1));
  const statements = { 'create-database': 'CREATE DATABASE', 'drop-database': 'DROP DATABASE' };
  const statement = statements[command];
  const place = new URL(url);
  if (statement !== undefined) place.pathname = '/postgres';
  const client = new Client({ connectionString: place.href });
  try {
    await client.connect();
    if (statement !== undefined) await client.query(`${statement} ${escapeIdentifier(database)}`);
  } catch (failure) {
    // Prisma's codes: no such database, exists already, wrong password; all else is "cannot be reached".
    const known = { '3D000': ['P1003', { database_name: database }], '42P04': ['P1009', { database_name: database }], '28P01': ['P1000', {}] };
    const [code, meta] = known[failure.code] ?? ['P1001', { database_host: target.hostname, database_port: target.port }];
    process.stderr.write(`${JSON.stringify({ timestamp: new Date().toISOString(), level: 'ERROR', fields: { message: failure.message, is_panic: false, error_code: code, meta }, target: 'schema_engine' })}\n`);
    process.exitCode = 1;
  } finally {
    await client.end().catch(() => undefined);
  }
}

const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

function serve() {
  let started;
  let queue = Promise.resolve();
  const answer = async (id, method, params) => {
    try {
      started ??= start();
      const { schemaEngine } = await started;
      const result = await schemaEngine[method === 'getDatabaseVersion' ? 'version' : method](params);
      // The binary prints a diff by a notification of its own.
      if (method === 'diff' && result?.stdout) send({ id: randomUUID(), method: 'print', params: { content: result.stdout } });
      send({ id, result: result ?? {} });
    } catch (failure) {
      const { factory } = await started.catch(() => ({}));
      send({ id, error: { code: 4466, message: 'An error happened. Check the data field for details.', data: { is_panic: false, ...explain(failure, factory) } } });
    }
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (method === undefined) return;
    queue = queue.then(() => answer(id, method, params));
  });
  lines.on('close', () => { void queue.then(() => process.exit(0)); });
}

/** An error of the driver reaches us as a number into the adapter's registry. */
function explain(failure, factory) {
  const number = /External error id#(\d+)/.exec(String(failure?.message))?.[1];
  const driver = number === undefined ? undefined : factory?.errorRegistry?.consumeError(Number(number));
  if (driver) return { message: String(driver.error?.stack ?? driver.error) };
  const message = String(failure?.message ?? failure);
  return failure?.code ? { message, error_code: failure.code, meta: failure.meta ?? {} } : { message };
}

async function start() {
  const folder = path.dirname(fileURLToPath(import.meta.resolve('@prisma/schema-engine-wasm/schema_engine_bg')));
  const { instance } = await WebAssembly.instantiate(readFileSync(path.join(folder, 'schema_engine_bg.wasm')), { './schema_engine_bg.js': engine });
  const { __wbg_set_wasm: bind } = engine;
  const { __wbindgen_start: begin } = instance.exports;
  bind(instance.exports);
  begin();
  const own = adapter(url);
  const factory = bindMigrationAwareSqlAdapterFactory({
    provider: own.provider, adapterName: own.adapterName,
    connect: () => connection(url),
    connectToShadowDb: shadowDatabase,
  });
  return { factory, schemaEngine: await engine.SchemaEngine.new({ datamodels: undefined }, () => undefined, factory) };
}

/** A database that lives as long as its connection, for replaying migrations. */
async function shadowDatabase() {
  const name = `prisma_migrate_shadow_db_${randomUUID()}`;
  const main = await connection(url);
  await main.executeScript(`CREATE DATABASE "${name}"`);
  const place = new URL(url);
  place.pathname = `/${name}`;
  const shadow = await connection(place.href);
  const dispose = shadow.dispose.bind(shadow);
  shadow.dispose = async () => {
    await dispose();
    await main.executeScript(`DROP DATABASE "${name}" WITH (FORCE)`);
    await main.dispose();
  };
  return shadow;
}

async function connection(connectionString) {
  const connected = await adapter(connectionString).connect();
  // The adapter cuts a script at every semicolon, which takes DO blocks apart; Postgres reads a script by itself.
  connected.executeScript = async (script) => { await connected.underlyingDriver().query(script); };
  const queryRaw = connected.queryRaw.bind(connected);
  connected.queryRaw = async (query) => {
    const result = await queryRaw(query);
    for (const column of charColumns.get(result.rows) ?? []) result.columnTypes[column] = ColumnTypeEnum.Character;
    return result;
  };
  return connected;
}

// Types of pg_catalog that the adapter does not know, by number: "char", its array, regproc, pg_node_tree. It is told that they are
// text, and the engine, which insists on it, that "char" is a character.
const CHAR = 18;
const AS_TEXT = { [CHAR]: 25, 1002: 1009, 24: 25, 194: 25 };
/** Rows of a result to its columns of type "char". */
const charColumns = new WeakMap();

const renamed = (result) => {
  for (const each of Array.isArray(result) ? result : [result]) {
    const fields = each?.fields ?? [];
    if (each?.rows) charColumns.set(each.rows, fields.flatMap((field, index) => (field.dataTypeID === CHAR ? [index] : [])));
    for (const field of fields) field.dataTypeID = AS_TEXT[field.dataTypeID] ?? field.dataTypeID;
  }
  return result;
};

function adapter(connectionString) {
  class CatalogueClient extends Client {
    query(...query) {
      const callback = query.at(-1);
      if (typeof callback === 'function') return super.query(...query.slice(0, -1), (failure, result) => { callback(failure, renamed(result)); });
      const answer = super.query(...query);
      return typeof answer?.then === 'function' ? answer.then(renamed) : answer;
    }
  }
  const pool = new Pool({ connectionString, Client: CatalogueClient, max: 2 });
  pool.on('error', () => undefined);
  return new PrismaPg(pool, { disposeExternalPool: true });
}
