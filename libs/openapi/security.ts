import type { CredentialSlot } from '#libs/core/rest-binding.js';
import type { DocumentContext, Findings, OperationSource } from '#libs/openapi/operation-source.js';
import { isObject, listOf, member, textOf, token } from '#libs/tool-listing/raw.js';

interface Scheme { readonly slot: string; readonly kind: CredentialSlot | undefined; readonly why: string; readonly pointer: string }

/** The document's security schemes as credential slots, and what each operation requires of them. */
export class Security {
  readonly slots: Readonly<Record<string, CredentialSlot>>;
  readonly #schemes = new Map<string, Scheme>();
  readonly #root: unknown;

  constructor(context: DocumentContext) {
    const { root, format, references } = context;
    const components = member(root, 'components');
    const swagger = format === 'swagger-2.0';
    const declared = swagger ? member(root, 'securityDefinitions') : isObject(components) ? member(components, 'securitySchemes') : undefined;
    const slots: [string, CredentialSlot][] = [];
    for (const [name, raw] of isObject(declared) ? Object.entries(declared) : []) {
      const pointer = `${swagger ? '/securityDefinitions' : '/components/securitySchemes'}${token(name)}`;
      const target = references.follow(raw, pointer);
      const kind = target.found && isObject(target.value) ? slotOf(target.value) : 'is not a Security Scheme Object';
      const slot = slotName(name, slots.map(([taken]) => taken));
      this.#schemes.set(name, { slot, pointer, kind: typeof kind === 'string' ? undefined : kind, why: typeof kind === 'string' ? kind : '' });
      if (typeof kind !== 'string') slots.push([slot, kind]);
    }
    this.slots = Object.fromEntries(slots);
    this.#root = member(root, 'security');
  }

  /** See `RestBinding.security`. An alternative that needs what cannot be sent is left out; with none left, the operation is degraded. */
  requirementsOf(source: OperationSource, findings: Findings): readonly (readonly string[])[] {
    const own = source.operation && member(source.operation, 'security');
    const given = own ?? this.#root;
    const pointer = own === undefined ? '/security' : `${source.pointer}/security`;
    const alternatives: string[][] = [];
    const lost: { code: string; message: string; pointer: string }[] = [];
    for (const [i, requirement] of listOf(given).entries()) {
      if (!isObject(requirement)) continue;
      const names = Object.keys(requirement);
      const missing = names.find((name) => this.#schemes.get(name)?.kind === undefined);
      if (missing === undefined) { alternatives.push(names.map((name) => this.#schemes.get(name)?.slot ?? name)); continue; }
      const scheme = this.#schemes.get(missing);
      lost.push(scheme
        ? { code: 'unsupported-security', message: `"${missing}" ${scheme.why}; no credential is sent for it`, pointer: scheme.pointer }
        : { code: 'unknown-security-scheme', message: `"${missing}" is not declared; no credential is sent for it`, pointer: `${pointer}${token(i)}${token(missing)}` });
    }
    if (alternatives.length > 0) findings.notes.push(...lost); else findings.reasons.push(...lost);
    return alternatives;
  }
}

/** The slot, or why no credential can be sent for this scheme. */
function slotOf(scheme: Readonly<Record<string, unknown>>): CredentialSlot | string {
  const type = member(scheme, 'type');
  switch (type) {
    case 'basic': return { type: 'basic' };
    case 'oauth2': case 'openIdConnect': return { type: 'bearer' };
    case 'http': {
      const name = textOf(member(scheme, 'scheme'))?.toLowerCase();
      if (name === 'bearer' || name === 'basic') return { type: name };
      return `uses the HTTP authentication scheme "${name ?? ''}", which is not supported`;
    }
    case 'apiKey': {
      const place = member(scheme, 'in');
      const name = textOf(member(scheme, 'name'));
      if (name !== undefined && (place === 'header' || place === 'query' || place === 'cookie')) return { type: 'apiKey', in: place, name };
      return 'is an apiKey without a name or without in: header, query or cookie';
    }
    case 'mutualTLS': return 'needs a client certificate, which is not supported';
    default: return 'is of a type that does not exist';
  }
}

function slotName(name: string, taken: readonly string[]): string {
  const legal = name.replace(/[^A-Za-z0-9_.-]+/g, '_').slice(0, 64) || 'credential';
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? legal : `${legal}_${i}`;
    if (!taken.includes(candidate) && candidate !== '__proto__') return candidate;
  }
}
