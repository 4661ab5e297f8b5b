import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { Server, ServerCredentials, type ServerUnaryCall } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Channels } from '#libs/backends/grpc/channels.js';
import { RestBackend } from '#libs/backends/rest/rest-backend.js';
import { createCredentialResolver } from '#libs/credentials/credentials.js';
import { createTokenCredentials } from '#libs/credentials/token-credentials.js';
import { createEgress } from '#libs/egress/egress.js';
import { convertDocument } from '#libs/openapi/convert.js';
import { certificate } from './certificates.js';
import { callOf, type Gateway, gatewayWith, published, textOf, toolResult } from './gateway.js';

const DOCUMENT = { openapi: '3.1.0', info: { title: 'T', version: '1' }, servers: [{ url: 'https://127.0.0.1:1' }], paths: { '/who': { get: { operationId: 'who', responses: { 200: { description: 'ok', content: { 'text/plain': {} } } } } } } };

const asItIs = (bytes: Buffer): Buffer => bytes;
const authority = certificate('authority');
const machine = certificate('127.0.0.1', authority);
const [one, two] = [certificate('stoa one', authority), certificate('stoa two', authority)];
const stranger = certificate('stranger');

describe('a client certificate', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stoa-mtls-'));
  const egress = createEgress({ allow: ['127.0.0.1'], ca: authority.cert });
  const server = createServer({ cert: machine.cert, key: machine.key, ca: authority.cert, requestCert: true, rejectUnauthorized: true }, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' }).end((request.socket as TLSSocket).getPeerCertificate().subject.CN);
  });
  let gateway: Gateway;
  const put = ({ cert, key }: { cert: string; key: string }): void => { writeFileSync(join(folder, 'acme', 'client.pem'), `${cert}${key}`); };
  const who = async () => toolResult(await gateway.runCall(callOf('who', {})));

  beforeAll(async () => {
    mkdirSync(join(folder, 'acme'));
    await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
    const credentials = createTokenCredentials({ outbound: egress, secrets: createCredentialResolver({ environment: {}, folder }) });
    gateway = await gatewayWith('rest', () => new RestBackend({ outbound: egress, credentials, version: '1' }));
    const document = await convertDocument(Buffer.from(JSON.stringify(DOCUMENT)), {});
    const { api, targets } = published({ document, name: 'who', baseUrl: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, credentials: { 'client-certificate': { from: 'file', name: 'client.pem' } } });
    gateway.fake.catalogue.put('acme', targets, [api]);
  });
  afterAll(async () => { await gateway.app.close(); await egress.close(); server.close(); rmSync(folder, { recursive: true }); });

  it('is shown to the server that asks for one, and the one that its file holds now', async () => {
    put(one);
    expect(textOf(await who())).toBe('stoa one');
    put(two);
    expect(textOf(await who())).toBe('stoa two');
    put(one);
    expect(textOf(await who())).toBe('stoa one');
  });
  it('that the server does not trust opens nothing, and says nothing of the key', async () => {
    put(stranger);
    const result = await who();
    expect(result).toMatchObject({ isError: true, meta: { error_code: 'BACKEND_UNREACHABLE' } });
    expect(JSON.stringify(result)).not.toContain('PRIVATE');
  });
  it('that is no certificate is refused before anything is sent', async () => {
    put({ cert: 'hunter2 is not a certificate', key: '' });
    const result = await who();
    expect([result.isError, JSON.stringify(result).includes('hunter2')]).toEqual([true, false]);
  });
});

it('a gRPC channel shows the certificate too, and one without it is another channel', async () => {
  const server = new Server();
  server.addService({ Who: { path: '/t/Who', requestStream: false, responseStream: false, requestSerialize: asItIs, requestDeserialize: asItIs, responseSerialize: asItIs, responseDeserialize: asItIs } },
    { Who: (call: ServerUnaryCall<Buffer, Buffer>, done: (failure: null, answer: Buffer) => void) => { done(null, Buffer.from(String(call.getAuthContext().sslPeerCertificate?.subject.CN ?? 'nobody'))); } });
  const credentials = ServerCredentials.createSsl(Buffer.from(authority.cert), [{ cert_chain: Buffer.from(machine.cert), private_key: Buffer.from(machine.key) }], true);
  const port = await new Promise<number>((resolve, reject) => { server.bindAsync('127.0.0.1:0', credentials, (failure, bound) => { if (failure) reject(failure); else resolve(bound); }); });
  const channels = new Channels({ guard: { admit: async () => ['127.0.0.1'] }, maxMessageBytes: 1000, userAgent: 'stoa', ca: authority.cert });
  const who = async (pem?: string): Promise<string> => {
    const client = await channels.to(`127.0.0.1:${port}`, true, pem);
    return new Promise((resolve) => { client.makeUnaryRequest('/t/Who', asItIs, asItIs, Buffer.alloc(0), { deadline: Date.now() + 1500 }, (failure, answer) => { resolve(failure ? `refused ${failure.code}` : String(answer)); }); });
  };
  try {
    expect(await who(one.cert + one.key)).toBe('stoa one');
    expect(await who(two.cert + two.key)).toBe('stoa two');
    expect(await who()).toMatch(/^refused/);
  } finally { channels.close(); server.forceShutdown(); }
});
