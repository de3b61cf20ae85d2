import type { Logger } from '../../common/log.js';
import type { IndexClient } from '../../index-server/client.js';
import type { ChunkStore } from '../chunk-store.js';
import type { Membership } from '../membership.js';
import type { PeerMetrics } from '../metrics.js';
import type { Publisher } from '../publish.js';
import type { Readiness } from '../readiness.js';
import type { Retriever } from '../retrieve.js';
import type { RemotePeers } from '../swarm/remote-peer.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import type { Access } from './access.js';
import type { SeedSessions } from './seed-sessions.js';
import type { ShareFolder } from './share-folder.js';

/** Everything that the HTTP door works with. */
export interface HttpDoorDeps {
  readonly log: Logger;
  readonly index: Pick<
    IndexClient,
    'locate' | 'stat' | 'account' | 'publishTicket' | 'seedLogin' | 'seedLogout' | 'seedIndex' | 'seedSearch'
  >;
  readonly membership: Pick<Membership, 'auth' | 'address' | 'livePeers'>;
  readonly store: Pick<ChunkStore, 'get'>;
  readonly retriever: Pick<Retriever, 'locate' | 'open' | 'retrieve'>;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly peers: Pick<RemotePeers, 'upload' | 'download'>;
  /** For the bytes that are on their way to clients. */
  readonly buffers: Pick<BufferPool, 'take' | 'give'>;
  /** Opened by the caller. */
  readonly sessions: SeedSessions;
  /** Prepared by the caller. */
  readonly share: ShareFolder;
  readonly metrics: Pick<PeerMetrics, 'registry' | 'httpRequests' | 'httpSeconds' | 'receivedBytes' | 'sentBytes'>;
  /** While it is `recovering` only the probes answer. */
  readonly readiness: Pick<Readiness, 'phase' | 'isReady' | 'reason'>;
}

/** Settings of the HTTP door. */
export interface HttpDoorOptions {
  /** Whether programs on this machine may do without a token. */
  readonly loopbackAccess: boolean;
  /** Whether nobody may act as the peer's own account. */
  readonly requireLogin: boolean;
  /** How long a client may neither send nor take a byte before it is given up, in milliseconds. */
  readonly idleMs: number;
}

/** Who a request acts as, once it has been let in. */
export type Admitted = Exclude<Access, { kind: 'refused' }>;
