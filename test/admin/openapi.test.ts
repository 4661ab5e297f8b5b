import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { adminDocument } from '#apps/controller/src/openapi/admin-document.js';
it('x', async () => { const d = await adminDocument(); writeFileSync('/tmp/admin-openapi.json', JSON.stringify(d, null, 1)); expect(d.paths).toBeDefined(); });
