import { pino } from 'pino';
import { ShoalError } from '../common/errors.js';
import type { HeartbeatAnswer, HeartbeatBody, JoinBody, Joined } from '../index-server/api/peers.js';
import type { KnownSwarm } from './membership-memory.js';
import { PeerMetrics } from './metrics.js';
import { SwarmMembership } from './swarm-membership.js';

const timers = import.meta.jest;

const HEARTBEAT_MS = 3_000;
const LEASE_MS = 10_000;
const HOUR_MS = 3_600_000;

/** An index that remembers what it was asked and can be made to fail. */
class ScriptedIndex {
  readonly joins: { readonly body: JoinBody; readonly secret: string | undefined }[] = [];
  readonly beats: HeartbeatBody[] = [];
  readonly withdrawn: string[] = [];
  leftBehind: number | undefined;
  failure: ShoalError | undefined;
  answer: Partial<HeartbeatAnswer> = {};
  /** A withdrawal that never gets an answer. */
  isSilentOnWithdraw = false;

  join = async (body: JoinBody, secret: string | undefined): Promise<Joined> => {
    this.#failIfTold();
    this.joins.push({ body, secret });
    return this.membership();
  };

  heartbeat = async (_auth: object, _name: string, body: HeartbeatBody): Promise<HeartbeatAnswer> => {
    this.#failIfTold();
    this.beats.push(body);
    return {
      heartbeatMs: HEARTBEAT_MS,
      leaseMs: LEASE_MS,
      announceAll: false,
      orders: [],
      peers: [],
      livePeers: 1,
      ...(body.renew === true && { membership: this.membership() }),
      ...this.answer,
    };
  };

  withdraw = async (
    _auth: object,
    name: string,
    { leftBehind, signal }: { leftBehind?: number | undefined; signal?: AbortSignal } = {},
  ): Promise<void> => {
    this.leftBehind = leftBehind;
    if (this.isSilentOnWithdraw) {
      await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)));
    }
    this.withdrawn.push(name);
  };

  membership(): Joined {
    const turn = this.joins.length + this.beats.length;
    return {
      peerToken: `peer-token-${turn}`,
      swarmToken: `swarm-token-${turn}`,
      tokensExpireAt: new Date(Date.now() + HOUR_MS).toISOString(),
      keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'x', kid: 'k1' }],
      heartbeatMs: HEARTBEAT_MS,
      leaseMs: LEASE_MS,
    };
  }

  #failIfTold(): void {
    if (this.failure !== undefined) throw this.failure;
  }
}

const away = new ShoalError('unavailable', 'the index does not answer');
let stop: () => Promise<void>;

function setUp({ known, random = () => 1 }: { known?: KnownSwarm; random?: () => number } = {}) {
  const index = new ScriptedIndex();
  const saved: KnownSwarm[] = [];
  const keys: unknown[] = [];
  const joined: number[] = [];
  const answers: HeartbeatAnswer[] = [];
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line) => lines.push((JSON.parse(line) as { msg: string }).msg) });
  const metrics = new PeerMetrics();
  const membership = new SwarmMembership(
    {
      index,
      memory: {
        load: async () => known,
        save: async (swarm) => {
          saved.push(swarm);
        },
      },
      verifier: { setKeys: (given) => keys.push(given) },
      load: () => ({ files: 1, bytesUsed: 2, bytesFree: 3 }),
      joinSecret: async () => 'secret',
      metrics,
      log,
      now: () => Date.now(),
      random,
    },
    { peerName: 'peer-1', address: '127.0.0.1:4999', incarnation: 'incarnation-1', version: '1.0.0', withdrawMs: 50 },
  );
  membership.listen({
    joined: () => joined.push(Date.now()),
    answered: (answer) => answers.push(answer),
  });
  stop = async () => {
    metrics.close();
    await membership.abandon();
  };
  return { index, membership, saved, keys, joined, answers, lines, metrics };
}

const pass = (ms: number) => timers.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  timers.useFakeTimers({ doNotFake: ['performance', 'queueMicrotask', 'nextTick'] });
});
afterEach(async () => {
  await stop();
  timers.useRealTimers();
});

describe('joining', () => {
  test('tells who this peer is and then begins to send heartbeats at the interval of the index', async () => {
    const { index, membership, joined } = setUp();
    expect(membership.state).toBe('joining');
    expect(() => membership.auth()).toThrow(expect.objectContaining({ code: 'unavailable' }));
    membership.start();
    await pass(0);
    expect(index.joins).toEqual([
      {
        body: {
          name: 'peer-1',
          address: '127.0.0.1:4999',
          version: '1.0.0',
          incarnation: 'incarnation-1',
          files: 1,
          bytesUsed: 2,
          bytesFree: 3,
        },
        secret: 'secret',
      },
    ]);
    expect(membership.state).toBe('live');
    expect(joined).toHaveLength(1);
    expect(membership.auth('session')).toEqual({ bearer: 'peer-token-1', onBehalf: 'session' });
    expect(index.beats).toHaveLength(1);
    await pass(HEARTBEAT_MS * 3);
    expect(index.beats).toHaveLength(4);
  });

  test('goes on trying while the index is away, ever less often, and logs it once', async () => {
    const { index, membership, lines } = setUp();
    index.failure = away;
    membership.start();
    await pass(60_000);
    expect(membership.state).toBe('joining');
    expect(membership.isCutOff).toBe(true);
    expect(membership.lastError).toBe(away);
    expect(lines).toHaveLength(1);
    index.failure = undefined;
    await pass(5_000);
    expect(membership.state).toBe('live');
    expect(membership.lastError).toBeUndefined();
    expect(lines).toEqual(['the index does not answer as it should; trying on', 'joined the swarm']);
  });

  test('peers that start together do not stay in step', async () => {
    const lazy = setUp({ random: () => 1 });
    lazy.index.failure = away;
    lazy.membership.start();
    await pass(249);
    expect(lazy.lines).toHaveLength(1);
    await stop();
    const eager = setUp({ random: () => 0 });
    eager.index.failure = away;
    eager.membership.start();
    await pass(0);
    eager.index.failure = undefined;
    await pass(200);
    expect(eager.membership.state).toBe('live');
  });

  test('what an earlier process knew serves until the index answers', async () => {
    const key = { kty: 'OKP', crv: 'Ed25519', x: 'old', kid: 'k0' } as const;
    const peers = [{ name: 'peer-2', address: '127.0.0.1:4998' }];
    const { index, membership, keys } = setUp({ known: { keys: [key], swarmToken: 'old-token', peers } });
    index.failure = away;
    await membership.recall();
    membership.start();
    await pass(1_000);
    expect(keys).toEqual([[key]]);
    expect(membership.swarmToken).toBe('old-token');
    expect(membership.livePeers).toEqual(peers);
  });

  test('what is needed to do without the index is written down, with the first peers that it tells', async () => {
    const { index, membership, saved } = setUp();
    index.answer = { peers: [{ name: 'peer-2', address: 'a:1' }], livePeers: 2 };
    membership.start();
    await pass(0);
    expect(saved.at(-1)).toMatchObject({ swarmToken: 'swarm-token-1', peers: [{ name: 'peer-2', address: 'a:1' }] });
    const written = saved.length;
    await pass(HEARTBEAT_MS * 3);
    expect(saved).toHaveLength(written);
  });
});

describe('heartbeats', () => {
  test('answers are handed on, and tell who is live', async () => {
    const { index, membership, answers } = setUp();
    const other = { name: 'peer-2', address: 'a:1' };
    index.answer = { peers: [other, { name: 'peer-1', address: 'b:1' }], livePeers: 7, announceAll: true };
    membership.start();
    await pass(0);
    expect(membership.livePeers).toEqual([other]);
    expect(membership.livePeerCount).toBe(7);
    expect(answers).toHaveLength(1);
    expect(answers[0]?.announceAll).toBe(true);
  });

  test('tokens are renewed when half of their life is over', async () => {
    const { index, membership } = setUp();
    membership.start();
    await pass(HOUR_MS / 2 - HEARTBEAT_MS * 2);
    expect(index.beats.every((beat) => beat.renew === false)).toBe(true);
    expect(membership.auth()).toEqual({ bearer: 'peer-token-1' });
    await pass(HEARTBEAT_MS * 4);
    expect(index.beats.filter((beat) => beat.renew)).toHaveLength(1);
    expect(membership.auth().bearer).not.toBe('peer-token-1');
  });

  test.each(['not_found', 'unauthenticated'] as const)('an index that answers %s is joined again', async (code) => {
    const { index, membership, joined } = setUp();
    membership.start();
    await pass(0);
    index.failure = new ShoalError(code, 'who are you?');
    await pass(HEARTBEAT_MS);
    index.failure = undefined;
    await pass(1_000);
    expect(joined).toHaveLength(2);
    expect(membership.state).toBe('live');
  });

  test('an index that knows nobody it just let in is not asked in a circle', async () => {
    const { index, membership } = setUp();
    index.heartbeat = async () => {
      throw new ShoalError('not_found', 'no such peer');
    };
    membership.start();
    await pass(10_000);
    expect(index.joins.length).toBeLessThan(12);
  });

  test('after a lease without an answer this peer is cut off, until one comes', async () => {
    const { index, membership, lines, metrics } = setUp();
    membership.start();
    await pass(0);
    index.failure = away;
    await pass(LEASE_MS);
    expect(membership.state).toBe('live');
    expect(membership.isIndexReachable).toBe(false);
    await pass(HEARTBEAT_MS * 2);
    expect(membership.state).toBe('cut off');
    expect(membership.isCutOff).toBe(true);
    expect(membership.auth()).toEqual({ bearer: 'peer-token-1' });
    index.failure = undefined;
    await pass(HEARTBEAT_MS);
    expect(membership.state).toBe('live');
    expect(membership.isIndexReachable).toBe(true);
    expect(lines).toEqual([
      'joined the swarm',
      'the index does not answer as it should; trying on',
      'the index does not answer as it should; trying on',
      'the index answers again',
    ]);
    const counted = await metrics.heartbeats.get();
    const results = Object.fromEntries(counted.values.map(({ labels, value }) => [labels.result, value]));
    expect(results['ok']).toBeGreaterThan(1);
    expect(results['unavailable']).toBeGreaterThan(2);
  });

  test('one that is sent now does not wait for the interval', async () => {
    const { index, membership } = setUp();
    membership.start();
    await pass(10);
    membership.beatNow();
    await pass(0);
    expect(index.beats).toHaveLength(2);
  });
});

describe('leaving', () => {
  test('withdraws, and sends nothing more', async () => {
    const { index, membership } = setUp();
    membership.start();
    await pass(0);
    await membership.stop(0);
    expect(membership.state).toBe('draining');
    expect(index.withdrawn).toEqual(['peer-1']);
    const sent = index.beats.length;
    await pass(HEARTBEAT_MS * 3);
    expect(index.beats).toHaveLength(sent);
    expect(index.joins).toHaveLength(1);
  });

  test('a peer that never joined has nothing to withdraw', async () => {
    const { index, membership } = setUp();
    index.failure = away;
    membership.start();
    await pass(100);
    await membership.stop(0);
    expect(index.withdrawn).toEqual([]);
  });
});

test('an index that says nothing holds up no one who leaves', async () => {
  const { index, membership } = setUp();
  membership.start();
  await pass(0);
  // The limit of a withdrawal is no fake timer.
  timers.useRealTimers();
  index.isSilentOnWithdraw = true;
  const begin = performance.now();
  await membership.stop(0);
  expect(performance.now() - begin).toBeLessThan(2_000);
});
