import { idOf, TestIndex, type TestPeer } from '../testing/test-index.js';

const password = 'correct horse';

describe("the original's routes", () => {
  let index: TestIndex;
  let peer: TestPeer;
  let other: TestPeer;
  beforeAll(async () => {
    index = await TestIndex.start();
    peer = await index.peer('p1');
    other = await index.peer('p2');
  });
  afterAll(() => index.stop());

  const login = (body: object) => index.client.seedLogin(undefined, body);
  async function enter(username: string, url = peer.address): Promise<string> {
    const { status, body } = await login({ username, password, url });
    expect(status).toBe(200);
    return (body as { token: string }).token;
  }

  test('/login registers a new user who gives the address of a peer, and logs in one who is known', async () => {
    const first = await login({ username: 'ann', password, url: peer.address });
    expect(first).toEqual({
      status: 200,
      body: {
        message: 'registered and logged in as ann',
        result: true,
        token: expect.any(String),
        expiresAt: expect.any(String),
      },
    });
    expect(await login({ username: 'ann', password })).toMatchObject({ status: 200, body: { result: true } });
    await index.client.account({ bearer: (first.body as { token: string }).token });
  });

  test.each([
    ['a new user without a url', { username: 'new1', password }, 400],
    ['a url where no peer is', { username: 'new2', password, url: 'evil.example:4999' }, 400],
    ['a url that is none', { username: 'new3', password, url: '\u0000' }, 400],
    ['a short password', { username: 'new4', password: 'short', url: 'p1.test:4999' }, 400],
    ['a name that cannot be', { username: 'a b', password, url: 'p1.test:4999' }, 400],
    ['no password', { username: 'new5', url: 'p1.test:4999' }, 400],
    ["the peers' own name", { username: 'Shoal', password, url: 'p1.test:4999' }, 401],
  ])('/login refuses %s', async (_what, body, status) => {
    expect(await login(body)).toEqual({
      status,
      body: expect.objectContaining({ status, result: false, message: expect.any(String), code: expect.any(String) }),
    });
  });

  test('/login refuses a wrong password with 401, and a known user at an address where no peer is with 400', async () => {
    await enter('bob');
    expect(await login({ username: 'bob', password: 'wrong' })).toMatchObject({ status: 401, body: { result: false } });
    expect(await login({ username: 'bob', password, url: 'evil:1' })).toMatchObject({
      status: 400,
      body: { result: false },
    });
  });

  test('/index, /search and /logout need credentials', async () => {
    for (const path of ['/index', '/search', '/logout']) {
      const headers = { 'content-type': 'application/json' };
      const response = await index.request(path, { method: 'POST', headers, body: '{"username":"ann","files":[]}' });
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ result: false, code: 'unauthenticated' });
    }
  });

  test('/index tells which files are newly offered, and reports each by name', async () => {
    const token = await enter('carl');
    await peer.publish('a.txt', { as: token });
    await peer.publish('b.txt', { as: token });
    const files = [
      'a.txt',
      { name: 'b.txt', isNew: false },
      'missing.txt',
      '../up',
      { name: 'a.txt', id: idOf('other') },
    ];
    expect(await index.client.seedIndex(peer.for(token), { username: 'carl', files })).toEqual({
      status: 200,
      body: {
        message: '1 of 5 files newly added',
        files: ['a.txt'],
        operation: [
          'a.txt: is now offered at p1.test:4999',
          'b.txt: was offered already at p1.test:4999',
          'missing.txt: not found; no peer has published it',
          '../up: not found; no peer has published it',
          'a.txt: not found; no peer has published it',
        ],
      },
    });
  });

  test('/index answers 404 for a user that is unknown or logged out, and 403 for another', async () => {
    const token = await enter('dora');
    await enter('eve', other.address);
    const status = async (auth: { bearer: string }, username: string) =>
      (await index.client.seedIndex(auth, { username, files: [] })).status;
    expect(await status(peer.auth, 'dora')).toBe(200);
    expect(await status(peer.auth, 'nobody')).toBe(404);
    expect(await status(peer.for(token), 'eve')).toBe(403);
    expect(await status(peer.auth, 'eve')).toBe(403);
    await index.client.seedLogout(peer.for(token), { username: 'dora' });
    expect(await status(peer.auth, 'dora')).toBe(404);
  });

  test('/search tells the owner and the address of a live peer that holds all of it, the seat first', async () => {
    const token = await enter('fay');
    const { file } = await other.publish('found me', { as: token, content: 'fay' });
    const search = (files: string[]) => index.client.seedSearch(peer.auth, { files });
    expect((await search(['found me', 'not me'])).body).toEqual({
      message: 'not found: not me',
      files: [{ filename: 'found me', peer: 'fay', url: 'p2.test:4999' }],
    });
    await peer.announce({ held: [{ id: file.id, complete: false }] });
    expect((await search(['found me'])).body).toMatchObject({ files: [{ url: 'p2.test:4999' }] });
    await peer.announce({ held: [{ id: file.id, complete: true }] });
    expect((await search(['found me'])).body).toMatchObject({
      message: 'found all 1',
      files: [{ url: 'p1.test:4999' }],
    });
    expect((await search([])).body).toEqual({ message: 'found all 0', files: [] });
  });

  test('/search keeps private files from others', async () => {
    const token = await enter('gus');
    await peer.publish('private of gus', { as: token, visibility: 'private' });
    const found = async (auth: { bearer: string }) =>
      ((await index.client.seedSearch(auth, { files: ['private of gus'] })).body as { files: unknown[] }).files.length;
    expect(await found({ bearer: token })).toBe(1);
    expect(await found(peer.auth)).toBe(0);
  });

  test('/logout ends the session and takes the files out of searches', async () => {
    const token = await enter('hal');
    await peer.publish('of hal', { as: token });
    expect(await index.client.seedLogout(peer.for(token), { username: 'hal' })).toEqual({
      status: 200,
      body: { message: 'hal is logged out', result: true },
    });
    await expect(index.client.account({ bearer: token })).rejects.toMatchObject({ code: 'unauthenticated' });
    expect((await index.client.seedSearch(peer.auth, { files: ['of hal'] })).body).toMatchObject({ files: [] });
    expect((await index.client.stat(peer.auth, 'hal/of hal')).name).toBe('of hal');
  });

  test('/logout by the peer where a user is seated ends all sessions; by another it is refused', async () => {
    const token = await enter('ida');
    expect((await index.client.seedLogout(other.auth, { username: 'ida' })).status).toBe(403);
    await index.client.account({ bearer: token });
    expect((await index.client.seedLogout(peer.auth, { username: 'ida' })).status).toBe(200);
    await expect(index.client.account({ bearer: token })).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await index.client.seedLogout(peer.auth, { username: 'ida' })).toMatchObject({
      status: 404,
      body: { result: false },
    });
    expect(await index.client.seedLogout(peer.auth, { username: 'nobody' })).toMatchObject({
      status: 404,
      body: { result: false },
    });
  });
});
