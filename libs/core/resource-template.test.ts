import { describe, expect, it } from 'vitest';
import type { CatalogueSnapshot } from './catalogue.js';
import { templateFor } from './resource-template.js';
import type { Target } from './target.js';

const snapshot = (...names: string[]): CatalogueSnapshot => ({ resources: new Map(names.map((name) => [name, { kind: 'resource', name } as Target])) }) as unknown as CatalogueSnapshot;

describe('templateFor', () => {
  it.each([
    { template: 'test://t/{id}/data', uri: 'test://t/7/data', variables: { id: '7' } },
    { template: 'test://t/{id}', uri: 'test://t/a%20b', variables: { id: 'a b' } },
    { template: 'x://{a}-{b}/c', uri: 'x://1-2/c', variables: { a: '1', b: '2' } },
  ])('finds $template for $uri', ({ template, uri, variables }) => {
    expect(templateFor(snapshot('test://plain', template), uri)).toMatchObject({ target: { name: template }, variables });
  });
  it.each([
    { template: 'test://t/{id}/data', uri: 'test://t//data' },
    { template: 'test://t/{id}/data', uri: 'test://t/a/b/data' },
    { template: 'test://t/{id}/data', uri: 'test://t/7/data/more' },
    { template: 'test://t/{id}', uri: 'test://t/%zz' },
    { template: 'test://t/{id}', uri: 'test://t/a?b' },
    { template: 'test://t/{+path}', uri: 'test://t/a' },
    { template: 'test://t/{id', uri: 'test://t/a' },
  ])('finds nothing in $template for $uri', ({ template, uri }) => {
    expect(templateFor(snapshot(template), uri)).toBeUndefined();
  });
});
