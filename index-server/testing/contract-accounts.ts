import type { UserRow } from '../catalog.js';
import type { ContractContext } from './catalog-contract.js';

function userRow(given: Partial<UserRow> = {}): UserRow {
  return { id: 'id-of-ann', name: 'ann', passwordHash: 'hash', locked: false, createdAt: 1_000, ...given };
}

/** Users, sessions, seats, and that all are there after a restart. */
export function accountContract({ catalog, servers, reopen }: ContractContext): void {
  test('finds a user by id and by name, whatever its case', async () => {
    const ann = userRow();
    const bob = userRow({ id: 'id-of-bob', name: 'Bob', passwordHash: null, locked: true });
    await catalog().createUser(ann);
    await catalog().createUser(bob);
    expect(await catalog().userByName('ann')).toEqual(ann);
    expect(await catalog().userByName('bOB')).toEqual(bob);
    expect(await catalog().userByName('eve')).toBeUndefined();
    const found = await catalog().usersById(['id-of-bob', 'id-of-eve', 'id-of-ann', 'id-of-bob']);
    expect([...found].sort((a, b) => a.id.localeCompare(b.id))).toEqual([ann, bob]);
    expect(await catalog().usersById([])).toEqual([]);
  });

  test('refuses a name that is taken, also in another case, and an id that is taken', async () => {
    await catalog().createUser(userRow());
    await expect(catalog().createUser(userRow({ id: 'other' }))).rejects.toMatchObject({ code: 'conflict' });
    await expect(catalog().createUser(userRow({ id: 'other', name: 'ANN' }))).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(catalog().createUser(userRow({ name: 'eve' }))).rejects.toMatchObject({ code: 'conflict' });
    expect(await catalog().userByName('ann')).toEqual(userRow());
    expect(await catalog().userByName('eve')).toBeUndefined();
  });

  test('lets one of many have a name that all want at once', async () => {
    const all = await servers();
    const attempts = await Promise.allSettled(
      Array.from({ length: 16 }, (_, n) =>
        (all[n % all.length] ?? catalog()).createUser(userRow({ id: `user-${n}`, name: n % 2 ? 'ANN' : 'ann' })),
      ),
    );
    const winners = attempts.flatMap(({ status }, n) => (status === 'fulfilled' ? [`user-${n}`] : []));
    expect(winners).toHaveLength(1);
    expect((await catalog().userByName('ann'))?.id).toBe(winners[0]);
    expect((await catalog().counts()).users).toBe(1);
  });

  test('changes a password', async () => {
    await catalog().createUser(userRow());
    await catalog().setPassword('id-of-ann', 'another hash');
    expect(await catalog().userByName('ann')).toEqual(userRow({ passwordHash: 'another hash' }));
    await expect(catalog().setPassword('nobody', 'hash')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('keeps a session until it expires or is deleted', async () => {
    const session = { tokenHash: 'token-1', userId: 'id-of-ann', expiresAt: 2_000 };
    await catalog().createSession(session);
    expect(await catalog().session('token-1', 1_999)).toEqual(session);
    expect(await catalog().session('token-1', 2_000)).toBeUndefined();
    expect(await catalog().session('token-2', 0)).toBeUndefined();
    await catalog().deleteSession('token-1');
    expect(await catalog().session('token-1', 0)).toBeUndefined();
    await catalog().deleteSession('token-1');
  });

  test('ends all sessions of a user but one', async () => {
    for (const [tokenHash, userId] of [
      ['a', 'ann'],
      ['b', 'ann'],
      ['c', 'ann'],
      ['d', 'bob'],
    ] as const) {
      await catalog().createSession({ tokenHash, userId, expiresAt: 2_000 });
    }
    expect(await catalog().deleteSessionsOf('ann', 'b')).toBe(2);
    const left = await Promise.all(['a', 'b', 'c', 'd'].map((token) => catalog().session(token, 0)));
    expect(left.map((session) => session?.tokenHash)).toEqual([undefined, 'b', undefined, 'd']);
    expect(await catalog().deleteSessionsOf('ann')).toBe(1);
    expect(await catalog().deleteSessionsOf('ann')).toBe(0);
  });

  test('sweeps expired sessions and leaves the others', async () => {
    await catalog().createSession({ tokenHash: 'old', userId: 'ann', expiresAt: 2_000 });
    await catalog().createSession({ tokenHash: 'new', userId: 'ann', expiresAt: 2_001 });
    await catalog().sweep(2_000, 0);
    expect(await catalog().session('old', 0)).toBeUndefined();
    expect(await catalog().session('new', 0)).toBeDefined();
  });

  test('keeps the seat a user took last', async () => {
    expect(await catalog().seat('ann')).toBeUndefined();
    await catalog().setSeat({ userId: 'ann', url: 'peer-0:4999' });
    await catalog().setSeat({ userId: 'ann', url: 'peer-1:4999' });
    expect(await catalog().seat('ann')).toEqual({ userId: 'ann', url: 'peer-1:4999' });
    await catalog().deleteSeat('ann');
    expect(await catalog().seat('ann')).toBeUndefined();
  });

  test('has all of it after a restart', async () => {
    await catalog().createUser(userRow());
    await catalog().createSession({ tokenHash: 'a', userId: 'id-of-ann', expiresAt: 2_000 });
    await catalog().setSeat({ userId: 'id-of-ann', url: 'peer-0:4999' });
    const again = await reopen();
    expect(await again.userByName('ann')).toEqual(userRow());
    expect(await again.session('a', 0)).toBeDefined();
    expect(await again.seat('id-of-ann')).toBeDefined();
    await expect(again.createUser(userRow({ id: 'other' }))).rejects.toMatchObject({ code: 'conflict' });
  });
}
