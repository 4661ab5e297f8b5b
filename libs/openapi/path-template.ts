import type { Findings, OperationSource } from '#libs/openapi/operation-source.js';
import type { RawParameter } from '#libs/openapi/raw-parameter.js';

export interface PathTemplate {
  /** As sent to the backend's request builder: no fragment, every expression the name of a path parameter. */
  readonly path: string;
  /** Expressions that no path parameter declares. */
  readonly undeclared: readonly string[];
  /** Names of path parameters with a place in the template. */
  readonly expressions: ReadonlySet<string>;
}

/** Reads `/pets/{petId}` against the declared parameters; refuses a template whose braces do not match. */
export function readTemplate(source: OperationSource, parameters: readonly RawParameter[], findings: Findings): PathTemplate {
  const pathPointer = source.itemPointer;
  let path = source.path;
  const hash = path.indexOf('#');
  if (hash !== -1) {
    findings.note('path-fragment', 'the part of the path after "#" only tells operations apart and is never sent', pathPointer);
    path = path.slice(0, hash);
  }
  if (!path.startsWith('/')) {
    if (path !== '' && !path.startsWith('?')) findings.degrade('path-without-slash', 'the path does not begin with "/"; one is put in front', pathPointer);
    path = `/${path}`;
  }
  path = withoutQueryExpressions(path, parameters, { findings, pathPointer });
  const inQuery = path.includes('?');
  if (inQuery) findings.note('path-with-query', 'the path has a query string, which is sent as it stands', pathPointer);
  if (path.replace(/\{[^{}]+\}/g, '').search(/[{}]/) !== -1) findings.refuse('path-template-malformed', 'the braces of the path do not match; write {name}', pathPointer);
  const declared = new Set(parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name));
  const expressions = new Set<string>();
  const undeclared: string[] = [];
  for (const [, name = ''] of path.matchAll(/\{([^{}]+)\}/g)) {
    if (expressions.has(name)) continue;
    expressions.add(name);
    if (declared.has(name)) continue;
    undeclared.push(name);
    findings.degrade('path-parameter-undeclared', `"{${name}}" has no path parameter; a string is asked for`, pathPointer);
  }
  return { path, undeclared, expressions };
}

/** `/search?q={q}` with a query parameter `q`: the declared parameter is what is sent. */
function withoutQueryExpressions(path: string, parameters: readonly RawParameter[], say: { findings: Findings; pathPointer: string }): string {
  const question = path.indexOf('?');
  if (question === -1) return path;
  const queryNames = new Set(parameters.filter((parameter) => parameter.in === 'query').map((parameter) => parameter.name));
  const pairs = path.slice(question + 1).split('&');
  const kept = pairs.filter((pair) => {
    const [, name, expression] = /^([^=]*)=\{([^{}]+)\}$/.exec(pair) ?? [];
    return name === undefined || expression === undefined || !queryNames.has(name);
  });
  if (kept.length === pairs.length) return path;
  say.findings.note('path-expression-in-query', 'expressions in the query part of the path stand for the query parameters of the same name', say.pathPointer);
  return path.slice(0, question) + (kept.length > 0 ? `?${kept.join('&')}` : '');
}
