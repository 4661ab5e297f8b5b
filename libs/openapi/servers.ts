import type { ConversionOptions } from '#libs/core/conversion.js';
import type { DocumentContext, Findings, OperationSource } from '#libs/openapi/operation-source.js';
import { isObject, listOf, member, textOf, token } from '#libs/tool-listing/raw.js';

export interface ChosenServer { readonly url: string; readonly findings: readonly { code: string; message: string; pointer: string }[] }

/** Answers the address of each operation; servers of the same list are worked out once. */
export class Servers {
  readonly #context: DocumentContext;
  readonly #options: ConversionOptions;
  readonly #known = new Map<unknown, ChosenServer>();

  constructor(context: DocumentContext, options: ConversionOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** The operation's servers, else the path's, else the document's (OpenAPI 3.2 §4.9.1). `''` when nothing absolute is known: noted. */
  baseUrlOf(source: OperationSource, findings: Findings): string {
    if (this.#options.baseUrl !== undefined) return trimSlash(this.#options.baseUrl);
    const chosen = this.#context.format === 'swagger-2.0' ? this.#fromHost(source) : this.#fromLists(source);
    findings.notes.push(...chosen.findings);
    return chosen.url;
  }

  #fromLists(source: OperationSource): ChosenServer {
    const lists: readonly (readonly [unknown, string])[] = [
      [source.operation && member(source.operation, 'servers'), `${source.pointer}/servers`],
      [member(source.item, 'servers'), `${source.itemPointer}/servers`],
      [member(this.#context.root, 'servers'), '/servers'],
    ];
    const [list, pointer] = lists.find(([candidate]) => listOf(candidate).length > 0) ?? [undefined, '/servers'];
    return this.#remember(list ?? pointer, () => this.#choose(listOf(list), pointer));
  }

  #choose(list: readonly unknown[], pointer: string): ChosenServer {
    const findings: ChosenServer['findings'][number][] = [];
    const candidates = list.length > 0 ? list : [{ url: '/' }];
    for (const [i, server] of candidates.entries()) {
      const at = pointer + token(i);
      const url = this.#absolute(isObject(server) ? fill(server) : undefined);
      if (url === undefined) continue;
      if (candidates.length > 1) findings.push({ code: 'other-servers', message: `${candidates.length - 1} other servers are not used; set the base URL to use one`, pointer: at });
      return { url, findings };
    }
    return { url: '', findings: [{ code: 'no-server', message: 'no absolute http or https server is known; set the base URL before calling', pointer }] };
  }

  #fromHost(source: OperationSource): ChosenServer {
    const { root } = this.#context;
    const own = source.operation && member(source.operation, 'schemes');
    return this.#remember(own ?? root, () => {
      const schemes = listOf(listOf(own).length > 0 ? own : member(root, 'schemes')).filter((scheme) => scheme === 'https' || scheme === 'http');
      const fallback = this.#options.documentUrl?.startsWith('http:') === true ? 'http' : 'https';
      const scheme = schemes.includes('https') ? 'https' : (schemes[0] as string | undefined) ?? fallback;
      const host = textOf(member(root, 'host'));
      const basePath = textOf(member(root, 'basePath')) ?? '';
      const url = this.#absolute(host === undefined ? basePath || '/' : `${scheme}://${host}${basePath.startsWith('/') || basePath === '' ? basePath : `/${basePath}`}`);
      if (url !== undefined) return { url, findings: [] };
      return { url: '', findings: [{ code: 'no-server', message: 'the document names no host; set the base URL before calling', pointer: '/host' }] };
    });
  }

  #remember(key: unknown, make: () => ChosenServer): ChosenServer {
    let known = this.#known.get(key);
    if (!known) {
      known = make();
      this.#known.set(key, known);
    }
    return known;
  }

  /** OpenAPI 3.2 §4.6: relative to where the document came from. A scheme-relative URL means https when that is unknown. */
  #absolute(text: string | undefined): string | undefined {
    if (text === undefined || /\s/.test(text.trim())) return undefined;
    const base = this.#options.documentUrl ?? (text.startsWith('//') ? 'https://unknown.invalid/' : undefined);
    const url = URL.parse(text.trim(), base);
    if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) return undefined;
    // A server's query and fragment cannot be followed by a path.
    return trimSlash(`${url.origin}${url.pathname}`);
  }
}

function fill(server: Readonly<Record<string, unknown>>): string | undefined {
  const url = member(server, 'url');
  if (typeof url !== 'string') return undefined;
  const variables = member(server, 'variables');
  let complete = true;
  const filled = url.replace(/\{([^{}]*)\}/g, (whole, name: string) => {
    const variable = isObject(variables) ? member(variables, name) : undefined;
    const value = isObject(variable) ? member(variable, 'default') ?? listOf(member(variable, 'enum'))[0] : undefined;
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    complete = false;
    return whole;
  });
  return complete ? filled : undefined;
}

function trimSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
