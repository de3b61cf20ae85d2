import { open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { DrainDone__Output } from '../../proto/gen/shoal/control/v1/DrainDone.js';
import type { GetDone__Output } from '../../proto/gen/shoal/control/v1/GetDone.js';
import type { GetFound__Output } from '../../proto/gen/shoal/control/v1/GetFound.js';
import type { GetResponse__Output } from '../../proto/gen/shoal/control/v1/GetResponse.js';
import type { PutDone__Output } from '../../proto/gen/shoal/control/v1/PutDone.js';
import type { PutStart } from '../../proto/gen/shoal/control/v1/PutStart.js';
import type { VerifyDone__Output } from '../../proto/gen/shoal/control/v1/VerifyDone.js';
import { ControlClient } from '../cli/control-client.js';
import { openInputFile } from '../cli/input-file.js';
import { callPut } from '../cli/put-call.js';
import type { StoredSession } from '../cli/session-file.js';

/** What came of a get. */
export interface Got {
  readonly found: GetFound__Output;
  readonly done: GetDone__Output;
  /** What came as events; empty when the daemon wrote to the target itself. */
  readonly data: Buffer;
}

const noProgress = { update: () => undefined, finish: () => undefined };

/** A person at the control socket of a peer, with or without a session: what `shoal` does, without its texts. */
export class PeerUser {
  readonly client: ControlClient;
  readonly #socketPath: string;

  private constructor(client: ControlClient, socketPath: string) {
    this.client = client;
    this.#socketPath = socketPath;
  }

  static async at(
    socketPath: string,
    options: { readonly session?: StoredSession; readonly signal?: AbortSignal } = {},
  ): Promise<PeerUser> {
    const signal = options.signal ?? new AbortController().signal;
    return new PeerUser(await ControlClient.connect({ socketPath, signal, session: options.session }), socketPath);
  }

  /** Registers an account and returns the user who is logged in to it, here or at another peer. */
  async register(username: string, at = this.#socketPath): Promise<PeerUser> {
    const { session, expiresAt } = await this.client.call('Register', { username, password: `${username}-password` });
    return PeerUser.at(at, { session: { username, token: session, expiresAt } });
  }

  /** Publishes a file that the daemon can open itself. */
  async putFile(path: string, start: PutStart): Promise<PutDone__Output> {
    const input = await openInputFile(path, '/');
    try {
      const { localPath: source, size } = input;
      return await callPut(
        { client: this.client, input, progress: noProgress as never },
        {
          ...start,
          ...(source !== undefined && { source }),
          ...(size !== undefined && { size }),
        },
      );
    } finally {
      await input.close();
    }
  }

  /** Publishes bytes that are sent, in pieces; their number is told beforehand unless `isSizeKnown` is false. */
  async put(bytes: Buffer, start: PutStart, { isSizeKnown = true } = {}): Promise<PutDone__Output> {
    const pieces = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, i) =>
      bytes.subarray(i * 65_536, (i + 1) * 65_536),
    );
    const input = {
      localPath: undefined,
      size: isSizeKnown ? bytes.length : undefined,
      read: () => Readable.from(pieces),
      close: async () => undefined,
    };
    const request = isSizeKnown ? { ...start, size: bytes.length } : start;
    return callPut({ client: this.client, input, progress: noProgress as never }, request);
  }

  /** Fetches; with `path`, into that file, which is made. `onEvent` sees everything that comes. */
  async get(
    ref: string,
    options: { readonly path?: string; readonly onEvent?: (event: GetResponse__Output) => void } = {},
  ): Promise<Got> {
    const target = options.path === undefined ? {} : { target: await emptyFile(options.path) };
    let found: GetFound__Output | undefined;
    let done: GetDone__Output | undefined;
    const data: Buffer[] = [];
    for await (const event of this.client.get({ ref, ...target })) {
      options.onEvent?.(event);
      if (event.found) found = event.found;
      // Their memory is used again for the next.
      else if (event.data) data.push(Buffer.from(event.data));
      else if (event.done) done = event.done;
    }
    if (found === undefined || done === undefined) throw new Error('a get ended without found or done');
    return { found, done, data: Buffer.concat(data) };
  }

  /** Drains, or takes that back. */
  async drain(undo = false): Promise<DrainDone__Output> {
    let done: DrainDone__Output | undefined;
    for await (const event of this.client.drain({ undo })) if (event.done) done = event.done;
    if (done === undefined || done === null) throw new Error('a drain ended without done');
    return done;
  }

  async verify(ref: string): Promise<VerifyDone__Output> {
    let done: VerifyDone__Output | undefined;
    for await (const event of this.client.verify({ ref })) if (event.done) done = event.done;
    if (done === undefined) throw new Error('a verify ended without done');
    return done;
  }

  close(): void {
    this.client.close();
  }
}

async function emptyFile(path: string) {
  await (await open(path, 'w', 0o600)).close();
  const { dev, ino } = await stat(path, { bigint: true });
  return { path, device: `${dev}`, inode: `${ino}` };
}
