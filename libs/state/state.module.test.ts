import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import type { ControlStore } from '#libs/core/control-store.js';
import { slug } from './control-store.contract.js';
import type { Database } from './database.js';
import { emptyFolder } from './empty-folder.contract.js';
import { CATALOGUE_SOURCE, CONTROL_STORE, DATABASE, StateModule } from './state.module.js';

it('migrates where it may, refuses to start where it may only check, and gives the folder back at shutdown', async () => {
  const { data: directory, remove } = await emptyFolder();
  const start = (schema: 'migrates' | 'checks') => Test.createTestingModule({ imports: [StateModule.with({ location: { directory }, schema })] }).compile();
  await expect(start('checks')).rejects.toThrow(/lacks the migration/);

  const control = await start('migrates');
  await control.get<ControlStore>(CONTROL_STORE).createTenant({ slug: slug('acme'), displayName: 'A', description: '' });
  await control.close();

  const data = await start('checks');
  expect(await data.get<CatalogueSource>(CATALOGUE_SOURCE).load(slug('acme'))).toMatchObject({ tenant: 'acme', enabled: true });
  await expect(data.get<Database>(DATABASE).ping()).resolves.toBeUndefined();
  await data.close();
  await remove();
});
