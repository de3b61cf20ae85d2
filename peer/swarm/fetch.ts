import type { Logger } from '../../common/log.js';
import type { Holder } from '../../index-server/api/files.js';
import type { Manifest } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import type { ExchangeDialer } from './exchange-dialer.js';

/*
 * What a fetch promises, and what it needs of the rest of the peer. fetcher.ts starts fetches, running-fetch.ts is one.
 */

/** What to fetch, and what is known of it so far. */
export interface FetchRequest {
  readonly id: string;
  /** A read ticket; without one only public files can be had, with the peer's own token. */
  readonly ticket?: string;
  readonly holders: readonly Holder[];
  /** The signed record, to be kept beside the file, and the content's SHA-256 from it. */
  readonly record?: string;
  readonly sha256?: string;
  /** Peers that have all of it, are not here, and may come back. */
  readonly away?: readonly string[];
  /** Session of the user for whom this is done, for asking the index again. */
  readonly onBehalf?: string;
}

/** A complete and verified file, and what it took. */
export interface FetchOutcome {
  readonly file: StoredFile;
  /** Bytes that came over the network, duplicates included. */
  readonly receivedBytes: number;
  /** Peers that sent some of them. */
  readonly peers: number;
}

/** How far a fetch is. */
export interface FetchProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Peers that are connected now. */
  readonly peers: number;
  /** Why nothing moves; undefined while something does. */
  readonly waiting: string | undefined;
}

/**
 * A fetch under way. Everyone who wants the file shares it. It is cancelled when every signal that was given to
 * `opened` or `finished` has fired; what was got is kept, and a later fetch goes on from there.
 */
export interface Fetch {
  readonly id: string;
  /** Resolves as soon as the manifest is checked and space reserved: from then on the file can be read as it comes. */
  opened(signal: AbortSignal): Promise<StoredFile>;
  /**
   * Resolves when the file is complete. Rejects with `unavailable` when nobody live has what is missing, `corrupt` when
   * only damaged copies are left, `exhausted` when there is no space, `cancelled` when given up.
   */
  finished(signal: AbortSignal): Promise<FetchOutcome>;
  /** Tells the progress, some ten times a second at the most, until the fetch ends. Returns what ends that. */
  onProgress(listener: (progress: FetchProgress) => void): () => void;
  /** Somebody waits to read these chunks: they come first. */
  prioritise(firstChunk: number, count: number): void;
  /** Whether this peer, as one that serves us, has told that it has a chunk. */
  hasTold(peer: string, chunk: number): boolean;
}

/** What a fetch needs of the rest of the peer. */
export interface FetcherDeps {
  readonly store: {
    get(id: string): StoredFile | undefined;
    begin(manifest: Manifest): Promise<StoredFile>;
  };
  readonly exchanges: ExchangeDialer;
  readonly membership: {
    readonly peerName: string;
    readonly address: string;
    readonly swarmToken: string | undefined;
    readonly livePeers: readonly { readonly name: string; readonly address: string }[];
  };
  /** Asks the index who holds the file now; throws `unavailable` when the index cannot be asked. */
  readonly locate: (
    request: FetchRequest,
    signal: AbortSignal,
  ) => Promise<{ readonly holders: readonly Holder[]; readonly ticket: string; readonly away?: readonly string[] }>;
  /** Tells the index that a peer sent bytes that are not those of the manifest. */
  readonly report: (id: string, peer: string) => void;
  /** Which of these records are signed by the index and of this file. */
  readonly checkRecords: (
    id: string,
    records: readonly string[],
  ) => Promise<{ readonly records: readonly string[]; readonly sha256: string | undefined }>;
  readonly log: Logger;
  readonly observer: FetchObserver;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** What a fetch reports to the metrics. */
export interface FetchObserver {
  receivedBytes(bytes: number): void;
  chunk(result: 'ok' | 'duplicate' | 'corrupt' | 'refused'): void;
  firstByte(seconds: number): void;
  /** `result` is `ok` or an error code. */
  ended(result: string, seconds: number): void;
}

/** Settings of all fetches. */
export interface FetcherOptions {
  /** Peers that one fetch is connected to at the most. */
  readonly maxNeighbours: number;
  /** Bytes asked of one peer and not yet here, at the most. */
  readonly maxWindowBytes: number;
  /** A peer that owes us bytes and has sent none for so long is given up, in milliseconds. */
  readonly silentMs: number;
  /** A fetch for which nobody connected has anything useful for so long fails, in milliseconds. */
  readonly noSourceMs: number;
  /** The same where peers that have the file may come back, or the index cannot say whether there are any. */
  readonly awayMs: number;
}
