const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

export interface OperationCount {
  /** Written in the document's paths. */
  readonly written: number;
  /** Reached through the `$ref` of a path item, beside those. */
  readonly referred: number;
}

/** Counts the operations of a parsed document by reading it plainly: shares nothing with the converter that it checks. */
export function countOperations(document: unknown): OperationCount {
  const root = asObject(document);
  let written = 0;
  let referred = 0;
  for (const [path, value] of Object.entries(asObject(root['paths']))) {
    const item = asObject(value);
    if (path.startsWith('x-') || (value !== item)) continue;
    written += operationsIn(item, root);
    if (typeof item['$ref'] !== 'string') continue;
    const target = lookUp(root, item['$ref']);
    // An item that leads nowhere is one thing that has to be accounted for.
    referred += target === undefined ? 1 : operationsIn(asObject(target), root);
  }
  return { written, referred };
}

function operationsIn(item: Record<string, unknown>, root: Record<string, unknown>): number {
  const is32 = String(root['openapi']).startsWith('3.2');
  const methods = is32 ? [...METHODS, 'query'] : METHODS;
  const additional = is32 ? Object.keys(asObject(item['additionalOperations'])).length : 0;
  return methods.filter((method) => item[method] !== undefined).length + additional;
}

function lookUp(root: unknown, ref: string): unknown {
  if (!ref.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const part of decodeURIComponent(ref.slice(2)).split('/')) at = asObject(at)[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  return at;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
