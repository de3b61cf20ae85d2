import { type Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { grpcPackage } from '../grpc.js';
import { loadProto, PEER_PROTO } from '../proto.js';
import { type SwarmPeer, startSwarmPeer, TICKET } from './swarm-peers.js';

/*
 * A peer and a stock client of it, as any program may be one: the published proto, the general codec, default limits.
 */

/** A call of whatever kind. */
export type StockStream = NodeJS.ReadWriteStream & AsyncIterable<Record<string, unknown>> & { cancel(): void };

/** The client, with its methods by their names in the proto. */
export type StockClient = Client & Record<string, (...args: unknown[]) => StockStream>;

/** Starts peers with clients, and closes them all. */
export class StockPeers {
  readonly #open: (() => Promise<void> | void)[] = [];

  /** Starts a peer, and connects a client to it. */
  async start(
    options: Parameters<typeof startSwarmPeer>[1] = {},
  ): Promise<{ readonly peer: SwarmPeer; readonly client: StockClient }> {
    const peer = await startSwarmPeer('a', options);
    this.#open.push(() => peer.close());
    const { PeerService } = grpcPackage(loadProto(PEER_PROTO), 'shoal.peer.v1') as unknown as {
      PeerService: new (...args: unknown[]) => StockClient;
    };
    const client = new PeerService(peer.holder.address, credentials.createInsecure());
    this.closeLater(() => client.close());
    return { peer, client };
  }

  /** To be closed with the others, before those that were opened earlier. */
  closeLater(close: () => Promise<void> | void): void {
    this.#open.push(close);
  }

  async close(): Promise<void> {
    for (const close of this.#open.splice(0).reverse()) await close();
  }
}

/** Puts a file into a peer's store, and returns its id. */
export async function ingestInto(peer: SwarmPeer, content: Buffer): Promise<string> {
  async function* stream() {
    yield content;
  }
  const signal = new AbortController().signal;
  const source = { stream: stream(), size: content.length };
  const { file } = await peer.store.ingest(source, { signal, onProgress: () => undefined });
  return file.manifest.id;
}

/** The metadata of a call with a ticket. */
export function ticketMetadata(value = TICKET): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${value}`);
  return metadata;
}

/** What some work failed with; undefined when it did not. */
export async function failureOf(work: Promise<unknown>): Promise<ServiceError> {
  return (await work.then(
    () => undefined,
    (error: unknown) => error,
  )) as ServiceError;
}
