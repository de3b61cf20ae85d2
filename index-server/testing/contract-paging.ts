import type { ListedFile, Page, PageRequest } from '../catalog.js';
import type { ContractContext } from './catalog-contract.js';
import { fileRow, publish, tombstoneOf } from './catalog-rows.js';

const ANN = { userId: 'id-of-ann' };
const BOB = { userId: 'id-of-bob' };

/** Pages: every row once, nothing moved by what comes and goes meanwhile, tokens only where they belong. */
export function pagingContract({ catalog, reopen }: ContractContext): void {
  type Read = (request: PageRequest) => Promise<Page<ListedFile>>;
  const list: Read = (request) => catalog().list({}, BOB, request);
  const search: Read = (request) => catalog().search('file', BOB, request);
  const nameOf = (n: number) => `file ${String(n).padStart(3, '0')}`;
  /** Half of them private and shared, so that pages are merged from two audiences; some of the same time. */
  const publishFile = (n: number) =>
    publish(catalog(), {
      name: nameOf(n),
      publishedAt: 1_000 + Math.floor(n / 3),
      ...(n % 2 === 0 && { visibility: 'private', readers: ['id-of-bob'] }),
    });
  const publishFiles = async (from: number, to: number, step = 1) => {
    for (let n = from; n < to; n += step) await publishFile(n);
  };
  const readAll = async (read: Read, limit: number, between: (page: number) => Promise<void> = async () => {}) => {
    const names: string[] = [];
    let token: string | null | undefined;
    for (let page = 0; token !== null; page += 1) {
      const { rows, next } = await read({ limit, ...(token !== undefined && { token }) });
      expect(rows.length).toBe(next === null ? rows.length : limit);
      names.push(...rows.map(({ name }) => name));
      token = next;
      await between(page);
    }
    return names;
  };
  const both = [
    ['list', list],
    ['search', search],
  ] as const;

  test.each(both)('shows every row of a %s once, whatever the size of the page', async (_name, read) => {
    await publishFiles(0, 17);
    const whole = await readAll(read, 100);
    expect([...whole].sort()).toEqual(Array.from({ length: 17 }, (_, n) => nameOf(n)));
    for (const limit of [1, 4, 16, 17, 18]) expect(await readAll(read, limit)).toEqual(whole);
  });

  test.each(both)('shows the rows of a %s that stay once, while others come and go', async (_name, read) => {
    await publishFiles(0, 60, 2);
    const seen = await readAll(read, 5, async (page) => {
      await publishFile(page * 8 + 1);
      // Those at the ends of pages just shown, among others.
      for (const n of [page * 10 + 8, 50 - page * 10]) {
        const { row } = await publishFile(n);
        if (n % 4 === 0) await catalog().removeName(tombstoneOf(row));
      }
    });
    expect(new Set(seen).size).toBe(seen.length);
    const stayed = Array.from({ length: 30 }, (_, n) => 2 * n).filter(
      (n) => n % 4 !== 0 && n % 10 !== 8 && n % 10 !== 0,
    );
    expect(seen).toEqual(expect.arrayContaining(stayed.map(nameOf)));
  });

  test('goes on after a restart', async () => {
    await publishFiles(0, 6);
    const { next } = await list({ limit: 3 });
    const again = await reopen();
    const { rows } = await again.list({}, BOB, { limit: 3, token: next ?? '' });
    expect(rows.map(({ name }) => name)).toEqual([3, 4, 5].map(nameOf));
  });

  test('goes on where the last row shown is gone', async () => {
    await publishFiles(0, 4);
    const { rows, next } = await list({ limit: 2 });
    for (const { name } of rows) {
      const row = await catalog().current('id-of-ann', name);
      await catalog().removeName(tombstoneOf(row ?? fileRow()));
    }
    const rest = await list({ limit: 2, token: next ?? '' });
    expect(rest.rows.map(({ name }) => name)).toEqual([2, 3].map(nameOf));
  });

  test('pages through what few of many entries match', async () => {
    for (let n = 0; n < 40; n += 1) {
      const tags = { all: 'yes', ...(n % 8 === 0 && { few: 'yes' }) };
      await publish(catalog(), {
        name: `${nameOf(n)} ${n % 2 ? 'odd' : 'even'} international${n % 5 ? 'ization' : 'ly'}`,
        tags,
      });
    }
    const tagged: Read = (request) => catalog().list({ tags: ['all=yes', 'few=yes'] }, ANN, request);
    expect((await readAll(tagged, 2)).map((name) => name.slice(0, 8))).toEqual([0, 8, 16, 24, 32].map(nameOf));
    const words: Read = (request) => catalog().search('even internationally', ANN, request);
    expect(await readAll(words, 1)).toHaveLength(4);
  });

  test('refuses a token that was not given for the same query', async () => {
    await publishFiles(0, 4);
    const token = (await list({ limit: 1 })).next ?? '';
    const found = (await search({ limit: 1 })).next ?? '';
    const refused = { code: 'invalid' };
    await expect(list({ limit: 1, token: found })).rejects.toMatchObject(refused);
    await expect(search({ limit: 1, token })).rejects.toMatchObject(refused);
    for (const other of [{ prefix: 'f' }, { tags: ['a=b'] }, { ownerId: 'id-of-ann' }]) {
      await expect(catalog().list(other, BOB, { limit: 1, token })).rejects.toMatchObject(refused);
    }
    for (const forged of ['', 'x', `${token}A`, token.slice(1), Buffer.from('["file 001"]').toString('base64url')]) {
      await expect(list({ limit: 1, token: forged })).rejects.toMatchObject(refused);
    }
    expect((await list({ limit: 9, token })).rows).toHaveLength(3);
  });

  test('refuses a limit that is none', async () => {
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      await expect(list({ limit })).rejects.toMatchObject({ code: 'invalid' });
      await expect(search({ limit })).rejects.toMatchObject({ code: 'invalid' });
    }
  });
}
