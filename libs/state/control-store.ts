import type { ControlStore } from '#libs/core/control-store.js';
import { apiStore } from './apis.js';
import type { Database } from './database.js';
import { promptStore } from './prompts.js';
import { resourceStore } from './resources.js';
import { tenantStore } from './tenants.js';
import { toolStore } from './tools.js';

/** The control plane's state in Postgres, real or embedded. */
export const databaseControlStore = (database: Database): ControlStore => ({
  ...tenantStore(database), ...apiStore(database), ...toolStore(database), ...promptStore(database), ...resourceStore(database),
});
