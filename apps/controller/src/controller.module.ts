import { type DynamicModule, Module } from '@nestjs/common';
import { ApisController } from './apis/apis.controller.js';
import { Importer } from './apis/importer.js';
import { AdminHttp } from './http/admin-http.js';
import { TenantLock } from './http/tenant-lock.js';
import { type ControllerParts, PARTS } from './parts.js';
import { TenantsController } from './tenants/tenants.controller.js';
import { ToolsController } from './tools/tools.controller.js';

/** The admin API. Stands alone (create-controller.ts) or beside other modules on one server: it touches `/admin/v1` only. */
@Module({})
export class ControllerModule {
  static with(parts: ControllerParts): DynamicModule {
    return {
      module: ControllerModule,
      controllers: [TenantsController, ApisController, ToolsController],
      providers: [{ provide: PARTS, useValue: parts }, AdminHttp, TenantLock, Importer],
      exports: [Importer],
    };
  }
}
