import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConvertedTool } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { createEgress } from '#libs/egress/egress.js';
import { Channels } from '#libs/backends/grpc/channels.js';
import { GrpcAdmission } from '#libs/backends/grpc/grpc-admission.js';
import { GrpcBackend } from '#libs/backends/grpc/grpc-backend.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { callOf } from './call-of.js';
import { type PythonServer, startPython } from './services/python.js';

const int = (min: bigint, max: bigint): fc.Arbitrary<string> => fc.bigInt({ min, max }).map(String);

/** JSON of an `Item` in the canonical form of the ProtoJSON mapping. */
const item = fc.letrec((tie) => {
  const i64 = int(-(2n ** 63n), 2n ** 63n - 1n);
  const u64 = int(0n, 2n ** 64n - 1n);
  const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  const text = fc.string({ unit: 'grapheme', maxLength: 12 });
  const base64 = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('base64'));
  const size = fc.constantFrom('SIZE_UNSPECIFIED', 'SMALL', 'LARGE', 'NEGATIVE');
  const double = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value)), fc.constantFrom('NaN', 'Infinity', '-Infinity'));
  const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value).replaceAll('-0', '0').toWellFormed()) as unknown).filter((value) => !/\\ud[89a-f]/i.test(JSON.stringify(value)) && !/e[+-]?\d{2,}/i.test(JSON.stringify(value)));
  const seconds = fc.integer({ min: -62_135_596_800, max: 253_402_300_799 });
  const nanos = fc.constantFrom('', '.500', '.000001', '.123456789');
  return {
    item: fc.record({
      i32, s32: i32, u32, f32: u32, sf32: i32, i64, s64: i64, u64, f64: u64, sf64: i64, single: fc.constantFrom(0, 1.5, -2.25, 'NaN', 'Infinity'), twice: double, flag: fc.boolean(), text, data: base64, size,
      numbers: fc.array(i64, { maxLength: 3 }), words: fc.array(text, { maxLength: 3 }), sizes: fc.array(size, { maxLength: 3 }), children: fc.array(tie('item'), { maxLength: 1, size: 'xsmall' }),
      labels: fc.dictionary(text, text, { maxKeys: 2, noNullPrototype: true }).filter((labels) => !Object.hasOwn(labels, '__proto__')), byFlag: fc.dictionary(fc.constantFrom('true', 'false'), double, { maxKeys: 2, noNullPrototype: true }), byBig: fc.dictionary(u64, size, { maxKeys: 2, noNullPrototype: true }),
      leftSide: text, maybeText: text, maybeNumber: i64, at: fc.tuple(seconds, nanos).map(([s, n]) => new Date(s * 1000).toISOString().replace('.000Z', `${n}Z`)),
      took: fc.tuple(fc.integer({ min: -1000, max: 1000 }), nanos).map(([s, n]) => `${s}${n}s`), mask: fc.constantFrom('', 'i32', 'i32,byNumber.text'), extra: fc.dictionary(text, json, { maxKeys: 2, noNullPrototype: true }).filter((extra) => !Object.hasOwn(extra, '__proto__')), anything: json, list: fc.array(json, { maxLength: 2 }),
      boxedText: text, boxedNumber: i64, boxedFlag: fc.boolean(), boxedBytes: base64, boxedDouble: double,
      packed: fc.record({ '@type': fc.constant('type.googleapis.com/inventory.v1.Count'), n: i64 }),
    }, { requiredKeys: [] }),
  };
}).item;

describe('a gRPC server in another language', () => {
  const egress = createEgress({ allow: ['127.0.0.1'] });
  const channels = new Channels({ guard: egress, maxMessageBytes: 8 << 20, userAgent: 'stoa/1' });
  const validator = createArgumentValidator();
  const backend = new GrpcBackend({ channels, credentials: { resolve: () => 'none' }, checkOutput: (target, value) => validator.checkOutput(target, value) });
  let server: PythonServer;
  let tools: ReadonlyMap<string, ConvertedTool>;
  let definitions = {};
  beforeAll(async () => {
    server = await startPython('grpc_server.py');
    const admission = new GrpcAdmission({ channels });
    const connection = { address: `127.0.0.1:${server.port}` };
    const { bytes } = await admission.describe(connection, { tenant: 'acme' as TenantSlug, credentials: {} });
    const made = await admission.convert(bytes, { connection });
    definitions = made.definitions;
    tools = new Map(made.tools.map((tool) => [tool.name, tool]));
  });
  afterAll(async () => { channels.close(); await egress.close(); await server.stop(); });

  async function call(name: string, args: Readonly<Record<string, unknown>>): Promise<{ readonly isError: boolean; readonly text: string }> {
    const made = callOf(tools.get(name), definitions, args);
    const verdict = validator.validate(made.target, args);
    if (!('input' in verdict)) throw new Error(JSON.stringify(verdict.issues));
    const answer = await backend.invoke(made);
    if (answer instanceof Denial) throw new Error(answer.message);
    if (answer.result.type !== 'tool') throw new Error('no tool result');
    return { isError: answer.result.isError, text: (answer.result.content[0] as { readonly text: string }).text };
  }

  it('describes itself by the reflection of the old name, since it has no other', () => {
    expect([...tools.keys()]).toEqual(['printjson', 'parsejson', 'getitem', 'deleteitem', 'watchitems']);
  });
  it('reads from what we send exactly the JSON that we were given, by its own JSON printer', async () => {
    await fc.assert(fc.asyncProperty(item, async (value) => {
      const { text } = await call('printjson', value);
      const printed = JSON.parse((JSON.parse(text) as { json: string }).json) as unknown;
      expect(printed).toMatchObject(value);
    }), { numRuns: 150 });
  });
  it('sends what its own JSON parser made of a text, and we print that text', async () => {
    await fc.assert(fc.asyncProperty(item, async (value) => {
      const { text, isError } = await call('parsejson', { json: JSON.stringify(value) });
      expect(isError).toBe(false);
      expect(JSON.parse(text)).toMatchObject(value);
    }), { numRuns: 150 });
  });
  it('answers with text that is not ASCII, and integers beyond 2^53', async () => {
    expect(JSON.parse((await call('getitem', { n: 1 })).text)).toMatchObject({ text: 'ü 🐕', i64: '9007199254740993' });
  });
  it('tells its status with the details that it attached', async () => {
    const { isError, text } = await call('getitem', { n: 404 });
    expect([isError, JSON.parse(text)]).toEqual([true, { code: 'NOT_FOUND', message: 'no item 404', details: [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'NO_SUCH_ITEM', domain: 'inventory.example' }] }]);
  });
  it('streams without end are collected up to the bound and cancelled', async () => {
    const { messages, complete } = JSON.parse((await call('watchitems', { n: -1 })).text) as { messages: unknown[]; complete: boolean };
    expect([messages.length, complete]).toEqual([100, false]);
    expect(JSON.parse((await call('watchitems', { n: 3 })).text)).toEqual({ messages: [{ n: '1' }, { n: '2' }, { n: '3' }], complete: true });
  });
});
