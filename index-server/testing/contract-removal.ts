import type { ContractContext } from './catalog-contract.js';
import { fileRow, idOf, listedOf, publish, tombstoneOf } from './catalog-rows.js';

const ANN = { userId: 'id-of-ann' };

/** Removing, tombstones, and taking back what an earlier life of the store signed. */
export function removalContract({ catalog, servers, reopen }: ContractContext): void {
  const listed = async () => (await catalog().list({}, ANN, { limit: 100 })).rows;
  const publishAll = async (...contents: string[]) => {
    const rows = [];
    for (const content of contents) rows.push((await publish(catalog(), { id: idOf(content) })).row);
    return rows;
  };

  test('removes a name with all its versions', async () => {
    const [first, second] = await publishAll('a', 'b');
    const other = (await publish(catalog(), { name: 'other' })).row;
    const removed = await catalog().removeName(tombstoneOf(second ?? fileRow()));
    expect([...removed].sort((a, b) => a.version - b.version)).toEqual([first, second]);
    expect(await catalog().current('id-of-ann', 'model.bin')).toBeUndefined();
    expect(await listed()).toEqual([other].map(listedOf));
    expect((await catalog().search('model', ANN, { limit: 9 })).rows).toEqual([]);
    expect(await catalog().versionsWithId(idOf('a'), ANN, 99)).toEqual([]);
    expect((await catalog().counts()).files).toBe(1);
    expect(await catalog().removeName(tombstoneOf(second ?? fileRow()))).toEqual([]);
    expect(await catalog().removeName(tombstoneOf(fileRow({ name: 'never there' })))).toEqual([]);
  });

  test('tells ids that are known, removed, and neither', async () => {
    const [first, second] = await publishAll('a', 'b');
    await publish(catalog(), { name: 'copy of a', id: idOf('a') });
    await catalog().removeName(tombstoneOf(second ?? fileRow()));
    const ids = [idOf('a'), idOf('b'), idOf('never seen')];
    expect(await catalog().knownIds(ids)).toEqual(new Set([first?.id]));
    expect(await catalog().removedIds(ids)).toEqual(new Set([second?.id]));
    expect(await catalog().knownIds([])).toEqual(new Set());
    expect(await catalog().removedIds([])).toEqual(new Set());
  });

  test('makes the newest version that is left current when the current one is removed', async () => {
    const [first, second, third] = await publishAll('a', 'b', 'c');
    expect(await catalog().removeVersion(tombstoneOf(third ?? fileRow()))).toEqual([third]);
    expect(await listed()).toEqual([second].map(listedOf));
    expect((await catalog().search('model', ANN, { limit: 9 })).rows).toEqual([second].map(listedOf));
    expect(await catalog().removeVersion(tombstoneOf(first ?? fileRow()))).toEqual([first]);
    expect(await listed()).toEqual([second].map(listedOf));
    expect(await catalog().removeVersion(tombstoneOf(second ?? fileRow()))).toEqual([second]);
    expect(await listed()).toEqual([]);
    expect(await catalog().removeVersion(tombstoneOf(second ?? fileRow()))).toEqual([]);
    expect((await catalog().counts()).files).toBe(0);
  });

  test('goes on counting versions after a removal', async () => {
    const [, second] = await publishAll('a', 'b');
    await catalog().removeName(tombstoneOf(second ?? fileRow()));
    expect((await publish(catalog(), { id: idOf('b'), publishedAt: 9_000 })).row.version).toBe(3);
    expect(await catalog().removedIds([idOf('b')])).toEqual(new Set());
    expect((await catalog().counts()).files).toBe(1);
  });

  test('keeps one order of events when a name is published and removed at once', async () => {
    const all = await servers();
    const { row } = await publish(catalog(), { id: idOf('first') }, 100);
    await Promise.all(
      Array.from({ length: 16 }, (_, n) => {
        const server = all[n % all.length] ?? catalog();
        return n % 4 === 3 ? server.removeName(tombstoneOf(row)) : publish(server, { id: idOf(`${n}`) }, 100);
      }),
    );
    const current = await catalog().current('id-of-ann', 'model.bin');
    expect(await listed()).toEqual(current === undefined ? [] : [listedOf(current)]);
    const ids = Array.from({ length: 16 }, (_, n) => idOf(`${n}`));
    const known = await catalog().knownIds(ids);
    const removed = await catalog().removedIds(ids);
    expect(known.size + removed.size).toBe(12);
  });

  test('takes back versions, the highest of a name becoming current', async () => {
    const rows = [1, 3, 2].map((version) => fileRow({ version, id: idOf(`v${version}`) }));
    const other = fileRow({ owner: 'bob', visibility: 'private' });
    expect(await catalog().restore([...rows, other])).toBe(4);
    expect(await listed()).toEqual([rows[1]].map(listedOf));
    expect(await catalog().versionsWithId(idOf('v2'), ANN, 99)).toEqual([rows[2]]);
    expect(await catalog().restore(rows)).toBe(0);
    expect((await publish(catalog(), { id: idOf('v4') })).row.version).toBe(4);
    expect((await catalog().counts()).files).toBe(2);
  });

  test('takes nothing back that was removed or displaced, also after a restart', async () => {
    const rows = await publishAll('a', 'b', 'c');
    const { released } = await publish(catalog(), { id: idOf('d') }, 3);
    expect(released).toEqual([rows[0]]);
    await catalog().removeVersion(tombstoneOf(rows[1] ?? fileRow()));
    const again = await reopen();
    expect(await again.restore(rows)).toBe(0);
    expect(await again.removedIds([idOf('a'), idOf('b')])).toEqual(new Set([idOf('a'), idOf('b')]));
    const current = (await again.current('id-of-ann', 'model.bin')) ?? fileRow();
    await again.removeName(tombstoneOf(current));
    expect(await again.restore([...rows, current])).toBe(0);
    expect((await again.list({}, ANN, { limit: 9 })).rows).toEqual([]);
  });

  test('takes tombstones back, with what they prove', async () => {
    const rows = [1, 2, 3].map((version) => fileRow({ version, id: idOf(`v${version}`) }));
    const [first = fileRow(), second = fileRow(), third = fileRow()] = rows;
    await catalog().restore([first, third]);
    expect(await catalog().restoreTombstones([tombstoneOf(second)])).toEqual({ taken: 1, removed: [first] });
    expect(await catalog().restoreTombstones([tombstoneOf(second)])).toEqual({ taken: 0, removed: [] });
    expect(await catalog().knownIds([first.id, second.id, third.id])).toEqual(new Set([third.id]));
    expect(await catalog().removedIds([first.id, second.id, third.id])).toEqual(new Set([first.id, second.id]));
    expect(await catalog().restore(rows)).toBe(0);
    expect(await listed()).toEqual([third].map(listedOf));
  });

  test('finds the tombstones of a content, whichever of its names and versions they are of', async () => {
    const [a] = await publishAll('a');
    const [, b = fileRow()] = [a, (await publish(catalog(), { id: idOf('b') })).row];
    const other = fileRow({ name: 'other', id: idOf('a'), version: 1 });
    await catalog().restore([other]);
    expect(await catalog().tombstonesOf(idOf('a'), 9)).toEqual([]);
    const whole = tombstoneOf(b, { record: 'tombstone of all' });
    await catalog().removeName(whole);
    const single = tombstoneOf(other, { only: true, record: 'tombstone of one' });
    await catalog().removeVersion(single);
    expect([...(await catalog().tombstonesOf(idOf('a'), 9))].sort()).toEqual(['tombstone of all', 'tombstone of one']);
    expect(await catalog().tombstonesOf(idOf('b'), 9)).toEqual(['tombstone of all']);
    expect(await catalog().tombstonesOf(idOf('a'), 1)).toHaveLength(1);
    const again = await reopen();
    expect(await again.tombstonesOf(idOf('b'), 9)).toEqual(['tombstone of all']);
    await again.sweep(0, Number.MAX_SAFE_INTEGER);
    expect(await again.tombstonesOf(idOf('b'), 9)).toEqual([]);
  });

  test('is known by something that a restart keeps', async () => {
    const id = await catalog().storeId();
    expect(id).toMatch(/^[0-9]+$/);
    expect(await (await reopen()).storeId()).toBe(id);
  });

  test('takes a tombstone for one version alone at its word', async () => {
    const [first = fileRow(), second = fileRow()] = [1, 2].map((version) =>
      fileRow({ version, id: idOf(`v${version}`) }),
    );
    expect(await catalog().restoreTombstones([tombstoneOf(second, { only: true })])).toEqual({ taken: 1, removed: [] });
    expect(await catalog().restore([first, second])).toBe(1);
    expect(await listed()).toEqual([first].map(listedOf));
  });

  test('spares what was published after a tombstone was made', async () => {
    const { row } = await publish(catalog(), { publishedAt: 6_000 });
    await catalog().restoreTombstones([tombstoneOf(row, { version: 7, removedAt: 5_000 })]);
    expect(await listed()).toEqual([row].map(listedOf));
  });

  test('forgets what is gone for long, and only that', async () => {
    const { row } = await publish(catalog(), { name: 'old' });
    const { row: recent } = await publish(catalog(), { name: 'recent' });
    await catalog().removeName(tombstoneOf(row, { removedAt: 5_000 }));
    await catalog().removeName(tombstoneOf(recent, { removedAt: 6_000 }));
    await catalog().sweep(0, 6_000);
    expect(await catalog().removedIds([row.id, recent.id])).toEqual(new Set([recent.id]));
    expect(await catalog().restore([row, recent])).toBe(1);
    expect(await listed()).toEqual([row].map(listedOf));
    expect((await catalog().counts()).files).toBe(1);
  });

  test('takes back hundreds of versions', async () => {
    const rows = Array.from({ length: 300 }, (_, n) => fileRow({ name: `many/${n}` }));
    expect(await catalog().restore(rows)).toBe(300);
    expect((await catalog().counts()).files).toBe(300);
  }, 60_000);
}
