import { toShoalError } from '../../common/errors.js';
import type { FileDetail } from '../../index-server/api/files.js';
import type { HttpDoorDeps } from './deps.js';
import { detailOf } from './problem.js';
import { statOf } from './stat-of.js';

/** Peers that are tried before this one takes an upload itself. */
const UPLOAD_TRIES = 3;

/** What {@link FileRegistrar} works with. */
export type RegisterDeps = Pick<
  HttpDoorDeps,
  'index' | 'membership' | 'store' | 'publisher' | 'peers' | 'share' | 'log' | 'metrics'
>;

/** A user with the session to act with. */
export interface SeedUser {
  readonly username: string;
  readonly token: string;
}

/** A file that is published, in the form that the index wants. */
export interface RegisteredFile {
  readonly name: string;
  readonly id: string;
  /** Whether the user had no such file under this name before. */
  readonly isNew: boolean;
}

/** Publishes files of the share folder for a user and uploads each to another peer. */
export class FileRegistrar {
  readonly #deps: RegisterDeps;
  #turn = 0;

  constructor(deps: RegisterDeps) {
    this.#deps = deps;
  }

  /**
   * One file after another. `operation` has a line for each; a file that cannot be published is named there with the
   * reason, and the others still go. Throws only when the signal fires.
   */
  async register(
    names: readonly string[],
    user: SeedUser,
    signal: AbortSignal,
  ): Promise<{ readonly registered: readonly RegisteredFile[]; readonly operation: readonly string[] }> {
    const registered: RegisteredFile[] = [];
    const operation: string[] = [];
    for (const name of names) {
      try {
        const file = await this.#publish(name, user, signal);
        registered.push({ name, id: file.id, isNew: file.isNew });
        operation.push(`${name}: ${await this.#upload(file.detail, user, signal)}`);
      } catch (thrown) {
        signal.throwIfAborted();
        operation.push(`${name}: ${this.#reason(thrown)}`);
      }
    }
    return { registered, operation };
  }

  /** Publishes from this peer. Labels that the user gave the name before are kept. */
  async #publish(
    name: string,
    { username, token }: SeedUser,
    signal: AbortSignal,
  ): Promise<{ readonly id: string; readonly isNew: boolean; readonly detail: FileDetail }> {
    const { index, membership, publisher, share } = this.#deps;
    const handle = await share.open(name);
    try {
      const before = await statOf(index, membership.auth(token), `${username}/${name}`, signal);
      const { tags = {}, visibility = 'public', readers = [], replicas } = before ?? {};
      const { published } = await publisher.publish(
        { fd: handle.fd },
        { name, tags, visibility, readers, replicas, onBehalf: token, wait: false },
        { signal },
      );
      const detail = published.file;
      return { id: detail.id, isNew: detail.id !== before?.id, detail };
    } finally {
      await handle.close();
    }
  }

  /** Uploads through gRPC to another live peer, or to this one when no other takes it. Returns where it went. */
  async #upload(file: FileDetail, { token }: SeedUser, signal: AbortSignal): Promise<string> {
    const failures: string[] = [];
    for (const { name, address } of this.#targets()) {
      try {
        await this.#uploadTo(address, file, token, signal);
        return [`uploaded to ${name} (${address})`, ...failures].join('; ');
      } catch (thrown) {
        signal.throwIfAborted();
        failures.push(`${name} (${address}) did not take it: ${this.#reason(thrown)}`);
      }
    }
    return `published here, but no peer took the upload: ${failures.join('; ')}`;
  }

  async #uploadTo(address: string, file: FileDetail, token: string, signal: AbortSignal): Promise<void> {
    const { index, membership, metrics, peers, store } = this.#deps;
    const { ticket } = await index.publishTicket(membership.auth(token), signal);
    const { id, name, size, sha256, tags, visibility, readers } = file;
    const data = store.get(id)?.read({ offset: 0, length: size });
    if (data === undefined) throw new TypeError('a file that was just published is not in the store');
    await peers.upload(address, { ticket, header: { name, size, sha256, tags, visibility, readers }, data }, signal);
    metrics.sentBytes.inc({ kind: 'upload' }, size);
  }

  /** Other peers in turn, then this one. */
  #targets(): readonly { readonly name: string; readonly address: string }[] {
    const { address: own, livePeers } = this.#deps.membership;
    const others = livePeers.filter(({ address }) => address !== own);
    const first = others.length === 0 ? 0 : this.#turn++ % others.length;
    const inTurn = [...others.slice(first), ...others.slice(0, first)].slice(0, UPLOAD_TRIES);
    return [...inTurn, { name: 'this peer', address: own }];
  }

  #reason(thrown: unknown): string {
    const error = toShoalError(thrown);
    if (error.code === 'internal') this.#deps.log.error({ error: thrown }, 'a file could not be registered');
    return detailOf(error);
  }
}
