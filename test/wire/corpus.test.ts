import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { convertDocument } from '#libs/openapi/convert.js';
import { formOf } from './compare.js';
import { newTally, prove } from './prove.js';
import { Reference, type SwaggerClient } from './reference.js';

/** Set by `npm run wire`: the corpus, the installed reference, and how much of it. */
const folder = process.env['WIRE_CORPUS'];
const library = process.env['WIRE_REFERENCE'];
const every = Number(process.env['WIRE_EVERY'] ?? 1);
const offset = Number(process.env['WIRE_OFFSET'] ?? 0);

describe.skipIf(folder === undefined || library === undefined)('every exact operation of the corpus', () => {
  it('is sent as the reference sends it', { timeout: 7_200_000 }, async () => {
    const client = (await import(pathToFileURL(join(library ?? '', 'node_modules/swagger-client/es/execute/index.js')).href)) as SwaggerClient;
    const files = globSync('**/*.{yaml,yml,json}', { cwd: folder ?? '' }).filter((file) => !file.endsWith('package.json')).toSorted().filter((_, i) => i % every === offset);
    const tally = newTally();
    let documents = 0;
    for (const file of files) {
      const bytes = readFileSync(join(folder ?? '', file));
      let converted;
      try {
        converted = await convertDocument(bytes, { fileName: file, baseUrl: 'https://wire.example' });
      } catch {
        continue;
      }
      const raw = (file.endsWith('.json') ? JSON.parse(bytes.toString()) : parse(bytes.toString(), { maxAliasCount: -1, merge: true })) as Record<string, unknown>;
      const reference = new Reference(client, raw);
      await prove(file, converted, async (binding, from, args) => formOf(binding, reference.request(binding, from, args)), tally);
      documents += 1;
      if (process.env['WIRE_PROGRESS'] !== undefined) console.error(`${documents}/${files.length} ${file} ${tally.argumentSets} sets, ${tally.disagreements.length} disagreements`);
    }
    const report = { documents, ...tally, explained: Object.fromEntries(tally.explained), refused: Object.fromEntries(tally.refused), disagreements: tally.disagreements.length, disagreementSamples: tally.disagreements.slice(0, 200) };
    writeFileSync(process.env['WIRE_REPORT'] ?? 'wire-report.json', JSON.stringify(report, undefined, 2));
    const { disagreementSamples: _, invalidSamples: __, ...summary } = report;
    console.log(JSON.stringify(summary, undefined, 2));
    expect(tally.disagreements.slice(0, 20)).toEqual([]);
  });
});
