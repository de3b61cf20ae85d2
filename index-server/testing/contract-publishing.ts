import type { FilePatch } from '../catalog.js';
import type { ContractContext } from './catalog-contract.js';
import { fileRow, idOf, listedOf, publish } from './catalog-rows.js';

const ANN = { userId: 'id-of-ann' };
const BOB = { userId: 'id-of-bob' };

const PATCH: FilePatch = {
  tags: { stage: 'final' },
  visibility: 'private',
  readers: ['id-of-bob'],
  replicas: 3,
  record: 'signed again',
};

/** Versions of names: publishing, changing, keeping apart what many do at once. */
export function publishingContract({ catalog, servers, reopen }: ContractContext): void {
  test('gives back what was published, unchanged', async () => {
    const row = fileRow({
      name: 'räume/模型 (v1).bin',
      size: Number.MAX_SAFE_INTEGER,
      tags: { 'k8s.io/app': 'a=b $c', empty: '' },
      visibility: 'private',
      readers: ['id-of-bob', 'id-of-eve'],
    });
    expect(await publish(catalog(), row)).toEqual({ row, released: [] });
    expect(await catalog().current(row.ownerId, row.name)).toEqual(row);
    expect(await catalog().allVersionsWithId(row.id, 99)).toEqual([row]);
    expect(await (await reopen()).current(row.ownerId, row.name)).toEqual(row);
  });

  test('keeps an empty file with no chunks', async () => {
    const row = fileRow({ size: 0, chunks: 0, publishedAt: 0 });
    await publish(catalog(), row);
    expect(await catalog().current(row.ownerId, row.name)).toEqual(row);
  });

  test('makes a new version of a taken name and keeps the older one by id', async () => {
    const { row: first } = await publish(catalog(), { id: idOf('a') });
    const { row: second } = await publish(catalog(), { id: idOf('b'), publishedAt: 2_000 });
    expect([first.version, second.version]).toEqual([1, 2]);
    expect(await catalog().current(first.ownerId, first.name)).toEqual(second);
    expect(await catalog().versionsWithId(first.id, BOB, 99)).toEqual([first]);
    expect((await catalog().list({}, ANN, { limit: 10 })).rows).toEqual([listedOf(second)]);
    expect((await catalog().search('model', ANN, { limit: 10 })).rows).toEqual([listedOf(second)]);
  });

  test('tells the publisher what is current', async () => {
    const { row: first } = await publish(catalog(), { id: idOf('a') });
    const key = { ownerId: first.ownerId, name: first.name, id: idOf('b'), keepVersions: 10 };
    await catalog().publish(key, async (version, previous) => {
      expect([version, previous]).toEqual([2, first]);
      return fileRow({ id: idOf('b'), version });
    });
  });

  test('keeps the number of content that is current already, and takes the new record', async () => {
    await publish(catalog(), { id: idOf('a'), tags: { old: '1' } });
    const { row, released } = await publish(catalog(), { id: idOf('a'), tags: { new: '2' }, record: 'signed again' });
    expect(row).toMatchObject({ version: 1, tags: { new: '2' }, record: 'signed again' });
    expect(released).toEqual([]);
    expect(await catalog().allVersionsWithId(row.id, 99)).toEqual([row]);
    expect((await catalog().list({ tags: ['old=1'] }, ANN, { limit: 10 })).rows).toEqual([]);
    expect((await catalog().list({ tags: ['new=2'] }, ANN, { limit: 10 })).rows).toEqual([listedOf(row)]);
  });

  test('gives content a new number when it comes back after something else', async () => {
    for (const content of ['a', 'b', 'a']) await publish(catalog(), { id: idOf(content) });
    const versions = await catalog().allVersionsWithId(idOf('a'), 99);
    expect(versions.map(({ version }) => version).sort()).toEqual([1, 3]);
  });

  test('lets go the oldest versions beyond those to keep', async () => {
    const released: number[] = [];
    for (const content of ['a', 'b', 'c', 'd']) {
      const done = await publish(catalog(), { id: idOf(content) }, 2);
      released.push(...done.released.map(({ version }) => version));
    }
    expect(released).toEqual([1, 2]);
    const ids = ['a', 'b', 'c', 'd'].map(idOf);
    expect(await catalog().knownIds(ids)).toEqual(new Set(ids.slice(2)));
    expect(await catalog().removedIds(ids)).toEqual(new Set(ids.slice(0, 2)));
    const { released: rest } = await publish(catalog(), { id: idOf('e') }, 1);
    expect(rest.map(({ version }) => version)).toEqual([3, 4]);
  });

  test('keeps names of different owners and names that look alike apart', async () => {
    const names = ['a', 'a/b', 'A', 'a b', 'a.b', 'a/b/c', '100%', '100_', 'é', 'e\u0301'];
    for (const owner of ['ann', 'bob']) for (const name of names) await publish(catalog(), { owner, name });
    for (const owner of ['ann', 'bob']) {
      for (const name of names)
        expect(await catalog().current(`id-of-${owner}`, name)).toEqual(fileRow({ owner, name }));
    }
    expect((await catalog().counts()).files).toBe(2 * names.length);
  });

  test('gives many who publish one name at once a version each', async () => {
    const all = await servers();
    const published = await Promise.all(
      Array.from({ length: 24 }, (_, n) => {
        const server = all[n % all.length] ?? catalog();
        return publish(server, { id: idOf(`content ${n}`), publishedAt: 1_000 + n }, 100);
      }),
    );
    const versions = published.map(({ row }) => row.version).sort((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 24 }, (_, n) => n + 1));
    const last = published.find(({ row }) => row.version === 24)?.row;
    expect(await catalog().current('id-of-ann', 'model.bin')).toEqual(last);
    expect((await catalog().list({}, ANN, { limit: 100 })).rows).toEqual([last].map(listedOf));
    expect((await catalog().search('model', ANN, { limit: 100 })).rows).toEqual([last].map(listedOf));
    expect((await catalog().counts()).files).toBe(1);
  });

  test('loses no change when many change one version at once', async () => {
    const { row } = await publish(catalog());
    const all = await servers();
    await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        (all[n % all.length] ?? catalog()).patch(row, async (current) => ({
          ...current,
          tags: { ...current.tags, [`tag-${n}`]: 'set' },
        })),
      ),
    );
    expect(Object.keys((await catalog().current(row.ownerId, row.name))?.tags ?? {})).toHaveLength(12);
  });

  test('changes a version in place, with all its places in lists', async () => {
    const { row } = await publish(catalog(), { tags: { stage: 'draft' } });
    const changed = await catalog().patch(row, async (current) => {
      expect(current).toEqual(row);
      return PATCH;
    });
    expect(changed).toEqual({ ...row, ...PATCH });
    expect(await catalog().current(row.ownerId, row.name)).toEqual(changed);
    expect((await catalog().list({ tags: ['stage=draft'] }, ANN, { limit: 9 })).rows).toEqual([]);
    expect((await catalog().list({ tags: ['stage=final'] }, BOB, { limit: 9 })).rows).toEqual([listedOf(changed)]);
    expect((await catalog().list({}, { userId: 'id-of-eve' }, { limit: 9 })).rows).toEqual([]);
  });

  test('changes an older version without making it current', async () => {
    const { row: first } = await publish(catalog(), { id: idOf('a') });
    const { row: second } = await publish(catalog(), { id: idOf('b') });
    const changed = await catalog().patch(first, async () => PATCH);
    expect(await catalog().versionsWithId(first.id, ANN, 99)).toEqual([changed]);
    expect(await catalog().versionsWithId(first.id, { userId: 'id-of-eve' }, 99)).toEqual([]);
    expect((await catalog().list({}, ANN, { limit: 9 })).rows).toEqual([listedOf(second)]);
  });

  test('refuses to change what is gone', async () => {
    const { row } = await publish(catalog());
    const make = async () => PATCH;
    await expect(catalog().patch({ ...row, version: 2 }, make)).rejects.toMatchObject({ code: 'not_found' });
    await expect(catalog().patch({ ...row, name: 'other' }, make)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('changes nothing when the making of a row fails', async () => {
    const { row } = await publish(catalog());
    const fail = async (): Promise<never> => {
      throw new Error('the key is not there');
    };
    const key = { ownerId: row.ownerId, name: row.name, id: idOf('b'), keepVersions: 1 };
    await expect(catalog().publish(key, fail)).rejects.toThrow('the key is not there');
    await expect(catalog().patch(row, fail)).rejects.toThrow('the key is not there');
    await expect(catalog().publish(key, async () => row)).rejects.toMatchObject({ code: 'internal' });
    expect(await catalog().current(row.ownerId, row.name)).toEqual(row);
  });
}
