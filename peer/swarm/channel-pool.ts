import { type ChannelCredentials, type ChannelOptions, Client, type ServiceError, status } from '@grpc/grpc-js';
import { CHANNEL_OPTIONS } from '../grpc.js';

/** A restarted pod has a new address behind its name: after so many failures in a row the channel is made anew. */
const FAILURES_BEFORE_NEW_CHANNEL = 2;

interface Entry {
  readonly client: Client;
  readonly credentials: ChannelCredentials;
  users: number;
  failures: number;
  lastUsed: number;
}

/** Settings of a pool. */
export interface ChannelPoolOptions {
  /** Those of new channels; when they change, channels are made anew and calls under way end on the old ones. */
  readonly credentials: () => ChannelCredentials;
  /** HTTP/2 flow-control window of each connection and stream: what may be on its way to us, in bytes. */
  readonly windowBytes: number;
  /** Unused channels kept open. */
  readonly maxIdle: number;
}

/** One gRPC channel per address, shared by all calls to it and closed when many others have been used since. */
export class ChannelPool {
  readonly #options: ChannelPoolOptions;
  readonly #channelOptions: ChannelOptions;
  readonly #entries = new Map<string, Entry>();
  #uses = 0;

  constructor(options: ChannelPoolOptions) {
    this.#options = options;
    this.#channelOptions = {
      ...CHANNEL_OPTIONS,
      'grpc-node.flow_control_window': options.windowBytes,
      // Two peers of one name share nothing: each address gets a connection of its own.
      'grpc.use_local_subchannel_pool': 1,
    };
  }

  /** The channel to `address`, and what to call when the call on it is over, with its error if it had one. */
  use(address: string): { readonly client: Client; readonly release: (error?: ServiceError) => void } {
    const entry = this.#current(address) ?? this.#open(address);
    entry.users += 1;
    this.#uses += 1;
    entry.lastUsed = this.#uses;
    let isReleased = false;
    const release = (error?: ServiceError) => {
      if (isReleased) return;
      isReleased = true;
      this.#release(address, entry, error);
    };
    return { client: entry.client, release };
  }

  /** Closes every channel; calls under way on them end with CANCELLED. */
  close(): void {
    for (const entry of this.#entries.values()) entry.client.close();
    this.#entries.clear();
  }

  #current(address: string): Entry | undefined {
    const entry = this.#entries.get(address);
    if (entry === undefined || entry.credentials === this.#options.credentials()) return entry;
    this.#entries.delete(address);
    if (entry.users === 0) entry.client.close();
    return undefined;
  }

  #open(address: string): Entry {
    const credentials = this.#options.credentials();
    const client = new Client(address, credentials, this.#channelOptions);
    const entry = { client, credentials, users: 0, failures: 0, lastUsed: 0 };
    this.#entries.set(address, entry);
    return entry;
  }

  #release(address: string, entry: Entry, error: ServiceError | undefined): void {
    entry.users -= 1;
    entry.failures = error?.code === status.UNAVAILABLE ? entry.failures + 1 : 0;
    const isCurrent = this.#entries.get(address) === entry;
    if (isCurrent && entry.failures >= FAILURES_BEFORE_NEW_CHANNEL) this.#entries.delete(address);
    if (entry.users === 0 && this.#entries.get(address) !== entry) entry.client.close();
    this.#closeIdle();
  }

  #closeIdle(): void {
    const idle = [...this.#entries].filter(([, entry]) => entry.users === 0);
    const excess = idle.length - this.#options.maxIdle;
    if (excess <= 0) return;
    idle.sort(([, a], [, b]) => a.lastUsed - b.lastUsed);
    for (const [address, entry] of idle.slice(0, excess)) {
      this.#entries.delete(address);
      entry.client.close();
    }
  }
}
