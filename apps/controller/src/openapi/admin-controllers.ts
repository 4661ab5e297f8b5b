import { ApisController } from '../apis/apis.controller.js';
import { AuditController, AuditLogsController, PlatformAuditController } from '../audit/audit.controller.js';
import { ErrorSnapshotsController } from '../audit/error-snapshots.controller.js';
import { KeysController } from '../keys/keys.controller.js';
import { DecisionsController } from '../policies/decisions.controller.js';
import { OperatorPoliciesController, PoliciesController } from '../policies/policies.controller.js';
import { PlansController } from '../plans/plans.controller.js';
import { PriceBooksController } from '../price-books/price-books.controller.js';
import { PromptsController } from '../prompts/prompts.controller.js';
import { ResourcesController } from '../resources/resources.controller.js';
import { TenantsController } from '../tenants/tenants.controller.js';
import { ToolsController } from '../tools/tools.controller.js';
import { UsageController } from '../usage/usage.controller.js';

/** Every controller that the API's description tells of. */
export const ADMIN_CONTROLLERS = [TenantsController, ApisController, ToolsController, KeysController, PromptsController, ResourcesController, PoliciesController, OperatorPoliciesController, DecisionsController, UsageController, PriceBooksController, PlansController, AuditController, PlatformAuditController, AuditLogsController, ErrorSnapshotsController];
