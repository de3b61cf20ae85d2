import type { ShoalError } from '../common/errors.js';
import type { Auth } from '../index-server/client.js';

/** A peer that can be dialled. */
export interface LivePeer {
  readonly name: string;
  readonly address: string;
}

/** How this peer stands with the index. `cut off`: it has heard nothing for longer than its lease. */
export type MembershipState = 'joining' | 'live' | 'cut off' | 'draining';

/** What the rest of the daemon may know about its place in the swarm. */
export interface Membership {
  /** Credentials for the index, for this peer or for the user it acts for. Throws `unavailable` while never joined. */
  auth(onBehalf?: string): Auth;
  /** What to show other peers; undefined while never joined. */
  readonly swarmToken: string | undefined;
  readonly peerName: string;
  /** Where others dial this peer, host:port. */
  readonly address: string;
  /** Random for each start of the process. */
  readonly incarnation: string;
  /** A bounded sample of the live peers, this one left out, as the index last told. */
  readonly livePeers: readonly LivePeer[];
  /** How many peers are live in all, this one included. */
  readonly livePeerCount: number;
  /** The index cannot be asked: tickets are honoured for longer, and known holders are asked directly. */
  readonly isCutOff: boolean;
  /** Whether the last call of the loop succeeded. */
  readonly isIndexReachable: boolean;
  readonly state: MembershipState;
  /** What the last call of the loop failed with; undefined when it succeeded. */
  readonly lastError: ShoalError | undefined;
}

/** The result that a failed call to the index counts under in the metrics. */
export function indexResult(error: ShoalError): 'unavailable' | 'cancelled' | 'error' {
  if (error.code === 'unavailable' || error.code === 'timeout') return 'unavailable';
  return error.code === 'cancelled' ? 'cancelled' : 'error';
}
