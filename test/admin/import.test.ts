import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ACME, document, harness, type Harness } from './harness.js';

const ROOT = 'cpi-admin';
const pets = document({ listPets: 'List', getPet: 'Get' });

describe('importing a document', () => {
  let on: Harness;
  beforeEach(async () => {
    on = await harness();
    await on.ask(ROOT, 'POST /tenants', { slug: 'acme' });
  });
  afterEach(() => on.app.close());

  it('makes a tenant, imports an inline document and lists its tools', async () => {
    const imported = await on.ask('tenant-admin@acme', 'POST /tenants/acme/apis', { name: 'pets', source: { inline: pets } });
    expect(imported.statusCode).toBe(201);
    expect(imported.json()).toMatchObject({ api: { name: 'pets' }, revision: 1, diff: { added: ['listPets', 'getPet'], changed: [], removed: [] }, ledger: { operations: 2, exact: 2, entries: [] } });
    const listed = await on.ask('viewer@acme', 'GET /tenants/acme/tools');
    expect(listed.json<{ tools: { name: string }[] }>().tools.map(({ name }) => name)).toEqual(['getPet', 'listPets']);
    expect(await on.store.listTools(ACME)).toHaveLength(2);
  });
});
