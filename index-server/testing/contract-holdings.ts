import type { ContractContext } from './catalog-contract.js';
import { idOf, peerRow } from './catalog-rows.js';

const ID = idOf('a');
const OTHER = idOf('b');

/** Who holds what, and which of many holders are told. */
export function holdingContract({ catalog, reopen }: ContractContext): void {
  const join = async (...names: string[]) => {
    for (const name of names) await catalog().putPeer(peerRow({ name }));
  };
  const hold = (peer: string, id: string, complete = true) => catalog().hold(peer, [{ id, complete }]);
  const told = async (options: { limit?: number; random?: number; except?: string[]; now?: number } = {}) =>
    (await catalog().holders(ID, { now: 5_000, limit: 64, random: 0.3, ...options })).map(({ peer }) => peer);
  const held = async (peer: string) => (await catalog().holdingsOf(peer, { limit: 100 })).rows;

  test('tells live holders with their addresses', async () => {
    await join('a', 'b');
    await hold('a', ID);
    await hold('b', ID, false);
    await hold('b', OTHER);
    expect(await catalog().holders(ID, { now: 5_000, limit: 9, random: 0 })).toEqual([
      { peer: 'a', address: 'a.example:4999', complete: true },
      { peer: 'b', address: 'b.example:4999', complete: false },
    ]);
    expect(await told({ except: ['a', 'stranger'] })).toEqual(['b']);
    expect(await told({ except: ['b', 'a'] })).toEqual([]);
    expect(await catalog().holders(idOf('unknown'), { now: 0, limit: 9, random: 0 })).toEqual([]);
  });

  test('tells draining holders, and none that withdrew or whose lease is over, until they join again', async () => {
    await join('live');
    await catalog().putPeer(peerRow({ name: 'draining', state: 'draining' }));
    await catalog().putPeer(peerRow({ name: 'late', leaseUntil: 5_000 }));
    await catalog().putPeer(peerRow({ name: 'left' }));
    for (const name of ['live', 'draining', 'late', 'left']) await hold(name, ID);
    await catalog().withdrawPeer('left', 'incarnation-1');
    expect((await told()).sort()).toEqual(['draining', 'live']);
    await join('left', 'late');
    expect(await told()).toHaveLength(4);
  });

  test('tells which of some peers hold all of it, live or not', async () => {
    await join('whole', 'part', 'other', 'unasked');
    await catalog().putPeer(peerRow({ name: 'late', leaseUntil: 1 }));
    await catalog().putPeer(peerRow({ name: 'left' }));
    for (const name of ['whole', 'late', 'left', 'unasked']) await hold(name, ID);
    await hold('part', ID, false);
    await hold('other', OTHER);
    await catalog().withdrawPeer('left', 'incarnation-1');
    const asked = ['whole', 'part', 'other', 'late', 'left', 'stranger'];
    expect([...(await catalog().completeAmong(ID, asked))].sort()).toEqual(['late', 'left', 'whole']);
    expect(await catalog().completeAmong(ID, [])).toEqual([]);
  });

  test('replaces what was known of a holding, and forgets it on release', async () => {
    await join('a');
    for (const complete of [false, true, false, true, true]) {
      await hold('a', ID, complete);
      expect(await held('a')).toEqual([{ id: ID, peer: 'a', complete }]);
    }
    await catalog().release('a', [ID, OTHER]);
    expect(await held('a')).toEqual([]);
    expect(await told()).toEqual([]);
    await catalog().release('nobody', [ID]);
  });

  test('refuses holdings of a peer that is not known', async () => {
    await expect(hold('nobody', ID)).rejects.toMatchObject({ code: 'not_found' });
    await expect(catalog().beginFull('nobody')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('takes a thousand holdings at once, and again', async () => {
    await join('a');
    const holdings = Array.from({ length: 1_000 }, (_, n) => ({ id: idOf(`${n}`), complete: n % 2 === 0 }));
    await catalog().hold('a', holdings);
    await catalog().hold('a', holdings);
    const { rows } = await catalog().holdingsOf('a', { limit: 2_000 });
    const sorted = [...holdings].sort((a, b) => (a.id < b.id ? -1 : 1));
    expect(rows).toEqual(sorted.map((holding) => ({ ...holding, peer: 'a' })));
  }, 60_000);

  test('pages through the holdings of a peer', async () => {
    await join('a', 'b');
    const ids = ['1', '2', '3', '4', '5'].map(idOf).sort();
    await catalog().hold(
      'a',
      ids.map((id) => ({ id, complete: true })),
    );
    await hold('b', ID);
    const first = await catalog().holdingsOf('a', { limit: 3 });
    const second = await catalog().holdingsOf('a', { limit: 3, token: first.next ?? '' });
    expect([...first.rows, ...second.rows].map(({ id }) => id)).toEqual(ids);
    expect(second.next).toBeNull();
    await expect(catalog().holdingsOf('b', { limit: 3, token: first.next ?? '' })).rejects.toMatchObject({
      code: 'invalid',
    });
    expect(await held('nobody')).toEqual([]);
  });

  test('forgets after a complete announcement what was not in it', async () => {
    await join('a', 'b');
    for (const id of [ID, OTHER]) for (const peer of ['a', 'b']) await hold(peer, id);
    const mark = await catalog().beginFull('a');
    await hold('a', OTHER, false);
    await hold('a', idOf('new'));
    expect(await held('a')).toHaveLength(3);
    await catalog().endFull('a', mark);
    expect((await held('a')).map(({ id }) => id)).toEqual([OTHER, idOf('new')].sort());
    expect(await held('b')).toHaveLength(2);
  });

  test('keeps what was announced since a second beginning', async () => {
    await join('a');
    await hold('a', OTHER);
    const first = await catalog().beginFull('a');
    const second = await catalog().beginFull('a');
    await hold('a', ID);
    await catalog().endFull('a', first);
    expect((await held('a')).map(({ id }) => id)).toEqual([ID]);
    await catalog().endFull('a', second);
    expect((await held('a')).map(({ id }) => id)).toEqual([ID]);
    await expect(catalog().endFull('a', 'mark')).rejects.toMatchObject({ code: 'invalid' });
  });

  test('keeps holdings over a restart of the peer and of the index', async () => {
    await join('a');
    await hold('a', ID);
    await join('a');
    const again = await reopen();
    expect(await again.holders(ID, { now: 0, limit: 1, random: 0 })).toHaveLength(1);
    await again.endFull('a', await again.beginFull('a'));
    expect(await again.holders(ID, { now: 0, limit: 1, random: 0 })).toEqual([]);
  });

  test('prefers complete holders and chooses evenly', async () => {
    const complete = Array.from({ length: 20 }, (_, n) => `complete-${n}`);
    const partial = Array.from({ length: 5 }, (_, n) => `partial-${n}`);
    await join(...complete, ...partial);
    for (const name of complete) await hold(name, ID);
    for (const name of partial) await hold(name, ID, false);
    expect((await told({ limit: 22 })).slice(0, 20).sort()).toEqual([...complete].sort());
    expect(new Set(await told({ limit: 22 })).size).toBe(22);
    expect((await told()).sort()).toEqual([...complete, ...partial].sort());
    const times = new Map<string, number>();
    for (let step = 0; step < 40; step += 1) {
      const few = await told({ limit: 4, random: step / 40 });
      expect(few).toHaveLength(4);
      for (const name of few) times.set(name, (times.get(name) ?? 0) + 1);
    }
    expect([...times.keys()].sort()).toEqual([...complete].sort());
    expect(Math.max(...times.values())).toBeLessThan(24);
  });

  test('passes over holders that are gone until it has enough', async () => {
    const join = async (n: number) => {
      await catalog().putPeer(peerRow({ name: `peer-${n}`, leaseUntil: n < 197 ? 1_000 : 10_000 }));
      await hold(`peer-${n}`, ID);
    };
    await Promise.all(Array.from({ length: 200 }, (_, n) => join(n)));
    for (const random of [0, 0.5, 0.999]) {
      expect((await told({ limit: 3, random })).sort()).toEqual(['peer-197', 'peer-198', 'peer-199']);
    }
  }, 60_000);
}
