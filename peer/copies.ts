import { toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { Published } from '../index-server/api/files.js';
import type { IndexClient } from '../index-server/client.js';
import type { LivePeer, Membership } from './membership.js';
import type { StoredFile } from './stored-file.js';
import type { RemotePeers } from './swarm/remote-peer.js';

/** Who is not reached for so long has to wait until all others were asked. */
const CONNECT_MS = 2_000;

/** What {@link Copies} work with. */
export interface CopiesDeps {
  readonly index: Pick<IndexClient, 'locate'>;
  readonly membership: Pick<Membership, 'auth' | 'livePeers' | 'livePeerCount' | 'swarmToken' | 'peerName'>;
  readonly peers: Pick<RemotePeers, 'replicate'>;
  readonly log: Logger;
}

/** How copies are made, and who is told. */
export interface CopiesOptions {
  readonly onBehalf: string | undefined;
  readonly signal: AbortSignal;
  /** Told how many there are of how many wanted, this peer's included, first of all and after each. */
  readonly onCopies: (copies: number, wanted: number) => void;
}

/** The copies that a published file is to have: other peers are asked to pull it. */
export class Copies {
  readonly #deps: CopiesDeps;

  constructor(deps: CopiesDeps) {
    this.#deps = deps;
  }

  /**
   * Has copies made; resolves to how many there are, which is fewer than wanted when no live peer takes more. Throws what
   * `signal` says when it fires, and what the index says when it gives no ticket.
   */
  async make(
    { file, published }: { readonly file: StoredFile; readonly published: Published },
    options: CopiesOptions,
  ): Promise<number> {
    const { membership } = this.#deps;
    const wanted = Math.min(published.file.replicas, membership.livePeerCount);
    if (wanted <= 1) return 1;
    const candidates = inOrder(published.targets, membership.livePeers, membership.peerName);
    const ticket = await this.#readTicket(published, options);
    return this.#pull({ id: file.id, ticket }, { candidates, wanted }, options);
  }

  /**
   * Asks candidates to pull, as many at a time as copies are missing, until there are enough or no candidate is left. Those
   * that are not reached soon are asked again after all others, and waited for: their names may still lead to pods that
   * are gone.
   */
  async #pull(
    request: { readonly id: string; readonly ticket: string },
    { candidates, wanted }: { readonly candidates: readonly LivePeer[]; readonly wanted: number },
    { signal, onCopies }: CopiesOptions,
  ): Promise<number> {
    const left: { readonly peer: LivePeer; readonly connectMs?: number }[] = candidates.map((peer) => ({
      peer,
      connectMs: CONNECT_MS,
    }));
    let copies = 1;
    onCopies(copies, wanted);
    const lane = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const { peer, connectMs } = next;
        try {
          await this.#deps.peers.replicate(peer.address, { ...request, connectMs }, signal);
          onCopies(++copies, wanted);
          return;
        } catch (thrown) {
          signal.throwIfAborted();
          const error = toShoalError(thrown);
          this.#deps.log.info({ id: request.id, peer: peer.name, error }, 'a peer could not take a copy');
          if (connectMs !== undefined && error.code === 'timeout') left.push({ peer });
        }
      }
    };
    await Promise.all(Array.from({ length: wanted - 1 }, lane));
    return copies;
  }

  async #readTicket(published: Published, { onBehalf, signal }: CopiesOptions): Promise<string> {
    const { membership, index } = this.#deps;
    if (published.file.visibility === 'public' && membership.swarmToken !== undefined) return membership.swarmToken;
    const located = await index.locate(membership.auth(onBehalf), { ref: published.file.id, limit: 1 }, signal);
    return located.ticket;
  }
}

/** Those whom the index chose first, then the other live peers, each once and never `self`. */
function inOrder(
  targets: readonly { readonly peer: string; readonly address: string }[],
  livePeers: readonly LivePeer[],
  self: string,
): readonly LivePeer[] {
  const byName = new Map<string, LivePeer>();
  for (const { peer, address } of targets) byName.set(peer, { name: peer, address });
  for (const peer of livePeers) if (!byName.has(peer.name)) byName.set(peer.name, peer);
  byName.delete(self);
  return [...byName.values()];
}
