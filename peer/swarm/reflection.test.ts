import { createRequire } from 'node:module';
import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import descriptor, {
  type IDescriptorProto,
  type IFileDescriptorProto,
  type IServiceDescriptorProto,
} from 'protobufjs/ext/descriptor/index.js';
import { type SwarmPeer, startSwarmPeer } from '../testing/swarm-peers.js';

/* Reflection as a client sees that has no proto files. */

const PROTO = createRequire(import.meta.url)
  .resolve('@grpc/reflection/package.json')
  .replace('package.json', 'build/proto/grpc/reflection/v1/reflection.proto');
const service = loadSync(PROTO)['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;
const method = service['ServerReflectionInfo'] as MethodDefinition<object, Answer>;

interface Answer {
  readonly listServicesResponse?: { readonly service: { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: Buffer[] };
}

let peer: SwarmPeer;
let client: Client;
beforeAll(async () => {
  peer = await startSwarmPeer('a');
  client = new Client(peer.holder.address, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await peer.close();
});

async function ask(request: object): Promise<Answer> {
  const call = client.makeBidiStreamRequest(method.path, method.requestSerialize, method.responseDeserialize);
  call.write(request);
  call.end();
  for await (const answer of call) return answer as Answer;
  throw new Error('no answer');
}

async function filesOf(symbol: string): Promise<IFileDescriptorProto[]> {
  const { fileDescriptorResponse } = await ask({ fileContainingSymbol: symbol });
  const files = fileDescriptorResponse?.fileDescriptorProto ?? [];
  return files.map((bytes) => descriptor.FileDescriptorProto.decode(bytes) as IFileDescriptorProto);
}

const SERVICES = [
  'shoal.peer.v1.PeerService',
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

test('every service is listed', async () => {
  const { listServicesResponse } = await ask({ listServices: '*' });
  expect(listServicesResponse?.service.map(({ name }) => name)).toEqual(SERVICES);
});

test.each(SERVICES)('the files of %s describe all that it speaks of', async (name) => {
  const file = await filesOf(name);
  const root = (protobuf.Root as unknown as { fromDescriptor(set: object): protobuf.Root }).fromDescriptor({ file });
  expect(() => root.resolveAll()).not.toThrow();
  const services = file.flatMap(({ service: all = [] }) => all) as IServiceDescriptorProto[];
  expect(services.map((one) => one.name)).toEqual([name.slice(name.lastIndexOf('.') + 1)]);
});

test('a map field has an entry of the name that clients demand, and fields are called as in the file', async () => {
  const [file] = await filesOf('shoal.peer.v1.UploadHeader');
  const messages = file?.messageType as IDescriptorProto[];
  const header = messages.find(({ name }) => name === 'UploadHeader');
  const tags = header?.field?.find(({ name }) => name === 'tags');
  expect(tags?.typeName).toBe('TagsEntry');
  expect(header?.nestedType).toMatchObject([{ name: 'TagsEntry', options: { mapEntry: true } }]);
  const open = messages.find(({ name }) => name === 'Open');
  expect(open?.field?.map(({ name }) => name)).toContain('file_id');
});
