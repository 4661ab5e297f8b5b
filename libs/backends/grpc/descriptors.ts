import { create, createFileRegistry, type DescEnum, type DescField, type DescMessage, type DescMethod, type FileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type DescriptorProto, type FileDescriptorProto, FileDescriptorProtoSchema, type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { AdmissionError } from '#libs/core/admission.js';

/** A registry of everything in a `google.protobuf.FileDescriptorSet`. Rejects with `AdmissionError` naming the file and what it lacks. */
export function readDescriptorSet(bytes: Uint8Array, file: string): FileRegistry {
  let set: FileDescriptorSet;
  try { set = fromBinary(FileDescriptorSetSchema, bytes); } catch (error) { throw new AdmissionError('not-a-descriptor-set', `${file}: is not a FileDescriptorSet (${message(error)}); make one with protoc --descriptor_set_out --include_imports, or give the .proto itself`); }
  return registryOf(inOrder(set.file, file), file);
}

function registryOf(files: readonly FileDescriptorProto[], file: string): FileRegistry {
  for (const { messageType } of files) for (const one of messageType) nameInJson(one);
  try { return createFileRegistry(create(FileDescriptorSetSchema, { file: [...files] })); } catch (error) { throw new AdmissionError('broken-descriptors', `${file}: ${message(error)}`); }
}

/** Compilers fill `json_name`; what they left empty follows the rule (ProtoJSON: lowerCamelCase). */
export function nameInJson({ field, nestedType }: DescriptorProto): void {
  for (const one of field) if (one.jsonName === '') one.jsonName = one.name.replaceAll(/_+(.?)/g, (_underscores, letter: string) => letter.toUpperCase());
  for (const nested of nestedType) nameInJson(nested);
}

/** Each file behind those that it imports; by name where that leaves a choice. Every import must be there. */
export function inOrder(files: readonly FileDescriptorProto[], where: string): readonly FileDescriptorProto[] {
  const byName = new Map(files.map((one) => [one.name, one]));
  const ordered = new Map<string, FileDescriptorProto>();
  const open = new Set<string>();
  const take = (name: string, importer: string): void => {
    if (ordered.has(name)) return;
    const one = byName.get(name);
    if (one === undefined) throw new AdmissionError('missing-import', `${where}: ${importer} imports ${name}, which is not there; include it (protoc --include_imports)`);
    if (open.has(name)) throw new AdmissionError('broken-descriptors', `${where}: ${name} imports itself over ${importer}`);
    open.add(name);
    for (const dependency of one.dependency) take(dependency, name);
    open.delete(name);
    ordered.set(name, one);
  };
  for (const name of [...byName.keys()].toSorted()) take(name, name);
  return [...ordered.values()];
}

/** What the messages of one method need, and nothing else: files keep only the top-level types that are reached. */
export function descriptorsFor(registry: FileRegistry, { input, output }: Pick<DescMethod, 'input' | 'output'>): Uint8Array {
  const reached = new Set<DescMessage | DescEnum>();
  reach(input, reached);
  reach(output, reached);
  // What an Any may carry cannot be known: then everything stays.
  const all = [...reached].some(({ typeName }) => typeName === 'google.protobuf.Any');
  const kept = new Map<string, Set<string>>();
  for (const type of reached) {
    const top = topOf(type);
    kept.set(type.file.proto.name, (kept.get(type.file.proto.name) ?? new Set()).add(top.name));
  }
  const files = [...registry.files].map(({ proto }) => proto).filter(({ name }) => all || kept.has(name));
  const names = new Set(files.map(({ name }) => name));
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, {
    file: files.map((proto) => create(FileDescriptorProtoSchema, {
      name: proto.name, package: proto.package, syntax: proto.syntax, edition: proto.edition, ...(proto.options === undefined ? {} : { options: proto.options }),
      dependency: proto.dependency.filter((name) => names.has(name)),
      messageType: proto.messageType.filter(({ name }) => all || kept.get(proto.name)?.has(name) === true), enumType: proto.enumType.filter(({ name }) => all || kept.get(proto.name)?.has(name) === true),
    })),
  }));
}

function reach(type: DescMessage | DescEnum, reached: Set<DescMessage | DescEnum>): void {
  if (reached.has(type)) return;
  reached.add(type);
  if (type.kind === 'enum') return;
  for (const field of type.fields) for (const used of usedBy(field)) reach(used, reached);
  // Nested types stay with their parent, and so must what they need.
  for (const nested of [...type.nestedMessages, ...type.nestedEnums]) reach(nested, reached);
  if (type.parent !== undefined) reach(topOf(type), reached);
}

function usedBy(field: DescField): readonly (DescMessage | DescEnum)[] {
  return [field.message, field.enum].filter((type) => type !== undefined);
}

function topOf(type: DescMessage | DescEnum): DescMessage | DescEnum {
  let top = type;
  while (top.parent !== undefined) top = top.parent;
  return top;
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
