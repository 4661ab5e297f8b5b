import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { convertDocument } from '#libs/openapi/convert.js';
import { startPetshop } from './acme-petshop.js';
import type { DemoServer } from './demo-server.js';
import { startWeather } from './globex-weather.js';

let folder: string;
const running: DemoServer[] = [];
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'stoa-demo-')); });
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
  rmSync(folder, { recursive: true, force: true });
});
const file = (): string => join(folder, 'state.json');
async function start(service: (file: string) => Promise<DemoServer>): Promise<DemoServer> {
  const server = await service(file());
  running.push(server);
  return server;
}

describe.each([{ name: 'the pet shop', service: startPetshop, operations: 13 }, { name: 'the weather stations', service: startWeather, operations: 10 }])('$name', ({ service, operations }) => {
  it('describes itself exactly: every operation converts without loss', async () => {
    const { url } = await start(service);
    const bytes = new Uint8Array(await (await fetch(`${url}/openapi.yaml`)).arrayBuffer());
    const { ledger } = await convertDocument(bytes, { documentUrl: `${url}/openapi.yaml` });
    expect(ledger).toHaveLength(operations);
    expect(ledger.filter(({ verdict }) => verdict !== 'exact')).toEqual([]);
  });

  it('serves every operation that it describes', async () => {
    const { url } = await start(service);
    const { ledger } = await convertDocument(new Uint8Array(await (await fetch(`${url}/openapi.yaml`)).arrayBuffer()), {});
    for (const { method, path } of ledger) {
      const answer = await fetch(url + path.replaceAll(/\{\w+\}/g, '1'), { method });
      expect(await answer.text(), `${method} ${path}`).not.toMatch(/Nothing at|is not allowed here|failed/);
    }
  });

  it('comes back on the port that it had, and on another when that one is taken', async () => {
    const first = await start(service);
    await first.close();
    const second = await start(service);
    expect(second.url).toBe(first.url);
    await second.close();
    const other = createServer().listen(Number(new URL(first.url).port), '127.0.0.1');
    await new Promise((resolve) => { other.once('listening', resolve); });
    try {
      const third = await start(service);
      expect(third.url).not.toBe(first.url);
      expect(new URL(third.url).port).not.toBe(String((other.address() as AddressInfo).port));
    } finally {
      other.close();
    }
  });

  it('refuses to begin on a damaged file, naming it, rather than to forget what it held', async () => {
    writeFileSync(file(), '{"value":');
    await expect(service(file())).rejects.toThrow(file());
  });
});

const json = async (url: string, method: string, body?: unknown, headers: Record<string, string> = {}): Promise<{ status: number; body: unknown }> => {
  const answer = await fetch(url, { method, headers: { 'content-type': 'application/json', ...headers }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) };
};

describe('the pet shop', () => {
  it('reserves a pet once, and answers a repeated order with the same one', async () => {
    const { url } = await start(startPetshop);
    const order = { petId: 1, customer: 'Ada' };
    const first = await json(`${url}/orders`, 'POST', order, { 'idempotency-key': 'k' });
    expect(first).toMatchObject({ status: 201, body: { id: 1, petId: 1 } });
    expect(await json(`${url}/orders`, 'POST', order, { 'idempotency-key': 'k' })).toEqual(first);
    expect(await json(`${url}/orders`, 'POST', order)).toMatchObject({ status: 409 });
    expect(await json(`${url}/pets/1`, 'DELETE')).toMatchObject({ status: 409 });
  });

  it('has written a change before it answers', async () => {
    const { url } = await start(startPetshop);
    expect(await json(`${url}/pets`, 'POST', { name: 'Nemo', species: 'fish', priceCents: 500 })).toMatchObject({ status: 201 });
    expect(readFileSync(file(), 'utf8')).toContain('Nemo');
  });
});
