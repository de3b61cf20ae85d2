import { ShoalError, toShoalError } from '../../common/errors.js';
import { VERSION } from '../../common/version.js';
import type { IndexClient } from '../../index-server/client.js';
import type { CheckResult } from '../../proto/gen/shoal/control/v1/CheckResult.js';
import type { PingPeerRequest__Output } from '../../proto/gen/shoal/control/v1/PingPeerRequest.js';
import type { ChunkStore } from '../chunk-store.js';
import type { Doctor, Finding } from '../doctor.js';
import type { Membership } from '../membership.js';
import type { PeerMetrics } from '../metrics.js';
import type { RemotePeers } from '../swarm/remote-peer.js';
import type { CallEdge, Caller } from './call.js';
import type { ControlHandlers } from './handlers.js';

const CHECK_RESULTS: Readonly<Record<Finding['result'], CheckResult>> = {
  ok: 'CHECK_RESULT_OK',
  warning: 'CHECK_RESULT_WARNING',
  failed: 'CHECK_RESULT_FAILED',
};

interface Deps {
  readonly index: Pick<IndexClient, 'peers'>;
  readonly membership: Membership;
  readonly peers: Pick<RemotePeers, 'info'>;
  readonly store: Pick<ChunkStore, 'usage'>;
  readonly doctor: Pick<Doctor, 'diagnose'>;
  readonly metrics: Pick<PeerMetrics, 'traffic' | 'activity'>;
}

/** Calls about this peer and the others. */
export function peerHandlers(
  edge: CallEdge,
  deps: Deps,
  options: { readonly indexUrl: string },
): Pick<ControlHandlers, 'ListPeers' | 'PingPeer' | 'Status' | 'Diagnose'> {
  return {
    ListPeers: edge.unary('ListPeers', async (_request: object, { onBehalf, signal }) => ({
      peers: [...(await deps.index.peers(deps.membership.auth(onBehalf), signal))],
    })),
    PingPeer: edge.unary('PingPeer', async ({ peer }: PingPeerRequest__Output, caller) => {
      const address = await addressOf(deps, peer, caller);
      const { connectMs, roundTripMs, version } = await deps.peers.info(address, caller.signal);
      return { address, connectMs, roundTripMs, version };
    }),
    Status: edge.unary('Status', async () => ({ ...(await statusOf(deps)), indexUrl: options.indexUrl })),
    Diagnose: edge.unary('Diagnose', async (_request: object, { signal }) => ({
      checks: (await deps.doctor.diagnose(signal)).map(({ name, result, detail, hint }) => ({
        name,
        result: CHECK_RESULTS[result],
        detail,
        hint: hint ?? '',
      })),
    })),
  };
}

async function addressOf({ index, membership }: Deps, name: string, { onBehalf, signal }: Caller): Promise<string> {
  if (name === membership.peerName) return membership.address;
  try {
    const peer = (await index.peers(membership.auth(onBehalf), signal)).find((known) => known.name === name);
    if (peer !== undefined) return peer.address;
  } catch (thrown) {
    const error = toShoalError(thrown);
    const known = membership.livePeers.find((peer) => peer.name === name);
    if (error.code === 'unavailable' && known !== undefined) return known.address;
    throw error;
  }
  throw new ShoalError('not_found', `there is no peer named '${name}'`, { hint: 'shoal peers lists them' });
}

async function statusOf({ membership, store, metrics }: Deps) {
  const { usedBytes, freeBytes, ...usage } = store.usage();
  return {
    peer: membership.peerName,
    address: membership.address,
    version: VERSION,
    state: membership.state,
    indexReachable: membership.isIndexReachable,
    indexError: membership.lastError?.message ?? '',
    uptimeSeconds: process.uptime(),
    livePeers: membership.livePeerCount,
    bytesUsed: usedBytes,
    bytesFree: freeBytes,
    ...usage,
    ...(await metrics.traffic()),
    ...(await metrics.activity()),
  };
}
