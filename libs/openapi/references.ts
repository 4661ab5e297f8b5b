import { isObject, member } from '#libs/tool-listing/raw.js';

export interface Found { readonly found: true; readonly value: unknown; readonly pointer: string }
export interface NotFound { readonly found: false; readonly code: 'remote-ref' | 'unresolvable-ref' | 'cyclic-ref'; readonly message: string }

/** Longest chain of `$ref` to `$ref`. */
const MAX_CHAIN = 64;

/** Resolves `$ref`s inside one document, lazily and by reference. Never opens a file or a connection. */
export class References {
  readonly #root: unknown;
  readonly #self: readonly string[];
  readonly #known = new Map<string, Found | NotFound>();
  #anchors: Map<string, Found> | undefined;
  /** Lookups that wait for others: a pointer may lead through `$ref`s. */
  #steps = 0;

  /** `self`: absolute URLs under which the document may name itself. */
  constructor(root: unknown, self: readonly string[] = []) {
    this.#root = root;
    this.#self = self;
  }

  /** The target of one `$ref`, which may itself be a reference. */
  resolve(ref: string): Found | NotFound {
    const known = this.#known.get(ref);
    if (known) return known;
    // What is found on the way back to itself, or after too many steps, until the answer is known.
    const circle: NotFound = { found: false, code: 'cyclic-ref', message: `"${clip(ref)}" leads back to itself` };
    this.#known.set(ref, circle);
    this.#steps += 1;
    const answer = this.#steps > MAX_CHAIN ? circle : this.#lookUp(ref);
    this.#steps -= 1;
    this.#known.set(ref, answer);
    return answer;
  }

  /** Follows `$ref`s until something that is not a Reference Object. */
  follow(value: unknown, pointer: string): Found | NotFound {
    let at: Found = { found: true, value, pointer };
    for (let hops = 0; isObject(at.value) && typeof member(at.value, '$ref') === 'string'; hops++) {
      if (hops > MAX_CHAIN) return { found: false, code: 'cyclic-ref', message: `"${String(at.value['$ref'])}" leads back to itself` };
      const next = this.resolve(at.value['$ref'] as string);
      if (!next.found) return next;
      at = next;
    }
    return at;
  }

  #lookUp(ref: string): Found | NotFound {
    const hash = ref.indexOf('#');
    const base = hash === -1 ? ref : ref.slice(0, hash);
    if (base !== '' && !this.#self.includes(base)) {
      return { found: false, code: 'remote-ref', message: `"${clip(ref)}" is outside the document, and other files are never fetched; put it under components` };
    }
    const fragment = hash === -1 ? '' : decodeFragment(ref.slice(hash + 1));
    const target = fragment === '' || fragment.startsWith('/') ? this.#byPointer(fragment) : this.#byAnchor(fragment);
    return target ?? { found: false, code: 'unresolvable-ref', message: `"${clip(ref)}" does not exist in the document` };
  }

  #byPointer(pointer: string): Found | undefined {
    let value = this.#root;
    for (const part of pointer.split('/').slice(1)) {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
      let next = isObject(value) || Array.isArray(value) ? member(value as Record<string, unknown>, key) : undefined;
      if (next === undefined && isObject(value) && typeof member(value, '$ref') === 'string') {
        const through = this.resolve(value['$ref'] as string);
        if (through.found && isObject(through.value)) next = member(through.value, key);
      }
      if (next === undefined) return undefined;
      value = next;
    }
    return { found: true, value, pointer };
  }

  #byAnchor(name: string): Found | undefined {
    this.#anchors ??= indexAnchors(this.#root);
    return this.#anchors.get(name);
  }
}

function decodeFragment(fragment: string): string {
  try { return decodeURIComponent(fragment); } catch { return fragment; }
}

function clip(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function indexAnchors(root: unknown): Map<string, Found> {
  const anchors = new Map<string, Found>();
  const seen = new Set<unknown>();
  const open: Found[] = [{ found: true, value: root, pointer: '' }];
  for (let at = open.pop(); at; at = open.pop()) {
    const { value, pointer } = at;
    if (typeof value !== 'object' || value === null || seen.has(value)) continue;
    seen.add(value);
    for (const [key, inner] of Object.entries(value)) {
      if ((key === '$anchor' || key === '$dynamicAnchor') && typeof inner === 'string' && !anchors.has(inner)) anchors.set(inner, at);
      open.push({ found: true, value: inner, pointer: `${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}` });
    }
  }
  return anchors;
}
