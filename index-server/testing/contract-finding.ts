import type { FileRow, ListFilter } from '../catalog.js';
import type { ContractContext } from './catalog-contract.js';
import { fileRow, idOf, publish } from './catalog-rows.js';

const ANN = { userId: 'id-of-ann' };
const BOB = { userId: 'id-of-bob' };
const EVE = { userId: 'id-of-eve' };

/** Who finds what: visibility, prefixes, tags, owners, words, ids. */
export function findingContract({ catalog }: ContractContext): void {
  const publishNames = async (...names: string[]) => {
    for (const name of names) await publish(catalog(), { name });
  };
  const namesOf = (rows: readonly Pick<FileRow, 'name'>[]) => rows.map(({ name }) => name);
  const list = async (filter: ListFilter = {}, reader = ANN) =>
    namesOf((await catalog().list(filter, reader, { limit: 100 })).rows);
  const search = async (text: string, reader = ANN) =>
    namesOf((await catalog().search(text, reader, { limit: 100 })).rows);

  describe('visibility', () => {
    beforeEach(async () => {
      const tags = { kind: 'model' };
      await publish(catalog(), { name: 'public word', tags });
      await publish(catalog(), { name: 'private word', tags, visibility: 'private' });
      await publish(catalog(), { name: 'shared word', tags, visibility: 'private', readers: ['id-of-bob'] });
    });
    const seen = [
      [ANN, ['private word', 'public word', 'shared word']],
      [BOB, ['public word', 'shared word']],
      [EVE, ['public word']],
    ] as const;

    test.each(seen)('is part of every query of %o', async (reader, names) => {
      expect(await list({}, reader)).toEqual(names);
      expect(await list({ prefix: 'p' }, reader)).toEqual(names.filter((name) => name.startsWith('p')));
      expect(await list({ tags: ['kind=model'] }, reader)).toEqual(names);
      expect(await list({ ownerId: 'id-of-ann' }, reader)).toEqual(names);
      expect([...(await search('word', reader))].sort()).toEqual(names);
      for (const name of ['public word', 'private word', 'shared word']) {
        const isSeen = (names as readonly string[]).includes(name);
        const expected = isSeen ? [name] : [];
        expect(namesOf(await catalog().visibleWithName(name, reader, 9))).toEqual(expected);
        expect(namesOf(await catalog().versionsWithId(fileRow({ name }).id, reader, 99))).toEqual(expected);
      }
    });

    test('fills pages whatever others hide', async () => {
      for (let n = 0; n < 20; n += 1) await publish(catalog(), { name: `n word ${n}`, visibility: 'private' });
      const page = await catalog().list({}, BOB, { limit: 2 });
      expect([namesOf(page.rows), page.next]).toEqual([['public word', 'shared word'], null]);
      const found = await catalog().search('word', BOB, { limit: 2 });
      expect([found.rows.length, found.next]).toEqual([2, null]);
    });

    test('counts nothing twice when an owner is among the readers', async () => {
      await publish(catalog(), {
        name: 'own',
        visibility: 'private',
        readers: ['id-of-ann', 'id-of-bob', 'id-of-bob'],
      });
      expect(await list({ prefix: 'own' })).toEqual(['own']);
      expect(await list({ prefix: 'own' }, BOB)).toEqual(['own']);
    });
  });

  test('lists in byte order of name, then owner', async () => {
    const names = ['b', 'a', 'B', 'a/b', 'a!', 'é', 'z', '\u{1f40b}', '\uffee', 'a b', 'ab'];
    await publishNames(...names);
    await publish(catalog(), { name: 'a', owner: 'Zoe', ownerId: '1' });
    await publish(catalog(), { name: 'a', owner: 'bob', ownerId: '0' });
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await list()).toEqual(sorted.flatMap((name) => (name === 'a' ? ['a', 'a', 'a'] : [name])));
    const { rows } = await catalog().list({ prefix: 'a' }, ANN, { limit: 3 });
    expect(rows.map(({ name, owner }) => [name, owner])).toEqual([
      ['a', 'Zoe'],
      ['a', 'ann'],
      ['a', 'bob'],
    ]);
  });

  test('takes a prefix as it is written', async () => {
    const names = [
      '100%',
      '100_',
      '1000',
      '100',
      'a.b',
      'axb',
      'A.b',
      'é',
      'e\u0301',
      '\u{1f40b}x',
      '\u{10ffff}y',
      'back\\',
      "it's",
    ];
    await publishNames(...names);
    const prefixes = [
      ...names,
      '',
      '10',
      'e',
      '.*',
      'a.',
      '%',
      '\u{10ffff}',
      'nothing',
      'b',
      '^',
      'a\u0000',
      '\ud83d',
      "'",
    ];
    for (const prefix of prefixes) {
      expect([...(await list({ prefix }))].sort()).toEqual(
        names.filter((name) => name.startsWith(prefix) && prefix !== '\ud83d').sort(),
      );
    }
  });

  test('narrows by all tags, owner and prefix at once', async () => {
    await publish(catalog(), { name: 'x/1', tags: { a: '1', b: '2' } });
    await publish(catalog(), { name: 'x/2', tags: { a: '1' } });
    await publish(catalog(), { name: 'y/3', tags: { a: '1', b: '2' } });
    await publish(catalog(), { name: 'x/4', tags: { a: '1', b: '2' }, owner: 'bob' });
    await publish(catalog(), { name: 'x/5', tags: { a: '11', b: '2=2' } });
    expect(await list({ tags: ['a=1'] })).toEqual(['x/1', 'x/2', 'x/4', 'y/3']);
    expect(await list({ tags: ['a=1', 'b=2'] })).toEqual(['x/1', 'x/4', 'y/3']);
    expect(await list({ tags: ['b=2', 'a=1', 'b=2'], prefix: 'x/', ownerId: 'id-of-ann' })).toEqual(['x/1']);
    expect(await list({ tags: ['b=2=2'] })).toEqual(['x/5']);
    expect(await list({ tags: ['a=1', 'a=11'] })).toEqual([]);
    expect(await list({ tags: ['a'] })).toEqual([]);
    expect(await list({ tags: Array.from({ length: 2_000 }, (_, n) => `a=${n}`) })).toEqual([]);
    expect(await list({ tags: Array.from({ length: 32 }, (_, n) => `a=${n}`) })).toEqual([]);
    expect(await list({ ownerId: 'id-of-bob' })).toEqual(['x/4']);
    expect(await list({ ownerId: 'nobody' })).toEqual([]);
  });

  test('searches by the beginnings of all words, in any case and form', async () => {
    await publishNames('models/Llama-7B.gguf', 'llama7b notes.txt', 'BÜCHER/Ⅻ ﬁnal', '模型/資料', 'plain');
    expect((await search('llama')).sort()).toEqual(['llama7b notes.txt', 'models/Llama-7B.gguf']);
    expect((await search('7b')).sort()).toEqual(['llama7b notes.txt', 'models/Llama-7B.gguf']);
    expect(await search('gg lla 7')).toEqual(['models/Llama-7B.gguf']);
    expect(await search('LLAMA, notes!')).toEqual(['llama7b notes.txt']);
    expect(await search('bücher')).toEqual(['BÜCHER/Ⅻ ﬁnal']);
    expect(await search('BU\u0308CH xii final')).toEqual(['BÜCHER/Ⅻ ﬁnal']);
    expect(await search('模')).toEqual(['模型/資料']);
    expect(await search('lama')).toEqual([]);
    expect(await search('llama plain')).toEqual([]);
  });

  test('tells long words apart beyond what is indexed', async () => {
    await publishNames('internationalization', 'internationalisation', 'internationally', '\u{1d7ce}'.repeat(3));
    expect(await search('internationalis')).toEqual(['internationalisation']);
    expect((await search('internationali')).sort()).toEqual(['internationalisation', 'internationalization']);
    expect(await search('internationalizations')).toEqual([]);
    expect(await search('000')).toHaveLength(1);
  });

  test('searches for more words than are looked up', async () => {
    const words = Array.from({ length: 12 }, (_, n) => `${String.fromCharCode(97 + n)}word`);
    await publishNames(words.join(' '), words.slice(0, 11).join(' '));
    expect(await search(words.join(' '))).toEqual([words.join(' ')]);
    expect(await search(words.slice(0, 11).join(' '))).toHaveLength(2);
  });

  test('refuses to search for nothing', async () => {
    await expect(catalog().search(' -./ ', ANN, { limit: 9 })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('shows what was found newest first', async () => {
    for (const [n, publishedAt] of [3_000, 1_000, 9_999, 10_000].entries()) {
      await publish(catalog(), { name: `word ${n}`, publishedAt, visibility: n % 2 ? 'private' : 'public' });
    }
    expect(await search('word')).toEqual(['word 3', 'word 2', 'word 0', 'word 1']);
  });

  test('tells all versions of an id, own ones first, then the newest', async () => {
    const id = idOf('same content');
    await publish(catalog(), { id, owner: 'eve', publishedAt: 3_000 });
    await publish(catalog(), { id, owner: 'bob', publishedAt: 4_000 });
    await publish(catalog(), { id, name: 'mine, public', publishedAt: 1_000 });
    await publish(catalog(), { id, name: 'mine, private', publishedAt: 2_000, visibility: 'private' });
    await publish(catalog(), { name: 'mine, private', publishedAt: 5_000 });
    const told = await catalog().versionsWithId(id, ANN, 99);
    expect(told.map(({ name, owner }) => `${owner}: ${name}`)).toEqual([
      'ann: mine, private',
      'ann: mine, public',
      'bob: model.bin',
      'eve: model.bin',
    ]);
    expect(await catalog().versionsWithId(id, EVE, 99)).toHaveLength(3);
    expect(await catalog().allVersionsWithId(id, 99)).toHaveLength(4);
    expect(await catalog().allVersionsWithId(idOf('other'), 99)).toEqual([]);
    expect(await catalog().versionsWithId(idOf('other'), ANN, 99)).toEqual([]);
  });

  test('tells some versions of content that goes by many names', async () => {
    const id = idOf('same content');
    for (let n = 0; n < 30; n += 1) {
      await publish(catalog(), { id, name: `${n}`, publishedAt: 1_000 + n, visibility: n % 3 ? 'public' : 'private' });
    }
    await publish(catalog(), { id, owner: 'bob', name: 'first', publishedAt: 1 });
    await publish(catalog(), { id, owner: 'bob', name: 'second', publishedAt: 2, visibility: 'private' });
    expect(namesOf(await catalog().versionsWithId(id, BOB, 4))).toEqual(['second', 'first', '29', '28']);
    expect(await catalog().versionsWithId(id, BOB, 1)).toHaveLength(1);
    expect(await catalog().versionsWithId(id, BOB, 99)).toHaveLength(22);
    expect(namesOf(await catalog().versionsWithId(id, EVE, 3))).toEqual(['29', '28', '26']);
    expect(new Set(namesOf(await catalog().versionsWithId(id, ANN, 99)))).toHaveProperty('size', 31);
    const own = await catalog().versionsWithId(id, ANN, 5);
    expect(own.map(({ owner }) => owner)).toEqual(Array.from({ length: 5 }, () => 'ann'));
  });

  test('tells whoever makes copies first of the versions that want the most', async () => {
    const id = idOf('same content');
    for (let n = 0; n < 12; n += 1) await publish(catalog(), { id, name: `${n}`, replicas: 1 + (n % 3) });
    // Names with much wanted of other content, before and after, must not hide what is wanted of this one.
    await publish(catalog(), { name: '11', id: idOf('other content'), replicas: 9 });
    await publish(catalog(), { name: 'other', id: idOf('other content'), replicas: 8 });
    await publish(catalog(), { name: 'other', id, replicas: 5 });
    const wanted = async (limit: number) =>
      (await catalog().allVersionsWithId(id, limit)).map(({ replicas }) => replicas);
    expect(await wanted(1)).toEqual([5]);
    expect(await wanted(6)).toEqual([5, 3, 3, 3, 3, 2]);
    expect(await wanted(99)).toEqual([5, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1]);
    expect(await catalog().allVersionsWithId(id, 7)).toEqual(await catalog().allVersionsWithId(id, 7));
  });

  test('tells the records of many ids at once', async () => {
    const contents = Array.from({ length: 40 }, (_, n) => `content ${n}`);
    for (const [n, content] of contents.entries()) await publish(catalog(), { id: idOf(content), name: `${n}` });
    for (const name of ['a', 'b', 'c']) await publish(catalog(), { id: idOf('content 7'), name });
    const records = await catalog().recordsWithIds([...contents, 'unknown'].map(idOf), 2);
    expect(records.size).toBe(40);
    expect(records.get(idOf('content 39'))).toEqual(['signed 39 1']);
    const some = (await catalog().allVersionsWithId(idOf('content 7'), 2)).map(({ record }) => record);
    expect(records.get(idOf('content 7'))).toEqual(some);
    expect(await catalog().recordsWithIds([], 2)).toEqual(new Map());
  });

  test('finds the visible files of a name, in order of owner', async () => {
    for (const owner of ['zoe', 'bob', 'ann', 'carl']) await publish(catalog(), { owner, name: 'same' });
    await publish(catalog(), { owner: 'dan', name: 'same', visibility: 'private' });
    await publishNames('same2', 'same/x', 'sam');
    const found = await catalog().visibleWithName('same', BOB, 3);
    expect(found.map(({ owner }) => owner)).toEqual(['ann', 'bob', 'carl']);
    expect(await catalog().visibleWithName('none', BOB, 3)).toEqual([]);
  });
}
