import { type DynamicModule, Module } from '@nestjs/common';
import type { Admission } from '#libs/core/admission.js';
import type { ApiKeyStore } from '#libs/core/api-key.js';
import type { ControlStore } from '#libs/core/control-store.js';
import type { Outbound } from '#libs/core/outbound.js';
import { ADMISSION, API_KEY_STORE, CONTROL_STORE, LOG, OUTBOUND } from '#libs/core/tokens.js';
import type { Logger } from '#libs/observability/logger.js';
import { Importer } from './apis/importer.js';
import { Refresher } from './apis/refresher.js';
import { AuditDesk } from './audit/audit-desk.js';
import { AdminHttp } from './http/admin-http.js';
import { TenantLock } from './http/tenant-lock.js';
import { ADMIN_CONTROLLERS } from './openapi/admin-controllers.js';
import { PolicyDesk } from './policies/policy-desk.js';
import { OpenApiController } from './openapi/openapi.controller.js';
import { type ControllerOptions, type ControllerParts, PARTS } from './parts.js';

/** The admin API. Stands alone (the controller process) or beside other modules on one server: it touches `/admin/v1` only. */
@Module({})
export class ControllerModule {
  static with(options: ControllerOptions): DynamicModule {
    // In the order of `inject` below.
    type Given = readonly [ControlStore, Outbound, Logger | undefined, ApiKeyStore | undefined, ...(Admission | undefined)[]];
    const parts = (...[store, outbound, log, apiKeys, ...admissions]: Given): ControllerParts => ({
      now: () => new Date(), ...options, store, outbound, apiKeys: options.apiKeysEnabled === false ? undefined : apiKeys, admissions: Object.fromEntries(admissions.flatMap((one) => (one ? [[one.kind, one]] : []))), ...(log ? { log } : {}),
    });
    const optional = [LOG, API_KEY_STORE, ...Object.values(ADMISSION)].map((token) => ({ token, optional: true }));
    return {
      module: ControllerModule,
      controllers: [...ADMIN_CONTROLLERS, OpenApiController],
      providers: [
        { provide: PARTS, inject: [CONTROL_STORE, OUTBOUND, ...optional], useFactory: parts },
        AdminHttp, AuditDesk, PolicyDesk, TenantLock, Importer, Refresher,
      ],
      exports: [Importer],
    };
  }
}
