import { ShoalError } from '../../common/errors.js';
import type { Located } from '../api/files.js';
import { fileBody, idOf, TestIndex, type TestPeer } from '../testing/test-index.js';

const password = 'correct horse';

describe('files', () => {
  let index: TestIndex;
  let peer: TestPeer;
  let ann: string;
  let bob: string;
  beforeAll(async () => {
    index = await TestIndex.start({ config: { keepVersions: 2 } });
    peer = await index.peer('p1');
    ann = (await index.client.register(undefined, { username: 'ann', password })).token;
    bob = (await index.client.register(undefined, { username: 'bob', password })).token;
  });
  afterAll(() => index.stop());

  const asAnn = () => ({ bearer: ann });
  const asBob = () => ({ bearer: bob });

  test('are published by a peer, for itself or a user, with a record signed by the index', async () => {
    const { file, record, targets } = await peer.publish('docs/a b.txt', { as: ann, tags: { kind: 'text' } });
    expect(file).toEqual({
      ...{ id: idOf('docs/a b.txt'), name: 'docs/a b.txt', owner: 'ann', size: 100_000, tags: { kind: 'text' } },
      ...{ visibility: 'public', publishedAt: expect.any(String), sha256: expect.any(String) },
      ...{ chunkSize: 65_536, chunks: 2, replicas: 1, version: 1, readers: [] },
      holders: [{ peer: 'p1', address: 'p1.test:4999', complete: true }],
    });
    expect(targets).toEqual([]);
    expect(await index.signer.verifyRecord(record)).toMatchObject({
      kind: 'record',
      owner: 'ann',
      name: 'docs/a b.txt',
    });
    expect(await index.client.stat(asBob(), 'ann/docs/a b.txt')).toEqual(file);
    expect((await peer.publish('of the peer')).file.owner).toBe('shoal');
  });

  test('cannot be published by a person, nor by a peer that has not joined', async () => {
    await expect(index.client.publish(asAnn(), fileBody('x'))).rejects.toMatchObject({ code: 'denied' });
    const gone = await index.peer('gone');
    await index.client.withdraw(gone.auth, 'gone');
    await expect(gone.publish('x')).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('can be published with a publish ticket, which opens nothing else', async () => {
    const { ticket } = await index.client.publishTicket(asAnn());
    const { file } = await peer.publish('by ticket', { as: ticket, visibility: 'private' });
    expect(file.owner).toBe('ann');
    expect(await index.client.account(peer.for(ticket))).toMatchObject({ username: 'ann' });
    await expect(index.client.list(peer.for(ticket), {})).rejects.toMatchObject({ code: 'denied' });
    await expect(index.client.remove(peer.for(ticket), 'by ticket')).rejects.toMatchObject({ code: 'denied' });
    // What it published it may locate, to have copies made; no other file, and not from another peer.
    await index.client.locate(peer.for(ticket), { ref: file.id });
    await expect(index.client.locate(peer.for(ticket), { ref: 'by ticket' })).rejects.toMatchObject({
      code: 'not_found',
    });
    const other = await index.peer('p9');
    await expect(index.client.locate(other.for(ticket), { ref: file.id })).rejects.toMatchObject({ code: 'not_found' });
    index.advance(601_000);
    await expect(peer.publish('too late', { as: ticket })).rejects.toMatchObject({ code: 'unauthenticated' });
    await Promise.all([peer.beat(), other.beat()]);
  });

  test('can be located with the read ticket of that file', async () => {
    const { file } = await peer.publish('secret of ann', { as: ann, visibility: 'private' });
    const { ticket } = await index.client.locate(asAnn(), { ref: file.id });
    const other = await index.peer('p8');
    expect((await index.client.locate(other.for(ticket), { ref: file.id })).file.name).toBe('secret of ann');
    await expect(index.client.locate(other.auth, { ref: file.id })).rejects.toMatchObject({ code: 'not_found' });
    await expect(index.client.locate(other.for(ticket), { ref: 'ann/docs/a b.txt' })).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(index.client.stat(other.for(ticket), file.id)).rejects.toMatchObject({ code: 'denied' });
  });

  test('get a new version when other content takes their name, and keep as many as is set', async () => {
    const versions = [];
    for (const content of ['one', 'two', 'three']) {
      versions.push((await peer.publish('versioned', { as: ann, content })).file);
    }
    expect(versions.map(({ version }) => version)).toEqual([1, 2, 3]);
    expect((await index.client.stat(asAnn(), 'versioned')).id).toBe(idOf('three'));
    expect((await index.client.stat(asAnn(), idOf('two'))).version).toBe(2);
    await expect(index.client.stat(asAnn(), idOf('one'))).rejects.toMatchObject({ code: 'not_found' });
    expect((await peer.beat()).orders).toContainEqual(expect.objectContaining({ do: 'drop', id: idOf('one') }));
    await peer.announce({ held: [], dropped: [idOf('one')] });
    expect((await peer.beat()).orders).not.toContainEqual(expect.objectContaining({ do: 'drop', id: idOf('one') }));
  });

  test('keep version and time when the same content is published again, and take the new tags', async () => {
    const { file } = await peer.publish('again', { as: ann, tags: { a: '1' } });
    const { file: second } = await peer.publish('again', { as: ann, tags: { b: '2' }, visibility: 'private' });
    expect(second).toEqual({ ...file, tags: { b: '2' }, visibility: 'private' });
    await expect(index.client.stat(asBob(), 'ann/again')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('mean what design says by id, own name, owner and name, and the one visible name', async () => {
    await peer.publish('same', { as: ann, content: "ann's" });
    expect((await index.client.stat(asBob(), 'same')).owner).toBe('ann');
    await peer.publish('same', { as: bob, content: "bob's" });
    expect((await index.client.stat(asBob(), 'same')).owner).toBe('bob');
    expect((await index.client.stat(asBob(), 'ann/same')).owner).toBe('ann');
    expect((await index.client.stat(asBob(), 'ANN/same')).owner).toBe('ann');
    expect((await index.client.stat(asBob(), idOf("ann's"))).owner).toBe('ann');
    await expect(index.client.stat(peer.auth, 'same')).rejects.toMatchObject({
      code: 'conflict',
      details: { candidates: ['ann/same', 'bob/same'] },
    });
    await expect(index.client.stat(asBob(), 'carl/same')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('that are private do not exist for others, until they are shared', async () => {
    const { file } = await peer.publish('diary', { as: ann, visibility: 'private' });
    for (const ref of ['diary', 'ann/diary', file.id]) {
      await expect(index.client.stat(asBob(), ref)).rejects.toMatchObject({ code: 'not_found' });
      await expect(index.client.locate(asBob(), { ref })).rejects.toMatchObject({ code: 'not_found' });
      await expect(index.client.remove(asBob(), ref)).rejects.toMatchObject({ code: 'not_found' });
      await expect(index.client.patch(asBob(), ref, { tags: {} })).rejects.toMatchObject({ code: 'not_found' });
    }
    expect((await index.client.search(asBob(), { text: 'diary' })).files).toEqual([]);
    expect((await index.client.list(asBob(), { prefix: 'diary' })).files).toEqual([]);
    const shared = await index.client.patch(asAnn(), 'diary', { addReaders: ['bob', 'ann', 'bob'] });
    expect(shared.readers).toEqual(['bob']);
    expect((await index.client.locate(asBob(), { ref: 'ann/diary' })).file.id).toBe(file.id);
    expect((await index.client.list(asBob(), { prefix: 'diary' })).files).toHaveLength(1);
    await index.client.patch(asAnn(), 'diary', { removeReaders: ['BOB'] });
    await expect(index.client.stat(asBob(), file.id)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('tell their readers to their owner, and to a reader no more than himself', async () => {
    const carl = (await index.client.register(undefined, { username: 'carl', password })).token;
    await peer.publish('team', { as: ann, visibility: 'private', readers: ['carl', 'bob'] });
    expect((await index.client.stat(asAnn(), 'team')).readers).toEqual(['bob', 'carl']);
    expect((await index.client.stat({ bearer: carl }, 'ann/team')).readers).toEqual(['carl']);
  });

  test('forget their readers when they become public', async () => {
    await peer.publish('open', { as: ann, visibility: 'private', readers: ['bob'] });
    expect(await index.client.patch(asAnn(), 'open', { visibility: 'public' })).toMatchObject({ readers: [] });
    expect(await index.client.patch(asAnn(), 'open', { visibility: 'private' })).toMatchObject({ readers: [] });
  });

  test.each([
    ['readers of a public file', { readers: ['bob'] }],
    ['readers that do not exist', { visibility: 'private' as const, readers: ['nobody'] }],
    ['a count of chunks that does not fit', { chunks: 3 }],
    ['a name that leads elsewhere', { name: '../etc/passwd' }],
    ['a name that looks like an id', { name: 'ab'.repeat(32) }],
    ['an id in capitals', { id: 'AB'.repeat(32) }],
    ['too many tags', { tags: Object.fromEntries(Array.from({ length: 33 }, (_unused, at) => [`t${at}`, ''])) }],
    ['a negative size', { size: -1 }],
    ['half a byte', { size: 0.5 }],
    ['no copies', { replicas: 0 }],
  ])('are not published with %s', async (_what, change) => {
    await expect(peer.publish('refused', { as: ann, ...change })).rejects.toMatchObject({ code: 'invalid' });
    await expect(index.client.stat(asAnn(), 'refused')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('are changed by their owner alone', async () => {
    await peer.publish('mine', { as: ann, tags: { a: '1', b: '2' } });
    await expect(index.client.patch(asBob(), 'ann/mine', { tags: { a: '9' } })).rejects.toMatchObject({
      code: 'denied',
    });
    await expect(index.client.remove(asBob(), 'ann/mine')).rejects.toMatchObject({ code: 'denied' });
    const patched = await index.client.patch(asAnn(), 'mine', { tags: { a: null, c: '3' } });
    expect(patched.tags).toEqual({ b: '2', c: '3' });
  });

  test('are removed with all versions by name, with one by id', async () => {
    await peer.publish('r', { as: ann, content: 'r1' });
    await peer.publish('r', { as: ann, content: 'r2' });
    expect(await index.client.remove(asAnn(), idOf('r2'))).toEqual({ removed: 1 });
    expect((await index.client.stat(asAnn(), 'r')).id).toBe(idOf('r1'));
    await peer.publish('r', { as: ann, content: 'r3' });
    expect(await index.client.remove(asAnn(), 'r')).toEqual({ removed: 2 });
    await expect(index.client.stat(asAnn(), 'r')).rejects.toMatchObject({ code: 'not_found' });
    expect((await peer.announce({ held: [{ id: idOf('r1'), complete: true }] })).removed).toEqual([idOf('r1')]);
  });

  test('stay when they have another name, whose owner alone may remove that', async () => {
    await peer.publish('twin 1', { as: ann, content: 'twin' });
    await peer.publish('twin 2', { as: ann, content: 'twin' });
    await peer.publish('twin 3', { as: bob, content: 'twin' });
    await expect(index.client.remove(asAnn(), idOf('twin'))).rejects.toMatchObject({
      code: 'conflict',
      details: { candidates: expect.arrayContaining(['ann/twin 1', 'ann/twin 2']) },
    });
    await index.client.remove(asAnn(), 'twin 1');
    expect((await index.client.stat(asAnn(), idOf('twin'))).name).toBe('twin 2');
    expect(await index.client.remove(asAnn(), idOf('twin'))).toEqual({ removed: 1 });
    expect((await index.client.stat(asAnn(), idOf('twin'))).owner).toBe('bob');
    expect((await peer.beat()).orders).not.toContainEqual(expect.objectContaining({ do: 'drop', id: idOf('twin') }));
  });

  test('are listed by prefix, tag and owner, page by page', async () => {
    for (const name of ['p/3', 'p/1', 'p/2', 'p/4']) await peer.publish(name, { as: bob, tags: { set: 'p', n: name } });
    const first = await index.client.list(asAnn(), { prefix: 'p/', limit: 3 });
    expect(first.files.map(({ name }) => name)).toEqual(['p/1', 'p/2', 'p/3']);
    const second = await index.client.list(asAnn(), { prefix: 'p/', limit: 3, page: first.nextPage as string });
    expect(second).toMatchObject({ files: [{ name: 'p/4' }], nextPage: null });
    const tagged = await index.client.list(asAnn(), { tag: ['set=p', 'n=p/2'] });
    expect(tagged.files.map(({ name }) => name)).toEqual(['p/2']);
    expect((await index.client.list(asAnn(), { owner: 'bob', prefix: 'p/' })).files).toHaveLength(4);
    expect((await index.client.list(asAnn(), { owner: 'ann', prefix: 'p/' })).files).toEqual([]);
    expect((await index.client.list(asAnn(), { owner: 'nobody' })).files).toEqual([]);
    await expect(index.client.list(asAnn(), { page: 'made up' })).rejects.toMatchObject({ code: 'invalid' });
  });

  test('are found by beginnings of words, newest first', async () => {
    for (const name of ['weights/llama-large.bin', 'weights/llama-small.bin']) await peer.publish(name, { as: bob });
    const { files } = await index.client.search(asAnn(), { text: 'LLA wei' });
    expect(files.map(({ name }) => name)).toEqual(['weights/llama-small.bin', 'weights/llama-large.bin']);
    expect((await index.client.search(asAnn(), { text: 'llama tiny' })).files).toEqual([]);
  });

  test('are located at others, with a ticket for them alone', async () => {
    const { file } = await peer.publish('to fetch', { as: ann });
    const located = await index.client.locate(asBob(), { ref: 'to fetch' });
    expect(await index.signer.verifyTicket(located.ticket, Date.parse(located.ticketExpiresAt) - 1000)).toMatchObject({
      act: 'read',
      file: file.id,
      name: 'bob',
    });
    expect(located.file.holders).toHaveLength(1);
    expect((await index.client.locate(peer.auth, { ref: 'ann/to fetch' })).file.holders).toEqual([]);
  });

  describe('are published several at a time', () => {
    const publishMany = (bodies: object[], as = ann) =>
      index.client.publishMany(peer.for(as), bodies as Parameters<typeof index.client.publishMany>[1]);
    const told = (answers: Awaited<ReturnType<typeof publishMany>>) =>
      answers.map((answer) => (answer instanceof Error ? answer.code : `${answer.file.name} ${answer.file.version}`));

    test('as one by one, each failing for itself', async () => {
      await peer.publish('s/old', { as: ann });
      const answers = await publishMany([
        fileBody('s/new'),
        { ...fileBody('s/odd'), chunks: 3 },
        { ...fileBody('s/shared'), visibility: 'private', readers: ['bob'] },
        { ...fileBody('s/stranger'), visibility: 'private', readers: ['nobody-known'] },
        { ...fileBody('s/old'), tags: { kind: 'text' } },
        fileBody('s/old', 'another content'),
        fileBody('s/twin', 's/new'),
      ]);
      expect(told(answers)).toEqual([
        ...['s/new 1', 'invalid', 's/shared 1', 'invalid', 's/old 1', 's/old 2', 's/twin 1'],
      ]);
      const { files } = await index.client.list(asBob(), { prefix: 's/' });
      expect(files.map(({ name }) => name)).toEqual(['s/new', 's/old', 's/shared', 's/twin']);
      const [first] = answers;
      if (first === undefined || first instanceof Error) throw new Error('the first was not published');
      expect(first.file).toEqual(await index.client.stat(asAnn(), 's/new'));
      expect(await index.signer.verifyRecord(first.record)).toMatchObject({ owner: 'ann', name: 's/new' });
      const { file } = await index.client.locate(asBob(), { ref: 's/shared' });
      expect(file.holders).toMatchObject([{ peer: 'p1', complete: true }]);
    });

    test('with a condition on one of them', async () => {
      const [first, second] = await publishMany([
        { ...fileBody('s/if', 'other'), ifNoneMatch: ['*'] },
        { ...fileBody('s/if', 'third'), ifNoneMatch: ['*'] },
      ]);
      expect([first, second].filter((answer) => answer instanceof Error)).toMatchObject([{ code: 'conflict' }]);
    });

    test('within limits, by a peer, for whoever gave it a session or a ticket', async () => {
      const many = Array.from({ length: 65 }, (_, i) => fileBody(`many/${i}`));
      await expect(publishMany(many)).rejects.toMatchObject({ code: 'invalid' });
      await expect(publishMany([])).rejects.toMatchObject({ code: 'invalid' });
      await expect(publishMany([fileBody('fine'), fileBody('../up')])).rejects.toMatchObject({ code: 'invalid' });
      await expect(index.client.publishMany(asAnn(), [fileBody('x')])).rejects.toMatchObject({ code: 'denied' });
      const { ticket } = await index.client.publishTicket(asAnn());
      const answers = await publishMany(many.slice(0, 64), ticket);
      expect(answers.map((answer) => answer instanceof Error || answer.file.owner)).toEqual(Array(64).fill('ann'));
    });

    test('in a store that fails in the middle: the whole call fails, and can be made again', async () => {
      const failing = await TestIndex.start({
        wrap: (catalog) => {
          let isBroken = true;
          return {
            ...catalog,
            publish: async (key, make) => {
              if (key.name === 'breaks' && isBroken) {
                isBroken = false;
                throw new ShoalError('unavailable', 'the store is away');
              }
              return catalog.publish(key, make);
            },
          };
        },
      });
      try {
        const holder = await failing.peer('p1');
        const bodies = ['before', 'breaks', 'after'].map((name) => fileBody(name));
        await expect(failing.client.publishMany(holder.auth, bodies)).rejects.toMatchObject({ code: 'unavailable' });
        expect(told(await failing.client.publishMany(holder.auth, bodies))).toEqual([
          ...['before 1', 'breaks 1', 'after 1'],
        ]);
      } finally {
        await failing.stop();
      }
    });
  });

  describe('a publish with a condition', () => {
    const current = async (name: string) => (await index.client.stat(asAnn(), name)).id;
    const publish = (content: string, condition: object) =>
      peer.publish('conditional', { as: asAnn().bearer, content, ...condition });

    test('is taken when it holds and is a conflict when it does not', async () => {
      await expect(publish('one', { ifMatch: ['*'] })).rejects.toMatchObject({ code: 'conflict' });
      const { file } = await publish('one', { ifNoneMatch: ['*'] });
      await expect(publish('two', { ifNoneMatch: ['*'] })).rejects.toMatchObject({
        code: 'conflict',
        message: `'conditional' is taken by ${file.id}`,
      });
      await expect(publish('two', { ifMatch: [] })).rejects.toMatchObject({ code: 'conflict' });
      await expect(publish('two', { ifNoneMatch: [file.id] })).rejects.toMatchObject({ code: 'conflict' });
      expect(await current('conditional')).toBe(file.id);
      await publish('two', { ifMatch: [file.id] });
      await expect(publish('three', { ifMatch: [file.id] })).rejects.toMatchObject({ code: 'conflict' });
    });

    test('is met by one of many who want the same name', async () => {
      const wanted = Array.from({ length: 10 }, (_, i) =>
        peer.publish('raced', { as: asAnn().bearer, content: `raced-${i}`, ifNoneMatch: ['*'] }),
      );
      const outcomes = await Promise.allSettled(wanted);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });
  });

  test('are located many at a time as one by one, each failing for itself', async () => {
    for (const name of ['m1', 'm2']) await peer.publish(name, { as: ann });
    await peer.publish('m1', { as: bob, content: 'another m1' });
    await peer.publish('hidden', { as: ann, visibility: 'private' });
    const carl = { bearer: (await index.client.register(undefined, { username: 'carla', password })).token };
    const refs = ['m2', 'm1', 'hidden', idOf('m2'), 'bob/m1', 'm2'];
    const answers = await index.client.locateMany(carl, refs);
    const alone = await Promise.all(
      refs.map((ref) => index.client.locate(carl, { ref }).catch((error: unknown) => error as Error)),
    );
    // Tickets tell the second in which they were made.
    const told = (answer: Located | Error) => (answer instanceof Error ? answer : [answer.file, answer.record]);
    expect(answers.map(told)).toEqual(alone.map(told));
    expect(answers.map((answer) => (answer instanceof Error ? answer.code : answer.file.name))).toEqual([
      ...['m2', 'conflict', 'not_found', 'm2', 'm1', 'm2'],
    ]);
    expect(answers[1]).toMatchObject({ details: { candidates: ['ann/m1', 'bob/m1'] } });
  });

  test('are located many at a time within limits, and with a ticket for nothing that it does not reach', async () => {
    const { file } = await peer.publish('a ticket of it', { as: ann });
    await expect(index.client.locateMany(asBob(), [])).rejects.toMatchObject({ code: 'invalid' });
    await expect(index.client.locateMany(asBob(), Array(65).fill(file.id))).rejects.toMatchObject({ code: 'invalid' });
    const { ticket } = await index.client.locate(asBob(), { ref: file.id });
    const answers = await index.client.locateMany(peer.for(ticket), [file.id, idOf('m2')]);
    expect(answers).toMatchObject([{ file: { id: file.id } }, { code: 'not_found' }]);
  });
});
