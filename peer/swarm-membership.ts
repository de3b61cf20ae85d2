import { ShoalError, toShoalError } from '../common/errors.js';
import type { Logger } from '../common/log.js';
import type { HeartbeatAnswer, Joined, PublicKey } from '../index-server/api/peers.js';
import type { Auth, IndexClient } from '../index-server/client.js';
import { indexResult, type LivePeer, type Membership, type MembershipState } from './membership.js';
import type { MembershipMemory } from './membership-memory.js';
import type { PeerMetrics } from './metrics.js';

/*
 * Keeps this peer in the swarm: joins, sends heartbeats at the interval that the index sets, renews tokens when half
 * of their life is over, and joins again when the index says that it does not know us. One loop does all of it, one
 * call at a time, so there is no order of events to think about. What answers carry (orders, peers) is handed on.
 */

/** Files and bytes of this peer, as heartbeats tell. */
export interface PeerLoad {
  readonly files: number;
  readonly bytesUsed: number;
  readonly bytesFree: number;
}

/** Told after each join, and of each heartbeat's answer with the time at which the heartbeat was sent. */
export interface MembershipListener {
  joined?(joined: Joined): void;
  answered?(answer: HeartbeatAnswer, sentAtMs: number): void;
}

/** What a {@link SwarmMembership} works with. */
export interface MembershipDeps {
  readonly index: Pick<IndexClient, 'join' | 'heartbeat' | 'withdraw'>;
  readonly memory: Pick<MembershipMemory, 'load' | 'save'>;
  readonly verifier: { setKeys(keys: readonly PublicKey[]): void };
  readonly load: () => PeerLoad;
  /** Read at each join, so that a secret can be changed while the peer runs. */
  readonly joinSecret: () => Promise<string | undefined>;
  readonly metrics: PeerMetrics;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Who this peer is. */
export interface MembershipOptions {
  readonly peerName: string;
  readonly address: string;
  readonly incarnation: string;
  readonly version: string;
  /** How long a withdrawal may take when the peer stops. */
  readonly withdrawMs: number;
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5_000;
/** A sample of live peers is written down at most this often. */
const REMEMBER_MS = 30_000;

/** The {@link Membership} of a peer that really joins. */
export class SwarmMembership implements Membership {
  readonly #deps: MembershipDeps;
  readonly #options: MembershipOptions;
  readonly #stopped = new AbortController();
  readonly #listeners: MembershipListener[] = [];
  #loop: Promise<void> | undefined;
  #joined: Joined | undefined;
  #isDraining = false;
  #mustJoin = true;
  #swarmToken: string | undefined;
  #renewAtMs = 0;
  #lastContactMs: number | undefined;
  #failures = 0;
  #heartbeatMs = FIRST_RETRY_MS;
  #leaseMs = 0;
  #rememberedAtMs = Number.NEGATIVE_INFINITY;
  #loggedAs = '';
  #wake: (() => void) | undefined;
  lastError: ShoalError | undefined;
  livePeers: readonly LivePeer[] = [];
  livePeerCount = 1;

  constructor(deps: MembershipDeps, options: MembershipOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get peerName(): string {
    return this.#options.peerName;
  }

  get address(): string {
    return this.#options.address;
  }

  get incarnation(): string {
    return this.#options.incarnation;
  }

  get swarmToken(): string | undefined {
    return this.#swarmToken;
  }

  /** Whether this process has ever joined. */
  get hasJoined(): boolean {
    return this.#joined !== undefined;
  }

  get isIndexReachable(): boolean {
    return this.#lastContactMs !== undefined && this.lastError === undefined;
  }

  get isCutOff(): boolean {
    if (this.#lastContactMs === undefined) return this.lastError !== undefined;
    return this.#deps.now() - this.#lastContactMs > this.#leaseMs;
  }

  get state(): MembershipState {
    if (this.#stopped.signal.aborted || this.#isDraining) return 'draining';
    if (this.#joined !== undefined && this.isCutOff) return 'cut off';
    return this.#mustJoin ? 'joining' : 'live';
  }

  auth(onBehalf?: string): Auth {
    if (this.#joined === undefined) {
      throw new ShoalError('unavailable', 'this peer has not joined the swarm yet', {
        cause: this.lastError,
        hint: this.lastError?.hint ?? 'look at: shoal doctor',
      });
    }
    const bearer = this.#joined.peerToken;
    return onBehalf === undefined ? { bearer } : { bearer, onBehalf };
  }

  /** Adds a listener; before {@link start}. */
  listen(listener: MembershipListener): void {
    this.#listeners.push(listener);
  }

  /** Takes over what an earlier process knew (keys, swarm token, peers), for the case that the index is away now. */
  async recall(): Promise<void> {
    const known = await this.#deps.memory.load();
    if (known === undefined) return;
    this.#deps.verifier.setKeys(known.keys);
    this.#swarmToken = known.swarmToken;
    this.livePeers = known.peers;
  }

  /** Begins to join, and goes on until {@link stop}. */
  start(): void {
    this.#loop ??= this.#run(this.#stopped.signal);
  }

  /** Sends the next heartbeat now, so that others learn at once how this peer stands. */
  beatNow(): void {
    this.#wake?.();
  }

  /** From now on each heartbeat says whether this peer takes work; the next one is sent now. */
  setDraining(isDraining: boolean): void {
    this.#isDraining = isDraining;
    this.beatNow();
  }

  /**
   * Leaves the swarm: the index is told, within `withdrawMs`; if it cannot be, the lease ends by itself. A peer that does not
   * come back tells how many files go with it.
   */
  async stop(leftBehind: number): Promise<void> {
    if (this.#stopped.signal.aborted) return;
    await this.abandon();
    if (this.#joined === undefined) return;
    try {
      await this.#deps.index.withdraw(this.auth(), this.peerName, {
        leftBehind,
        signal: AbortSignal.timeout(this.#options.withdrawMs),
      });
    } catch (error) {
      this.#deps.log.warn({ error: toShoalError(error) }, 'could not withdraw; the lease will end by itself');
    }
  }

  /** Ends the loop without a word to the index, as a crash would. */
  async abandon(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.#step(signal);
      if (waitMs > 0 && !signal.aborted) await this.#sleep(waitMs, signal);
    }
  }

  /** One call to the index; returns how long to wait before the next. */
  async #step(signal: AbortSignal): Promise<number> {
    try {
      if (this.#mustJoin) {
        await this.#join(signal);
        return 0;
      }
      await this.#beat(signal);
      this.#failures = 0;
      return this.#jittered(this.#heartbeatMs);
    } catch (error) {
      return signal.aborted ? 0 : this.#failed(toShoalError(error));
    }
  }

  async #join(signal: AbortSignal): Promise<void> {
    const { peerName: name, address, version, incarnation } = this.#options;
    const body = { name, address, version, incarnation, ...this.#deps.load() };
    const joined = await this.#deps.index.join(body, await this.#deps.joinSecret(), signal);
    this.#mustJoin = false;
    this.#reached(joined);
    await this.#take(joined);
    this.#tell('live', () => this.#deps.log.info({ peer: name, address }, 'joined the swarm'));
    for (const listener of this.#listeners) listener.joined?.(joined);
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const sentAtMs = this.#deps.now();
    const answer = await this.#deps.index.heartbeat(
      this.auth(),
      this.peerName,
      {
        incarnation: this.incarnation,
        state: this.#isDraining ? 'draining' : 'live',
        renew: sentAtMs >= this.#renewAtMs,
        ...this.#deps.load(),
      },
      signal,
    );
    this.#deps.metrics.heartbeats.inc({ result: 'ok' });
    this.#reached(answer);
    this.livePeers = answer.peers.filter((peer) => peer.name !== this.peerName);
    this.livePeerCount = answer.livePeers;
    if (answer.membership !== undefined) await this.#take(answer.membership);
    else if (sentAtMs - this.#rememberedAtMs >= REMEMBER_MS) await this.#remember();
    this.#tell('live', () => this.#deps.log.info('the index answers again'));
    for (const listener of this.#listeners) listener.answered?.(answer, sentAtMs);
  }

  #reached(intervals: { readonly heartbeatMs: number; readonly leaseMs: number }): void {
    this.#heartbeatMs = intervals.heartbeatMs;
    this.#leaseMs = intervals.leaseMs;
    this.#lastContactMs = this.#deps.now();
    this.lastError = undefined;
  }

  async #take(joined: Joined): Promise<void> {
    this.#joined = joined;
    this.#swarmToken = joined.swarmToken;
    this.#deps.verifier.setKeys(joined.keys);
    const now = this.#deps.now();
    this.#renewAtMs = now + Math.max(0, Date.parse(joined.tokensExpireAt) - now) / 2;
    await this.#remember();
  }

  async #remember(): Promise<void> {
    const joined = this.#joined;
    if (joined === undefined) return;
    // The first sample of peers comes with the first heartbeat: that one is to be written as well.
    if (this.livePeers.length > 0) this.#rememberedAtMs = this.#deps.now();
    try {
      await this.#deps.memory.save({ keys: joined.keys, swarmToken: joined.swarmToken, peers: this.livePeers });
    } catch (error) {
      // Needed only when this peer restarts while the index is away; a full disk must not cost it its lease.
      this.#deps.log.warn({ error: toShoalError(error) }, 'could not write down the keys of the index');
    }
  }

  #failed(error: ShoalError): number {
    const result = indexResult(error);
    if (!this.#mustJoin) this.#deps.metrics.heartbeats.inc({ result });
    this.lastError = error;
    this.#failures++;
    // Not known (any more), or the token is over: a new join mends both. At once, but not in a circle.
    if (!this.#mustJoin && (error.code === 'not_found' || error.code === 'unauthenticated')) {
      this.#mustJoin = true;
      if (this.#failures === 1) return 0;
    }
    const state = this.state;
    this.#tell(`${state}: ${error.code}`, () => {
      this.#deps.log.warn({ state, error }, 'the index does not answer as it should; trying on');
    });
    const backoffMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures - 1, 10));
    return this.#jittered(this.#mustJoin ? backoffMs : Math.min(backoffMs, this.#heartbeatMs));
  }

  /** Between 80 and 100 %: peers that started together must not stay in step. */
  #jittered(waitMs: number): number {
    return waitMs * (0.8 + 0.2 * this.#deps.random());
  }

  /** Logs a change of circumstances once, however many attempts it lasts. */
  #tell(circumstances: string, write: () => void): void {
    if (this.#loggedAs === circumstances) return;
    this.#loggedAs = circumstances;
    write();
  }

  #sleep(waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener('abort', done);
      this.#wake = done;
    });
  }
}
