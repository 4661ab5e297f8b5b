import { type GraphQLCompositeType, type GraphQLOutputType, type GraphQLSchema, getNamedType, isCompositeType, isObjectType, isUnionType, Kind, parse, print, type SelectionSetNode } from 'graphql';
import { AdmissionError } from '#libs/core/admission.js';
import type { SelectedField, Selection } from '#libs/backends/graphql/selection.js';

/** Bounds of a selection that an author gives (SEC: deep, wide and alias queries). */
const MAX_DEPTH = 10;
const MAX_FIELDS = 500;

/**
 * A selection set that the API's owner wrote, `{ id name owner { login } }`, read against the schema. Literal arguments and aliases are kept; variables,
 * directives and named fragments have no place in it. Rejects with `AdmissionError` naming `where` and the field.
 */
export function readSelection(schema: GraphQLSchema, root: GraphQLOutputType, text: string, where: string): Selection {
  const named = getNamedType(root);
  const fail = (problem: string): never => { throw new AdmissionError('selection-invalid', `${where}: ${problem}`); };
  if (!isCompositeType(named)) return fail('the field has no fields of its own; leave its selection out');
  let set: SelectionSetNode | undefined;
  try {
    const [operation] = parse(text.trim().startsWith('{') ? text : `{ ${text} }`, { maxTokens: 5000 }).definitions;
    if (operation?.kind === Kind.OPERATION_DEFINITION) set = operation.selectionSet;
  } catch (error) { return fail(error instanceof Error ? error.message : String(error)); }
  if (set === undefined) return fail('is not a selection set such as { id name }');
  let fields = 0;

  const read = (nodes: SelectionSetNode, type: GraphQLCompositeType, depth: number): Selection => {
    if (depth > MAX_DEPTH) return fail(`goes deeper than ${MAX_DEPTH} levels`);
    const own: SelectedField[] = [];
    const fragments: { type: string; fields: readonly SelectedField[] }[] = [];
    for (const node of nodes.selections) {
      if ((node.directives ?? []).length > 0 || node.kind === Kind.FRAGMENT_SPREAD) return fail('has a directive or a named fragment; write the fields out');
      if (node.kind === Kind.INLINE_FRAGMENT) {
        const on = node.typeCondition === undefined ? type : schema.getType(node.typeCondition.name.value);
        if (on === undefined || !isCompositeType(on)) return fail(`there is no type ${node.typeCondition?.name.value ?? ''} with fields`);
        const inner = read(node.selectionSet, on, depth);
        fragments.push({ type: on.name, fields: inner.fields }, ...inner.fragments);
        continue;
      }
      const name = node.name.value;
      if (name === '__typename') continue;
      const field = isUnionType(type) ? undefined : type.getFields()[name];
      if (field === undefined) return fail(`${type.name} has no field ${name}`);
      if ((fields += 1) > MAX_FIELDS) return fail(`asks for more than ${MAX_FIELDS} fields`);
      const given = (node.arguments ?? []).map((argument) => print(argument)).join(', ');
      if (given.includes('$')) return fail(`${type.name}.${name} has a variable; only literal arguments can be fixed at import`);
      const inner = getNamedType(field.type);
      if (isCompositeType(inner) !== (node.selectionSet !== undefined)) return fail(isCompositeType(inner) ? `${type.name}.${name} needs fields of its own` : `${type.name}.${name} has no fields of its own`);
      own.push({
        name, type: field.type, ...(node.alias === undefined ? {} : { alias: node.alias.value }), ...(given === '' ? {} : { arguments: given }),
        ...(isCompositeType(inner) && node.selectionSet !== undefined ? { selection: read(node.selectionSet, inner, depth + 1) } : {}),
      });
    }
    if (own.length === 0 && fragments.length === 0 && isObjectType(type)) return fail(`asks for nothing of ${type.name}`);
    return { type, fields: own, fragments };
  };
  return read(set, named, 1);
}
