import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProto } from 'grpc-health-check';
import descriptor, { type IDescriptorProto, type IFileDescriptorProto } from 'protobufjs/ext/descriptor/index.js';
import { loadDescriptors, PEER_PROTO } from '../proto.js';

/*
 * What the peer tells of itself to clients that have no proto files. The loader names map entries in a way that clients
 * refuse, and knows of no service but those it loaded; both are put right here.
 */

const REFLECTION_PROTOS = ['v1', 'v1alpha'].map((version) => `build/proto/grpc/reflection/${version}/reflection.proto`);

/** Tells of every service that a peer has: its own, health, and reflection itself. Takes some 100 ms: once a process. */
export function createReflection(): ReflectionService {
  const reflectionDir = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const paths = [PEER_PROTO, healthProto, ...REFLECTION_PROTOS.map((path) => join(reflectionDir, path))];
  const files = paths.flatMap((path) => loadDescriptors(path)).map(repaired);
  const definition = { '': { fileDescriptorProtos: files } };
  return new ReflectionService(definition as unknown as PackageDefinition);
}

function repaired(bytes: Buffer): Buffer {
  const file = descriptor.FileDescriptorProto.decode(bytes) as IFileDescriptorProto;
  for (const message of file.messageType ?? []) nameMapEntries(message);
  return Buffer.from(descriptor.FileDescriptorProto.encode(file).finish());
}

/** The entry of map field `file_tags` must be called `FileTagsEntry`. */
function nameMapEntries(message: IDescriptorProto): void {
  for (const nested of message.nestedType ?? []) {
    nameMapEntries(nested);
    if (nested.options?.mapEntry !== true) continue;
    const field = message.field?.find(({ typeName }) => typeName === nested.name);
    if (field?.name === undefined) throw new Error(`a map entry of ${message.name} belongs to no field`);
    nested.name = `${field.name.replace(/(?:^|_)(.?)/g, (_all, letter: string) => letter.toUpperCase())}Entry`;
    field.typeName = nested.name;
  }
}
