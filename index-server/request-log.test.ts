import { pino } from 'pino';
import { ShoalError } from '../common/errors.js';
import { eventually, TestIndex } from './testing/test-index.js';

describe('the request log', () => {
  const lines: string[] = [];
  let index: TestIndex;
  beforeAll(async () => {
    index = await TestIndex.start({ log: pino({ level: 'trace' }, { write: (line: string) => lines.push(line) }) });
  });
  afterAll(() => index.stop());

  const logged = (text: string) => lines.filter((line) => line.includes(text));

  test('tells of each request with its id and status, and of failures louder than of successes', async () => {
    await index.request('/nowhere', { headers: { 'x-request-id': 'my-id' } });
    await eventually(async () => logged('/nowhere').length === 1);
    expect(JSON.parse(logged('/nowhere')[0] as string)).toMatchObject({
      level: 30,
      req: { id: 'my-id', method: 'GET', url: '/nowhere' },
      res: { statusCode: 404 },
    });
  });

  test('says why a request failed for which its sender is not to blame', async () => {
    const full = await TestIndex.start({
      log: pino({ level: 'trace' }, { write: (line: string) => lines.push(line) }),
      wrap: (plain) =>
        Object.assign(Object.create(plain) as typeof plain, {
          createSession: async () => {
            throw new ShoalError('exhausted', 'no space left for the store');
          },
        }),
    });
    try {
      const failure = full.client.register(undefined, { username: 'zoe', password: 'correct horse' });
      await expect(failure).rejects.toMatchObject({ code: 'exhausted' });
      await eventually(async () => logged('no space left').length === 1);
      expect(JSON.parse(logged('no space left')[0] as string)).toMatchObject({
        level: 50,
        req: { method: 'POST', url: '/api/v1/accounts' },
        res: { statusCode: 507 },
        err: { message: 'no space left for the store' },
      });
    } finally {
      await full.stop();
    }
  });

  test('holds no probes and no credential', async () => {
    const peer = await index.peer('p1');
    const { token } = await index.client.register(undefined, { username: 'ann', password: 'correct horse' });
    await index.client.account(peer.for(token));
    const { ticket } = await index.client.publishTicket(peer.for(token));
    await expect(index.client.login(undefined, { username: 'ann', password: 'wrong horse' })).rejects.toThrow();
    for (const path of ['/livez', '/readyz', '/metrics']) await index.request(path);
    await index.request('/the/end');
    await eventually(async () => logged('/the/end').length === 1);
    expect(logged('/api/v1/account').length).toBeGreaterThan(0);
    const secrets = [token, ticket, 'correct horse', 'wrong horse', peer.joined.peerToken, peer.joined.swarmToken];
    for (const secret of [...secrets, '/livez', '/readyz', '/metrics']) expect(logged(secret)).toEqual([]);
  });
});
