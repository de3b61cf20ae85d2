import { Candidates } from './candidates.js';

function names(taken: readonly { readonly peer: string }[]): string[] {
  return taken.map(({ peer }) => peer);
}

describe('candidates', () => {
  it('are dialled once each, complete ones first, never ourselves', () => {
    const candidates = new Candidates('me');
    for (const peer of ['a', 'b', 'me']) candidates.add({ peer, address: `${peer}:1` }, peer === 'b');
    expect(names(candidates.take(1, 0))).toEqual(['b']);
    expect(names(candidates.take(9, 0))).toEqual(['a']);
    expect(candidates.take(9, 0)).toEqual([]);
  });

  it('rest longer after each failure', () => {
    const candidates = new Candidates('me');
    candidates.add({ peer: 'a', address: 'a:1' }, true);
    const waits: number[] = [];
    for (let nowMs = 0, tries = 0; tries < 4; tries += 1) {
      candidates.take(1, nowMs);
      candidates.ended('a', nowMs);
      const next = candidates.nextReadyMs() ?? Number.NaN;
      waits.push(next - nowMs);
      expect(candidates.take(1, next - 1)).toEqual([]);
      nowMs = next;
    }
    expect(waits).toEqual([50, 100, 200, 400]);
  });

  it('are dialled at once when they have called us, or have a new address', () => {
    const candidates = new Candidates('me');
    candidates.add({ peer: 'a', address: 'a:1' }, true);
    candidates.take(1, 0);
    candidates.ended('a', 0);
    candidates.seen('a');
    expect(names(candidates.take(1, 1))).toEqual(['a']);
    candidates.ended('a', 1);
    candidates.add({ peer: 'a', address: 'a:2' }, true);
    expect(candidates.take(1, 2)).toEqual(
      [{ peer: 'a', address: 'a:2', state: 'connected' }].map(expect.objectContaining),
    );
  });

  it('that sent wrong bytes are never dialled again', () => {
    const candidates = new Candidates('me');
    candidates.add({ peer: 'a', address: 'a:1' }, true);
    candidates.take(1, 0);
    candidates.ban('a');
    candidates.ended('a', 0);
    candidates.seen('a');
    candidates.add({ peer: 'a', address: 'a:2' }, true);
    expect(candidates.take(1, 1e9)).toEqual([]);
    expect(candidates.bannedCount).toBe(1);
  });
});
