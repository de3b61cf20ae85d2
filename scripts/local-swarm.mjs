// The programs of a swarm on one machine: what each is called, where it listens, what it is told.

import { join, relative, resolve } from 'node:path';
import { root } from './setup.mjs';

/** Peer N listens on N below (gRPC) and N above (HTTP) the index's port, and nothing else may. */
export const MOST_PEERS = 50;

/**
 * @param {{ port: number, dataDir: string }} options port of the index; folder of all data, from the clone's root
 */
export function indexProgram({ port, dataDir }) {
  const folder = join(dataDir, 'index');
  return {
    name: 'index',
    command: 'index',
    folders: [folder],
    ports: [port],
    url: `http://127.0.0.1:${port}`,
    logFile: join(dataDir, 'logs', 'index.log'),
    environment: {
      SHOAL_STORE: `embedded:${join(folder, 'catalog.db')}`,
      SHOAL_INDEX_PORT: String(port),
    },
  };
}

/**
 * Node's for peers. Bytes that come over HTTP or stock gRPC lie outside the heap, and are given back when the young generation
 * is collected: while that is small, before V8 takes them for growth of the whole heap.
 */
const PEER_NODE_FLAGS = ['--max-semi-space-size=2'];

/**
 * @param {number} number from 1
 * @param {{ port: number, dataDir: string }} options as for the index
 */
export function peerProgram(number, { port, dataDir }) {
  const name = `peer-${number}`;
  const folder = join(dataDir, name);
  const grpcPort = port - number;
  const httpPort = port + number;
  return {
    name,
    command: 'peer',
    nodeFlags: PEER_NODE_FLAGS,
    folders: [join(folder, 'share')],
    ports: [grpcPort, httpPort],
    url: `http://127.0.0.1:${httpPort}`,
    address: `127.0.0.1:${grpcPort}`,
    shareDir: join(folder, 'share'),
    socket: join(folder, 'control.sock'),
    logFile: join(dataDir, 'logs', `${name}.log`),
    environment: {
      SHOAL_INDEX_URL: `http://127.0.0.1:${port}`,
      SHOAL_DATA_DIR: folder,
      SHOAL_SHARE_DIR: join(folder, 'share'),
      SHOAL_SOCKET: join(folder, 'control.sock'),
      SHOAL_PEER_NAME: name,
      SHOAL_ADVERTISE_ADDRESS: `127.0.0.1:${grpcPort}`,
      SHOAL_GRPC_PORT: String(grpcPort),
      SHOAL_HTTP_PORT: String(httpPort),
      SHOAL_REPLICAS: '1',
    },
  };
}

/** A folder as the programs are told it: from the clone's root where it lies inside, which keeps socket paths short. */
export function folderFromRoot(folder) {
  const path = resolve(root, folder);
  const inside = relative(root, path);
  return inside.startsWith('..') ? path : inside;
}
