import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { convertDocument } from '#libs/openapi/convert.js';
import { type Form, formOf } from './compare.js';
import { type AskReference, newTally, prove } from './prove.js';
import { Reference, type SwaggerClient } from './reference.js';

/** `npm run wire -- --record` writes what the reference made of these documents; every other run compares with that. */
const recorder = process.env['WIRE_RECORD'];
const RECORDED = join(import.meta.dirname, 'recorded.json');
const DOCUMENTS = ['test/wire/documents/styles.yaml', 'test/wire/documents/swagger2.yaml', 'test/fixtures/openapi/1password-events.json', 'test/fixtures/openapi/doqs.json', 'test/fixtures/openapi/urlbox.json'] as const;
const listed = (parse(readFileSync(join(import.meta.dirname, 'disagreements.yaml'), 'utf8')) as { class: string; reference: string; clause: string }[]);

describe('every exact operation of the fixture documents', () => {
  it("is sent as the reference sends it, or differs in a listed class that OpenAPI's own words decide", async () => {
    const recorded = recorder === undefined ? (JSON.parse(readFileSync(RECORDED, 'utf8')) as Record<string, Form>) : {};
    const client = recorder === undefined ? undefined : ((await import(pathToFileURL(join(recorder, 'node_modules/swagger-client/es/execute/index.js')).href)) as SwaggerClient);
    const tally = newTally();
    for (const file of DOCUMENTS) {
      const bytes = readFileSync(file);
      const reference = client && new Reference(client, parse(bytes.toString()) as Record<string, unknown>);
      const ask: AskReference = async (binding, from, args) => {
        const key = createHash('sha256').update(JSON.stringify([file, from.method, from.path, args])).digest('hex').slice(0, 24);
        if (reference) recorded[key] = await formOf(binding, reference.request(binding, from, args));
        const form = recorded[key];
        if (!form) throw new Error('was not recorded: npm run wire -- --record');
        return form;
      };
      await prove(file, await convertDocument(bytes, { fileName: file, baseUrl: 'https://wire.example' }), ask, tally);
    }
    if (recorder !== undefined) writeFileSync(RECORDED, `${JSON.stringify(recorded, undefined, 1)}\n`);
    expect(tally.disagreements).toEqual([]);
    expect([...tally.explained.keys()].filter((name) => !listed.some((entry) => entry.class === name))).toEqual([]);
    expect(tally.argumentSets).toBe(3 * tally.operations);
    expect(tally.operations).toBeGreaterThanOrEqual(25);
    // Most must be plainly equal, else the classes explain too much.
    expect(tally.equal).toBeGreaterThan(tally.argumentSets / 2);
  });
});

it('explains each class of disagreement once, with a clause', () => {
  expect(new Set(listed.map((entry) => entry.class)).size).toBe(listed.length);
  expect(listed.filter(({ clause }) => !/OpenAPI|Swagger 2\.0|RFC/.test(clause))).toEqual([]);
});
