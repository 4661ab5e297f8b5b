import { Global, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { expect, it } from 'vitest';
import type { CatalogueSource } from '#libs/core/catalogue.js';
import type { ControlStore } from '#libs/core/control-store.js';
import type { ReadinessCheck } from '#libs/core/ports.js';
import { CATALOGUE_SOURCE, CONTROL_STORE, HIDE_SECRET, LOG, READINESS } from '#libs/core/tokens.js';
import { slug } from './control-store.contract.js';
import { emptyFolder } from './empty-folder.contract.js';
import { StateModule } from './state.module.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
@Global()
@Module({ providers: [{ provide: LOG, useValue: quiet }, { provide: HIDE_SECRET, useValue: () => undefined }], exports: [LOG, HIDE_SECRET] })
class Observability {}

it('migrates where it may, is not ready and says why where it may not, and gives the folder back at shutdown', async () => {
  const { data: directory, remove } = await emptyFolder();
  const start = async (migrates: boolean) => {
    const app = await Test.createTestingModule({ imports: [Observability, StateModule.with({ location: { directory }, migrates })] }).compile();
    return { app, ready: () => app.get<ReadinessCheck>(READINESS.database).check() };
  };
  const early = await start(false);
  expect(await early.ready()).toEqual({ ok: false, reason: expect.stringMatching(/lacks the migration .*start the controller of this version/) });
  await early.app.close();

  const control = await start(true);
  await control.app.get<ControlStore>(CONTROL_STORE).createTenant({ slug: slug('acme'), displayName: 'A', description: '' });
  await control.app.close();

  const data = await start(false);
  expect(await data.ready()).toEqual({ ok: true });
  expect(await data.app.get<CatalogueSource>(CATALOGUE_SOURCE).load(slug('acme'))).toMatchObject({ tenant: 'acme', enabled: true });
  await data.app.close();
  expect(await data.ready()).toMatchObject({ ok: false });
  await remove();
});
