import { ShoalError } from '../../common/errors.js';
import { createLogger } from '../../common/log.js';
import { Candidates } from './candidates.js';
import type { FetcherDeps, FetchRequest } from './fetch.js';
import { HolderSearch } from './holder-search.js';

const log = createLogger({ name: 'test', level: 'silent' });
const HOLDER = { peer: 'a', address: 'a:1', complete: true };

/** A search with a clock that stands still until it is set, and an index that answers what is given. */
function start(request: Partial<FetchRequest> = {}, { swarmToken }: { readonly swarmToken?: string } = {}) {
  const at = { nowMs: 0, isFed: false, found: 0, forbidden: [] as string[], asked: [] as FetchRequest[] };
  let answer: ReturnType<FetcherDeps['locate']> = Promise.resolve({ holders: [], ticket: 'ticket' });
  const livePeers = [{ name: 'live', address: 'live:1' }];
  const candidates = new Candidates('me');
  const over = new AbortController();
  const search = new HolderSearch(
    {
      candidates,
      membership: { peerName: 'me', address: 'me:1', swarmToken, livePeers },
      locate: (asked) => {
        at.asked.push(asked);
        return answer;
      },
      log,
      now: () => at.nowMs,
      hasSource: () => at.isFed,
      listener: {
        onFound: () => {
          at.found += 1;
        },
        onForbidden: ({ code }) => at.forbidden.push(code),
      },
      signal: over.signal,
    },
    { id: 'f', holders: [], ...request },
  );
  const ask = async (next: typeof answer = answer) => {
    answer = next;
    await search.ask();
  };
  const names = () => candidates.take(99, Number.POSITIVE_INFINITY).map(({ peer }) => peer);
  return { search, at, candidates, over, ask, names };
}

describe('a search for holders', () => {
  it('asks at once where nobody is known, and leaves those who are a moment', () => {
    expect(start().search.nextAskMs).toBe(0);
    expect(start({ holders: [HOLDER] }).search.nextAskMs).toBe(300);
  });

  it('asks less and less, but every second while nobody has anything', async () => {
    const { search, at, ask } = start();
    const waits: number[] = [];
    for (const isFed of [true, true, true, true, false, true, true]) {
      at.isFed = isFed;
      at.nowMs = search.nextAskMs;
      await ask();
      waits.push(search.nextAskMs - at.nowMs);
    }
    expect(waits).toEqual([300, 600, 1200, 2400, 1000, 9600, 10_000]);
    search.hurry(at.nowMs);
    expect(search.nextAskMs - at.nowMs).toBe(300);
    at.nowMs = search.nextAskMs;
    await ask();
    expect(search.nextAskMs - at.nowMs).toBe(300);
  });

  it('asks one question at a time, with what it knows by then', async () => {
    const { search, at, ask } = start();
    const first = ask();
    await ask();
    await first;
    expect(at.asked).toHaveLength(1);
    search.learn({ id: 'f', holders: [HOLDER], onBehalf: 'ann' });
    await ask();
    expect(at.asked[1]).toMatchObject({ id: 'f', ticket: 'ticket', onBehalf: 'ann' });
  });

  it('finds whom the index names, and keeps what else it says', async () => {
    const { search, at, ask, names } = start();
    await ask(Promise.resolve({ holders: [HOLDER], ticket: 'new', away: ['b'] }));
    expect(names()).toEqual(['a']);
    expect(at.found).toBe(1);
    expect([search.ticket, search.away]).toEqual(['new', ['b']]);
    await ask(Promise.resolve({ holders: [], ticket: 'newer' }));
    expect([search.ticket, search.away]).toEqual(['newer', []]);
    expect(at.found).toBe(1);
  });

  it('expects a holder soon that the index names again', async () => {
    const { candidates, ask } = start({ holders: [HOLDER] });
    candidates.add(HOLDER, true);
    for (let failure = 0; failure < 6; failure += 1) {
      candidates.take(1, Number.POSITIVE_INFINITY);
      candidates.ended('a', 0);
    }
    const before = candidates.nextReadyMs() ?? 0;
    await ask(Promise.resolve({ holders: [HOLDER], ticket: 'ticket' }));
    expect(candidates.nextReadyMs()).toBeLessThan(before / 10);
  });

  it('turns to all live peers when the index is away', async () => {
    const { search, at, ask, names } = start();
    await ask(Promise.reject(new ShoalError('unavailable', 'no index')));
    expect(search.isIndexAway).toBe(true);
    expect(names()).toEqual(['live']);
    expect([at.found, at.forbidden]).toEqual([1, []]);
    await ask(Promise.resolve({ holders: [], ticket: 'ticket' }));
    expect(search.isIndexAway).toBe(false);
  });

  it.each(['not_found', 'denied', 'unauthenticated'] as const)('believes an index that says %s', async (code) => {
    const { search, at, ask, names } = start();
    await ask(Promise.reject(new ShoalError(code, 'no')));
    expect(at.forbidden).toEqual([code]);
    expect([names(), search.isIndexAway]).toEqual([[], false]);
  });

  it('says nothing any more when the fetch is over', async () => {
    const { at, over, ask, names } = start();
    const asked = ask(Promise.reject(new ShoalError('denied', 'no')));
    over.abort();
    await asked;
    expect([at.found, at.forbidden, names()]).toEqual([0, [], []]);
  });

  it('meets only peers whose address the index told, and dials one that has called at once', () => {
    const { search, candidates, names } = start();
    search.meet('stranger', { isHere: true });
    expect(names()).toEqual([]);
    search.meet('live', { isHere: false });
    expect(names()).toEqual(['live']);
    candidates.ended('live', 1_000);
    expect(candidates.nextReadyMs()).toBeGreaterThan(1_000);
    search.meet('live', { isHere: true });
    expect(candidates.nextReadyMs()).toBe(0);
  });

  it('shows the token of the swarm where there is no ticket', () => {
    expect(start().search.ticket).toBeUndefined();
    expect(start({}, { swarmToken: 'token' }).search.ticket).toBe('token');
    expect(start({ ticket: 'ticket' }, { swarmToken: 'token' }).search.ticket).toBe('ticket');
  });
});
