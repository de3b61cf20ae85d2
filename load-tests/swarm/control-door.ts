import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { PACKAGE_ROOT } from '../../common/version.js';
import type { GetRequest } from '../../proto/gen/shoal/control/v1/GetRequest.js';
import type { GetResponse__Output } from '../../proto/gen/shoal/control/v1/GetResponse.js';

/*
 * The control socket of a peer, used as `shoal get` uses it: starting sixteen commands at once would measure the start of
 * Node on a machine that has two cores.
 */

const PROTO_DIR = join(PACKAGE_ROOT, 'proto');
const CONNECT_MS = 10_000;

/** A peer's control socket. */
export class ControlDoor {
  readonly #client: Client;
  readonly #get: MethodDefinition<GetRequest, GetResponse__Output>;

  private constructor(client: Client) {
    this.#client = client;
    const options = { longs: Number, enums: String, defaults: true, oneofs: true, includeDirs: [PROTO_DIR] };
    const service = loadSync('shoal/control/v1/control.proto', options)['shoal.control.v1.ControlService'];
    this.#get = (service as unknown as { Get: MethodDefinition<GetRequest, GetResponse__Output> }).Get;
  }

  /** Resolves when somebody answers on the socket. */
  static async connect(socket: string): Promise<ControlDoor> {
    const client = new Client(`unix:${socket}`, credentials.createInsecure());
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + CONNECT_MS, (error) => (error === undefined ? resolve() : reject(error)));
    });
    return new ControlDoor(client);
  }

  /** Gets a file into `target`, which is made. `onStored` is told when the peer has all of it, checked, in its store. */
  async get(ref: string, target: string, onStored: () => void): Promise<void> {
    await writeFile(target, '', { flag: 'w' });
    const { dev, ino } = await stat(target, { bigint: true });
    const { path, requestSerialize, responseDeserialize } = this.#get;
    const request = { ref, target: { path: target, device: String(dev), inode: String(ino) } };
    const call = this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    for await (const event of call as AsyncIterable<GetResponse__Output>) {
      if (event.progress?.phase === 'PHASE_WRITING') onStored();
      if (event.done) return;
    }
    throw new Error(`the get of ${ref} ended without saying how it went`);
  }

  close(): void {
    this.#client.close();
  }
}
