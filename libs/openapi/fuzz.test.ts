import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { convertDocument } from '#libs/openapi/convert.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { definitionsNamedIn } from '#libs/tool-listing/self-contained.js';

const fixture = readFileSync(new URL('../../test/fixtures/openapi/doqs.json', import.meta.url), 'utf8');

/** Every place of the document, as the members that lead to it. */
function places(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}
const PLACES = places(JSON.parse(fixture)).filter((path) => path.length > 1 && path[0] !== 'info');

function replaced(changes: readonly { readonly at: number; readonly by: unknown }[]): Uint8Array {
  const document = JSON.parse(fixture) as Record<string, unknown>;
  for (const { at, by } of changes) {
    const path = PLACES[at % PLACES.length] ?? [];
    let parent: unknown = document;
    for (const key of path.slice(0, -1)) parent = typeof parent === 'object' && parent !== null ? (parent as Record<string, unknown>)[key] : undefined;
    if (typeof parent === 'object' && parent !== null) Object.defineProperty(parent, path.at(-1) ?? '', { value: by, enumerable: true, configurable: true, writable: true });
  }
  return new TextEncoder().encode(JSON.stringify(document));
}

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1e300, '', '#', '#/', '$ref', [], {}, [null], { $ref: null }, { $ref: '#' }, { $ref: '#/components/schemas' }, { $ref: 'x' }, { $ref: '#/paths' }, { __proto__: 1 }),
  fc.constantFrom(...PLACES).map((path) => ({ $ref: `#/${path.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}` })),
);

it('whatever stands where something else should, a document is refused as a whole or every operation has one verdict', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ at: fc.nat(), by: odd }), { minLength: 1, maxLength: 6 }), async (changes) => {
    const converted = await convertDocument(replaced(changes), {}).catch((error: unknown) => {
      if (error instanceof DocumentError) return undefined;
      throw error;
    });
    if (!converted) return;
    const { tools, ledger, definitions } = converted;
    for (const { verdict, reasons, tool } of ledger) {
      expect(verdict === 'exact').toBe(reasons.length === 0);
      expect(tool === undefined).toBe(verdict === 'refused');
    }
    expect(new Set(tools.map(({ name }) => name)).size).toBe(tools.length);
    for (const schema of [...Object.values(definitions), ...tools.flatMap(({ inputSchema, outputSchema }) => [inputSchema, outputSchema])]) {
      for (const key of definitionsNamedIn(schema)) expect(definitions).toHaveProperty([key]);
    }
    for (const { listed, inputSchema } of tools) {
      expect(JSON.parse(listed)).toHaveProperty('inputSchema.type', 'object');
      expect(inputSchema).toHaveProperty('type', 'object');
    }
  }), { numRuns: 150 });
});
