import type { RefusalReason } from '../tls/refusals.js';

/** The calls of the peer's service. */
export type PeerMethod = 'Exchange' | 'Download' | 'DownloadMany' | 'Upload' | 'Replicate' | 'GetInfo';

/** What the serving side reports to the metrics. */
export interface TransferObserver {
  sentBytes(kind: 'exchange' | 'download', bytes: number): void;
  /** Of an upload. */
  receivedBytes(bytes: number): void;
  refusedChunk(): void;
  refusedConnection(reason: RefusalReason): void;
  /** A stream on which this peer serves began (+1) or ended (-1). */
  serving(kind: 'exchange' | 'download', change: 1 | -1): void;
  /** A call ended; `code` is `ok` or an error code. */
  call(method: PeerMethod, code: string): void;
}
