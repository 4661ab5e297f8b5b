import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { createGateway } from './create-gateway.js';
import { fakeGateway } from '../../../test/fake-gateway.js';

let app: NestFastifyApplication | undefined;
afterEach(async () => { await app?.close(); app = undefined; });

describe('the gateway', () => {
  it('starts from fakes and answers its probes', async () => {
    app = await createGateway(fakeGateway().parts);
    expect((await app.inject('/live')).json()).toEqual({ status: 'alive' });
    const reply = await app.inject('/mcp/v1/');
    expect(reply.statusCode).toBe(200);
  });
});
