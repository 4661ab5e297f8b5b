import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type DescriptorProto, type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { loadSync } from '@grpc/proto-loader';
import { AdmissionError } from '#libs/core/admission.js';
import { inOrder } from '#libs/backends/grpc/descriptors.js';

/**
 * A `.proto` file and what it imports, as a `FileDescriptorSet`. Imports are looked for beside the file and in `includes`; `google/protobuf/*` is always there.
 * A text alone can import nothing else. Rejects with `AdmissionError` naming the file, the line and the missing import.
 */
export function compileProto(source: { readonly path: string; readonly includes?: readonly string[] } | { readonly text: string }, name: string): Uint8Array {
  if ('path' in source) return compile(source.path, [dirname(source.path), ...source.includes ?? []], name);
  const folder = mkdtempSync(join(tmpdir(), 'stoa-proto-'));
  try {
    const path = join(folder, 'document.proto');
    writeFileSync(path, source.text);
    return compile(path, [folder], name);
  } finally { rmSync(folder, { recursive: true, force: true }); }
}

function compile(path: string, includeDirs: readonly string[], name: string): Uint8Array {
  let definition: ReturnType<typeof loadSync>;
  try { definition = loadSync(basename(path), { includeDirs: [...includeDirs], keepCase: true }); } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT' ? (error as NodeJS.ErrnoException).path : undefined;
    if (missing !== undefined) throw new AdmissionError('missing-import', `${name}: imports ${basename(missing)}, which is not there; put it beside the file, or give a descriptor set made with protoc --include_imports`);
    throw new AdmissionError('not-protobuf', `${name}: ${text.replaceAll(/\([^)]*document\.proto, line/g, '(line')}`);
  }
  const files = new Map<string, FileDescriptorProto>();
  for (const one of Object.values(definition)) {
    const bytesOfFiles: unknown = 'fileDescriptorProtos' in one ? one.fileDescriptorProtos : undefined;
    if (!Array.isArray(bytesOfFiles)) continue;
    for (const bytes of bytesOfFiles as readonly Buffer[]) { const file = fromBinary(FileDescriptorProtoSchema, bytes); files.set(file.name, file); }
  }
  if (files.size === 0) throw new AdmissionError('no-services', `${name}: declares no message and no service`);
  qualify([...files.values()]);
  return toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: [...inOrder([...files.values()], name)] }));
}

/**
 * The compiler leaves the types of map values as they were written and says nothing of imports; descriptors want full names and the files that they are
 * from (descriptor.proto, `type_name`, `dependency`).
 */
function qualify(files: readonly FileDescriptorProto[]): void {
  const homes = new Map<string, string>();
  for (const file of files) {
    const scope = file.package === '' ? '' : `.${file.package}`;
    for (const { name } of file.enumType) homes.set(`${scope}.${name}`, file.name);
    walk(file.messageType, scope, (message, path) => { homes.set(path, file.name); for (const { name } of message.enumType) homes.set(`${path}.${name}`, file.name); });
  }
  for (const file of files) {
    const used = new Set(file.service.flatMap(({ method }) => method.flatMap(({ inputType, outputType }) => [inputType, outputType])));
    walk(file.messageType, file.package === '' ? '' : `.${file.package}`, ({ field }, path) => {
      for (const one of field) {
        if (one.typeName !== '' && !one.typeName.startsWith('.')) one.typeName = inScope(one.typeName, path, homes) ?? one.typeName;
        used.add(one.typeName);
      }
    });
    file.dependency = [...new Set([...used].flatMap((type) => homes.get(type) ?? []))].filter((home) => home !== file.name).toSorted((a, b) => (a < b ? -1 : 1));
  }
}

function walk(messages: readonly DescriptorProto[], scope: string, visit: (message: DescriptorProto, path: string) => void): void {
  for (const message of messages) {
    visit(message, `${scope}.${message.name}`);
    walk(message.nestedType, `${scope}.${message.name}`, visit);
  }
}

/** Names are looked for from the innermost scope outwards (language specification, "Name resolution"). */
function inScope(name: string, scope: string, known: ReadonlyMap<string, string>): string | undefined {
  for (let at = scope; ; at = at.slice(0, at.lastIndexOf('.'))) {
    if (known.has(`${at}.${name}`)) return `${at}.${name}`;
    if (at === '') return undefined;
  }
}
