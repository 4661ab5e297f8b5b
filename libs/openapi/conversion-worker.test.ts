import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DocumentConverter } from '#libs/openapi/conversion-worker.js';
import { convertDocument } from '#libs/openapi/convert.js';

const fixture = readFileSync(new URL('../../test/fixtures/openapi/doqs.json', import.meta.url));
const bytesOf = (document: object) => new TextEncoder().encode(JSON.stringify(document));

/** `count` operations, each with schemas of its own. */
const large = (count: number) => bytesOf({
  openapi: '3.0.0', info: {}, servers: [{ url: 'https://a.test' }],
  paths: Object.fromEntries(Array.from({ length: count }, (_, i) => [`/p${i}`, { post: { requestBody: { content: { 'application/json': { schema: { type: 'object', properties: Object.fromEntries(Array.from({ length: 20 }, (__, j) => [`f${j}`, { type: 'string', description: `field ${j} of ${i}` }])) } } } }, responses: {} } }])),
});

it('a thread gives what the same conversion gives on the spot', async () => {
  const options = { fileName: 'doqs.json', naming: { prefix: 'doqs_' } };
  expect(await new DocumentConverter().convert(fixture, options)).toEqual(await convertDocument(fixture, options));
});

it('a large result arrives whole, in pieces', async () => {
  const bytes = large(3000);
  const { tools, ledger } = await new DocumentConverter().convert(bytes, {});
  expect(tools.map(({ path }) => path)).toEqual(Array.from({ length: 3000 }, (_, i) => `/p${i}`));
  expect(ledger).toHaveLength(3000);
});

it('an error crosses from the thread with its file, place and code', async () => {
  await expect(new DocumentConverter().convert(new TextEncoder().encode('a: [1'), { fileName: 'bad.yaml' })).rejects.toMatchObject({ name: 'DocumentError', code: 'syntax', message: expect.stringMatching(/^bad\.yaml:1:\d+: /) as string });
});

it('a conversion that takes too long is ended, and says so', async () => {
  await expect(new DocumentConverter({ timeoutMs: 1 }).convert(large(2000), { fileName: 'slow.json' })).rejects.toMatchObject({ code: 'time-limit', message: expect.stringMatching(/^slow\.json: /) as string });
});

it('a conversion that takes too much memory is ended, says so, and leaves the process alive', async () => {
  await expect(new DocumentConverter({ memoryMiB: 24 }).convert(large(20_000), { fileName: 'big.json' })).rejects.toMatchObject({ code: 'memory-limit', message: expect.stringMatching(/^big\.json: .*24 MiB/) as string });
});

it('a document beyond the limit of bytes is refused before a thread is started for it', async () => {
  await expect(new DocumentConverter({ memoryMiB: 1, timeoutMs: 1 }).convert(fixture, { fileName: 'x.json', limits: { maxBytes: fixture.length - 1 } })).rejects.toMatchObject({ code: 'too-large' });
});

it('conversions beyond the allowed number wait their turn, and one that fails frees its place', async () => {
  const converter = new DocumentConverter({ concurrency: 1 });
  const results = await Promise.allSettled([converter.convert(fixture, {}), converter.convert(new Uint8Array(), {}), converter.convert(fixture, {})]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
});

it('validation refuses what the specification does not allow, and fetches nothing', async () => {
  const converter = new DocumentConverter();
  const valid = { openapi: '3.0.3', info: { title: 'T', version: '1' }, paths: { '/a': { get: { responses: { 200: { description: 'ok', content: { 'application/json': { schema: { $ref: 'http://127.0.0.1:1/never.json' } } } } } } } } };
  await expect(converter.convert(bytesOf({ ...valid, paths: { '/a': { get: { responses: {}, parameters: 7 } } } }), { validate: true, fileName: 'x.json' })).rejects.toMatchObject({ code: 'invalid-document', message: expect.stringMatching(/^x\.json#\/paths.*specification/) as string });
  expect((await converter.convert(bytesOf(valid), { validate: true })).ledger[0]?.verdict).toBe('degraded');
  await expect(converter.convert(bytesOf({ ...valid, openapi: '3.2.0' }), { validate: true })).rejects.toMatchObject({ code: 'unsupported-version' });
});
