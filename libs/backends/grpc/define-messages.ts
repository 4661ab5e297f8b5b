import { create, createFileRegistry, type FileRegistry } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label as Label, FieldDescriptorProto_Type as Type, FieldDescriptorProtoSchema, file_google_protobuf_any, file_google_protobuf_duration, FileDescriptorProtoSchema, type DescriptorProto, DescriptorProtoSchema, type FieldDescriptorProto,
} from '@bufbuild/protobuf/wkt';
import { nameInJson } from '#libs/backends/grpc/descriptors.js';

type Kind = 'string' | 'bytes' | 'int32' | (string & {});
/** `name: [number, type]` with `type[]` for repeated; a type with a dot is a message's full name. */
export type MessageTable = Readonly<Record<string, Readonly<Record<string, readonly [number, Kind]>>>>;

const SCALARS: Readonly<Record<string, Type>> = { string: Type.STRING, bytes: Type.BYTES, int32: Type.INT32 };

/** Messages that are known beforehand, without generated code: those of the reflection service and of error details. */
export function defineMessages(name: string, pkg: string, table: MessageTable): FileRegistry {
  const file = create(FileDescriptorProtoSchema, {
    name, package: pkg, syntax: 'proto3', dependency: ['google/protobuf/any.proto', 'google/protobuf/duration.proto'],
    messageType: Object.entries(table).map(([message, fields]) => messageOf(message, fields)),
  });
  return createFileRegistry(file, (dependency) => (dependency === 'google/protobuf/any.proto' ? file_google_protobuf_any : dependency === 'google/protobuf/duration.proto' ? file_google_protobuf_duration : undefined));
}

function messageOf(name: string, fields: MessageTable[string]): DescriptorProto {
  const message = create(DescriptorProtoSchema, { name, field: Object.entries(fields).map(([field, [number, kind]]) => fieldOf(field, number, kind)) });
  nameInJson(message);
  return message;
}

function fieldOf(name: string, number: number, kind: string): FieldDescriptorProto {
  const one = kind.replace(/\[\]$/, '');
  const scalar = SCALARS[one];
  return create(FieldDescriptorProtoSchema, {
    name, number, label: one === kind ? Label.OPTIONAL : Label.REPEATED, type: scalar ?? Type.MESSAGE, ...(scalar === undefined ? { typeName: `.${one}` } : {}),
  });
}
