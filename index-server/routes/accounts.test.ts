import { TestIndex, type TestPeer } from '../testing/test-index.js';

const PASSWORD = 'correct horse';

describe('accounts', () => {
  let index: TestIndex;
  let peer: TestPeer;
  beforeAll(async () => {
    index = await TestIndex.start();
    peer = await index.peer('p1');
  });
  afterAll(() => index.stop());

  const register = (username: string, password = PASSWORD) => index.client.register(undefined, { username, password });
  const login = (username: string, password = PASSWORD) => index.client.login(undefined, { username, password });

  test('are registered and logged in to, and tell who they are', async () => {
    const first = await register('ann');
    const second = await login('ann');
    expect(second.token).not.toBe(first.token);
    expect(await index.client.account({ bearer: second.token })).toEqual({
      userId: expect.any(String),
      username: 'ann',
      peerAccount: false,
      expiresAt: second.expiresAt,
    });
  });

  test('have names that differ by more than case', async () => {
    await register('Bob');
    await expect(register('bOB')).rejects.toMatchObject({ code: 'conflict' });
    expect(await login('BOB')).toMatchObject({ username: 'Bob' });
  });

  test('are taken by one of many who register the same name at once', async () => {
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => register('race')));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
    }
  });

  test.each(['shoal', 'Shoal', 'SHOAL'])("cannot be called '%s'", async (name) => {
    await expect(register(name)).rejects.toMatchObject({ code: 'denied' });
    await expect(login(name)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test.each([
    ['', PASSWORD],
    ['-ann', PASSWORD],
    ['a b', PASSWORD],
    ['a/b', PASSWORD],
    ['ä', PASSWORD],
    ['x'.repeat(65), PASSWORD],
    ['carl', '1234567'],
    ['carl', 'x'.repeat(257)],
  ])('are refused with the name %j and the password %j', async (username, password) => {
    await expect(register(username, password)).rejects.toMatchObject({ code: 'invalid' });
  });

  test('do not tell a wrong password from an unknown user', async () => {
    await register('dora');
    const answer = async (username: string) => {
      const body = JSON.stringify({ username, password: 'wrong horse' });
      const headers = { 'content-type': 'application/json' };
      const response = await index.request('/api/v1/sessions', { method: 'POST', headers, body });
      return { status: response.status, body: await response.json() };
    };
    const wrong = await answer('dora');
    expect(wrong.status).toBe(401);
    expect(await answer('nobody')).toEqual(wrong);
    expect(await answer('a name \u0000 that cannot be')).toEqual(wrong);
  });

  test('end their session at log-out, that one alone', async () => {
    const first = await register('eve');
    const second = await login('eve');
    await index.client.logout({ bearer: first.token });
    await expect(index.client.account({ bearer: first.token })).rejects.toMatchObject({ code: 'unauthenticated' });
    await index.client.account({ bearer: second.token });
  });

  test('end every other session when the password changes', async () => {
    const first = await register('fay');
    const second = await login('fay');
    const change = { currentPassword: PASSWORD, newPassword: 'battery staple' };
    await index.client.changePassword({ bearer: second.token }, change);
    await index.client.account({ bearer: second.token });
    await expect(index.client.account({ bearer: first.token })).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(login('fay')).rejects.toMatchObject({ code: 'unauthenticated' });
    await login('fay', 'battery staple');
  });

  test('keep their password when the current one is wrong', async () => {
    const { token } = await register('gus');
    const change = { currentPassword: 'wrong', newPassword: 'battery staple' };
    await expect(index.client.changePassword({ bearer: token }, change)).rejects.toMatchObject({ code: 'denied' });
    await login('gus');
  });

  test('are slowed down after ten failures, and counted out with the right password too', async () => {
    await register('hal');
    for (let guess = 0; guess < 10; guess += 1) {
      await expect(login('hal', `guess ${guess}`)).rejects.toMatchObject({ code: 'unauthenticated' });
    }
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ username: 'hal', password: PASSWORD });
    const response = await index.request('/api/v1/sessions', { method: 'POST', headers, body });
    expect(response.status).toBe(429);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    await login('gus');
  });

  test('let a peer act for a user by the session of the user, and as shoal without', async () => {
    const { token } = await register('ida');
    expect(await index.client.account(peer.for(token))).toMatchObject({ username: 'ida', peerAccount: false });
    expect(await index.client.account(peer.auth)).toEqual({
      userId: 'shoal',
      username: 'shoal',
      peerAccount: true,
      expiresAt: null,
    });
    await index.client.logout(peer.for(token));
    await expect(index.client.account(peer.for(token))).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(index.client.logout(peer.auth)).rejects.toMatchObject({ code: 'denied' });
  });

  test('let only peers act on behalf of somebody', async () => {
    const { token } = await register('jon');
    const auth = { bearer: token, onBehalf: token };
    await expect(index.client.account(auth)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test.each([
    ['nothing', undefined],
    ['an unknown session', 'Bearer nonsense'],
    ['a forged peer token', 'Bearer eyJhbGciOiJub25lIn0.eyJuYW1lIjoicDEifQ.'],
    ['another scheme', 'Basic YTpi'],
    ['the join scheme', 'Join secret'],
    ['no token', 'Bearer '],
  ])('are closed to %s', async (_what, authorization) => {
    const response = await index.request(
      '/api/v1/files',
      authorization === undefined ? {} : { headers: { authorization } },
    );
    expect(response.status).toBe(401);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(await response.json()).toMatchObject({ status: 401, code: 'unauthenticated' });
  });

  test('do not take a swarm token or a ticket for a peer token', async () => {
    const { ticket } = await index.client.publishTicket(peer.auth);
    for (const bearer of [peer.joined.swarmToken, ticket]) {
      await expect(index.client.account({ bearer })).rejects.toMatchObject({ code: 'unauthenticated' });
    }
  });

  // Last: it moves the clock.
  test('end their sessions, and peer tokens, when their time is over', async () => {
    const { token } = await register('kim');
    const late = await index.peer('late');
    index.advance(3_540_000);
    await index.client.account(late.auth);
    index.advance(60_000);
    await expect(index.client.account(late.auth)).rejects.toMatchObject({ code: 'unauthenticated' });
    index.advance(22 * 3_600_000);
    await index.client.account({ bearer: token });
    index.advance(3_600_000);
    await expect(index.client.account({ bearer: token })).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});

describe('joining', () => {
  const secret = 'a secret of sixteen'.replaceAll(' ', '-');
  const body = {
    name: 'p1',
    address: 'p1:1',
    version: '1',
    incarnation: 'x'.repeat(8),
    files: 0,
    bytesUsed: 0,
    bytesFree: 0,
  };
  let index: TestIndex;
  beforeAll(async () => {
    index = await TestIndex.start({ config: { joinSecret: secret, sessionMs: 1000 } });
  });
  afterAll(() => index.stop());

  test('needs the secret where there is one, on loopback too', async () => {
    await expect(index.client.join(body, undefined)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(index.client.join(body, `${secret}!`)).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(index.client.join(body, secret)).resolves.toMatchObject({ leaseMs: 10_000, heartbeatMs: 3333 });
    expect(await index.metric('shoal_index_auth_failures_total{reason="bad_join_secret"}')).toBe(2);
  });

  test('sessions last as long as is set', async () => {
    const { token } = await index.client.register(undefined, { username: 'ann', password: PASSWORD });
    await index.client.account({ bearer: token });
    index.advance(1000);
    await expect(index.client.account({ bearer: token })).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
