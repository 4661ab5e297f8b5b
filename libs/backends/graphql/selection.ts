import {
  getNamedType, type GraphQLCompositeType, type GraphQLField, type GraphQLOutputType, type GraphQLSchema, isAbstractType, isCompositeType, isInterfaceType, isLeafType, isObjectType, isRequiredArgument, isUnionType,
} from 'graphql';

/** What is asked of one composite type. */
export interface Selection {
  readonly type: GraphQLCompositeType;
  /** In the order of the schema. */
  readonly fields: readonly SelectedField[];
  /** Of interfaces and unions: what is asked of each possible type besides. `__typename` is then asked too. */
  readonly fragments: readonly { readonly type: string; readonly fields: readonly SelectedField[] }[];
}
export interface SelectedField {
  readonly name: string;
  /** Name in the answer, where it is not the field's own. */
  readonly alias?: string;
  readonly type: GraphQLOutputType;
  /** Literal arguments as text, from a selection given at import. */
  readonly arguments?: string;
  readonly selection?: Selection;
}
export interface SelectionLimits {
  /** Levels of objects under the root field's own; `edges`, `node` and `nodes` of a connection do not count. */
  readonly depth: number;
  /** Leaf fields of the whole document. */
  readonly leaves: number;
  /** Possible types of one interface or union. */
  readonly types: number;
}
export const SELECTION_LIMITS: SelectionLimits = { depth: 3, leaves: 150, types: 12 };

/** Why something that could be asked for is not. */
export interface Omission { readonly code: 'field-needs-arguments' | 'selection-too-deep' | 'selection-too-wide'; readonly path: string }

/**
 * The rule by which a document asks for fields when nobody chose them: all leaf fields that need no arguments; of objects, breadth before depth, the same
 * down to the limits; a type that is already above is not entered again. Of interfaces and unions the common fields, `__typename`, and each possible
 * type's own. Fields that are deprecated, or need arguments, are left out. Undefined: nothing can be asked, so that the field cannot be called.
 */
export function chooseSelection(schema: GraphQLSchema, root: GraphQLOutputType, limits: SelectionLimits = SELECTION_LIMITS): { readonly selection: Selection | undefined; readonly omitted: readonly Omission[] } {
  const named = getNamedType(root);
  if (!isCompositeType(named)) return { selection: undefined, omitted: [] };
  const chooser = new Chooser(schema, limits);
  return { selection: chooser.choose(named, { depth: 0, path: named.name, above: new Set() }), omitted: chooser.omitted };
}

interface Place { readonly depth: number; readonly path: string; readonly above: ReadonlySet<string> }

class Chooser {
  readonly omitted: Omission[] = [];
  #leaves = 0;
  readonly #schema: GraphQLSchema;
  readonly #limits: SelectionLimits;
  constructor(schema: GraphQLSchema, limits: SelectionLimits) {
    this.#schema = schema;
    this.#limits = limits;
  }

  choose(type: GraphQLCompositeType, place: Place): Selection | undefined {
    const above = new Set([...place.above, type.name]);
    const fields = isUnionType(type) ? [] : this.#fields(Object.values(type.getFields()), { ...place, above });
    if (!isAbstractType(type)) return fields.length === 0 ? undefined : { type, fields, fragments: [] };
    const common = new Set(isInterfaceType(type) ? Object.keys(type.getFields()) : []);
    const possible = this.#schema.getPossibleTypes(type);
    if (possible.length > this.#limits.types) this.omitted.push({ code: 'selection-too-wide', path: place.path });
    const drafts = possible.slice(0, this.#limits.types).map((one) => ({
      type: one.name, fields: above.has(one.name) && one.name !== type.name ? [] : this.#fields(Object.values(one.getFields()).filter(({ name }) => !common.has(name)), { ...place, path: `${place.path}<${one.name}>`, above: new Set([...above, one.name]) }),
    }));
    return { type, fields, fragments: aliased(drafts) };
  }

  #fields(fields: readonly GraphQLField<unknown, unknown>[], place: Place): SelectedField[] {
    const askable = fields.filter((field) => field.deprecationReason == null && !this.#needsArguments(field, place));
    const chosen = new Map<string, SelectedField>();
    for (const field of askable) {
      if (!isLeafType(getNamedType(field.type))) continue;
      if (this.#leaves >= this.#limits.leaves) { this.omitted.push({ code: 'selection-too-wide', path: place.path }); break; }
      this.#leaves += 1;
      chosen.set(field.name, { name: field.name, type: field.type });
    }
    for (const field of askable) {
      const selection = this.#nested(field, place);
      if (selection !== undefined) chosen.set(field.name, { name: field.name, type: field.type, selection });
    }
    return askable.flatMap(({ name }) => chosen.get(name) ?? []);
  }

  #nested(field: GraphQLField<unknown, unknown>, place: Place): Selection | undefined {
    const type = getNamedType(field.type);
    if (!isCompositeType(type) || place.above.has(type.name)) return undefined;
    const path = `${place.path}.${field.name}`;
    const free = CONNECTION.has(field.name);
    if (!free && place.depth >= this.#limits.depth) { this.omitted.push({ code: 'selection-too-deep', path }); return undefined; }
    if (this.#leaves >= this.#limits.leaves) { this.omitted.push({ code: 'selection-too-wide', path }); return undefined; }
    return this.choose(type, { depth: place.depth + (free ? 0 : 1), path, above: place.above });
  }

  #needsArguments(field: GraphQLField<unknown, unknown>, place: Place): boolean {
    if (!field.args.some((argument) => isRequiredArgument(argument))) return false;
    this.omitted.push({ code: 'field-needs-arguments', path: `${place.path}.${field.name}` });
    return true;
  }
}

/** Relay's cursor connections: wrappers, not objects of the domain. */
const CONNECTION: ReadonlySet<string> = new Set(['edges', 'node', 'nodes', 'pageInfo']);

/** Two types' fields of one name but different types cannot share a name in the answer (GraphQL §5.3.2): each gets its type's. */
function aliased(fragments: Selection['fragments']): Selection['fragments'] {
  const types = new Map<string, Set<string>>();
  for (const { fields } of fragments) for (const { name, type } of fields) types.set(name, (types.get(name) ?? new Set()).add(String(type)));
  return fragments.map(({ type, fields }) => ({ type, fields: fields.map((field) => ((types.get(field.name)?.size ?? 0) > 1 || field.selection !== undefined ? { ...field, alias: `${field.name}_${type}` } : field)) }))
    .filter(({ fields }) => fields.length > 0);
}

/** The selection as GraphQL text, braces included. */
export function printSelection({ fields, fragments, type }: Selection): string {
  const asked = [...isObjectType(type) ? [] : ['__typename'], ...fields.map(printField), ...fragments.map((fragment) => `... on ${fragment.type} { ${fragment.fields.map(printField).join(' ')} }`)];
  return `{ ${asked.join(' ')} }`;
}

function printField({ name, alias, arguments: given, selection }: SelectedField): string {
  return `${alias === undefined ? '' : `${alias}: `}${name}${given === undefined ? '' : `(${given})`}${selection === undefined ? '' : ` ${printSelection(selection)}`}`;
}
