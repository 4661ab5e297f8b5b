import { describe, expect, it } from 'vitest';
import type { ValidatedCall } from '#libs/core/call.js';
import type { CatalogueSource, ImportedDocument } from '#libs/core/catalogue.js';
import { Unavailable } from '#libs/core/errors.js';
import { DocumentBackend } from './document-backend.js';

const URI = 'stoa://apis/my%20pets/document';
const LIMIT = 8_388_608;
const call = (size: number): ValidatedCall => ({
  name: URI, api: { name: 'my pets' },
  target: { tenant: 'acme', backend: { kind: 'document', api: 'id-1', specHash: 'hash-1', mimeType: 'application/yaml', size } },
}) as unknown as ValidatedCall;

function reading(answer: () => Promise<ImportedDocument | undefined>) {
  const asked: unknown[][] = [];
  const source: Pick<CatalogueSource, 'document'> = { document: (...of) => { asked.push(of); return answer(); } };
  return { asked, backend: new DocumentBackend(source) };
}
const held = (bytes: Uint8Array) => async (): Promise<ImportedDocument> => ({ bytes, mediaType: 'application/yaml' });

describe('the document of an API', () => {
  it.each([
    { name: 'text where it is UTF-8', bytes: Buffer.from('openapi: 3.1.0 # é'), content: { text: 'openapi: 3.1.0 # é' } },
    { name: 'base64 where it is not', bytes: new Uint8Array([0, 255, 254]).subarray(1), content: { blob: '//4=' } },
  ])('is $name', async ({ bytes, content }) => {
    const { asked, backend } = reading(held(bytes));
    expect(await backend.invoke(call(bytes.byteLength))).toMatchObject({ outcome: 'success', bytes: bytes.byteLength, result: { type: 'resource', contents: [{ uri: URI, mimeType: 'application/yaml', ...content }] } });
    expect(asked).toEqual([['acme', 'id-1', 'hash-1']]);
  });

  it('is given up to 8 MiB; beyond, the denial says where to download it and the store is not asked', async () => {
    const { asked, backend } = reading(held(Buffer.alloc(LIMIT, 'x')));
    expect(await backend.invoke(call(LIMIT))).toMatchObject({ bytes: LIMIT });
    asked.length = 0;
    const refused = await backend.invoke(call(LIMIT + 1));
    expect(refused).toMatchObject({ code: 'BACKEND_RESPONSE_TOO_LARGE', message: 'The document has 8388609 bytes; a resource gives at most 8388608. Download it from the admin API: GET /admin/v1/tenants/acme/apis/my%20pets/document.' });
    expect(asked).toEqual([]);
  });

  it('that is another one by now is never given in its place: the caller tries again', async () => {
    expect(await reading(async () => undefined).backend.invoke(call(1))).toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 1 });
  });

  it('cannot be read while the store is away', async () => {
    await expect(reading(async () => { throw new Unavailable('database'); }).backend.invoke(call(1))).rejects.toBeInstanceOf(Unavailable);
  });
});
