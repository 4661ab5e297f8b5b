import { type DynamicModule, Module } from '@nestjs/common';
import { Importer } from './apis/importer.js';
import { Refresher } from './apis/refresher.js';
import { AdminHttp } from './http/admin-http.js';
import { TenantLock } from './http/tenant-lock.js';
import { ADMIN_CONTROLLERS } from './openapi/admin-controllers.js';
import { OpenApiController } from './openapi/openapi.controller.js';
import { type ControllerParts, PARTS } from './parts.js';

/** The admin API. Stands alone (create-controller.ts) or beside other modules on one server: it touches `/admin/v1` only. */
@Module({})
export class ControllerModule {
  static with(parts: ControllerParts): DynamicModule {
    return {
      module: ControllerModule,
      controllers: [...ADMIN_CONTROLLERS, OpenApiController],
      providers: [{ provide: PARTS, useValue: parts }, AdminHttp, TenantLock, Importer, Refresher],
      exports: [Importer],
    };
  }
}
