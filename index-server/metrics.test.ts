import { idOf, TestIndex } from './testing/test-index.js';

const password = 'correct horse';

/** Every series of /metrics with its value. */
async function seriesOf(index: TestIndex): Promise<Map<string, number>> {
  const text = await (await index.request('/metrics')).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** A day in the life: everything that a metric counts happens once or more. */
async function live(index: TestIndex): Promise<void> {
  const refused = (call: Promise<unknown>) => expect(call).rejects.toThrow();
  const one = await index.peer('p1', { files: 1 });
  const two = await index.peer('p2');
  await one.beat();
  await two.beat('draining');
  const { token } = await index.client.register(undefined, { username: 'ann', password });
  await index.client.login(undefined, { username: 'ann', password });
  await refused(index.client.login(undefined, { username: 'ann', password: 'wrong' }));
  for (let guess = 0; guess < 11; guess += 1)
    await index.client.login(undefined, { username: 'eve', password: 'x' }).catch(() => 0);
  for (const headers of [{}, { authorization: 'Basic x' }]) await index.request('/api/v1/files', { headers });
  for (const bearer of ['unknown', 'not.a.token']) await refused(index.client.account({ bearer }));
  await refused(index.client.account(one.for('unknown')));
  const { record } = await one.publish('a', { as: token, content: 'a1' });
  await one.publish('a', { as: token, content: 'a2' });
  await one.publish('a', { as: token, content: 'a2', replicas: 2 });
  await two.beat();
  await index.client.patch({ bearer: token }, 'a', { replicas: 2, tags: { x: 'y' } });
  await index.client.locate(two.auth, { ref: 'ann/a' });
  await index.client.locate(one.auth, { ref: 'ann/a' });
  await index.client.list({ bearer: token }, {});
  await index.client.search({ bearer: token }, { text: 'a' });
  await one.announce({ held: [{ id: idOf('a1'), complete: true }], full: 'only' });
  await one.announce({ held: [{ id: idOf('a2'), complete: true }] });
  await index.client.report(two.auth, { id: idOf('a1'), peer: 'p2', reason: 'corrupt' });
  await index.client.restore(one.auth, 'p1', [record, 'nonsense']);
  await index.client.remove({ bearer: token }, idOf('a1'));
  const gone = await index.signer.record({ ...(await index.signer.verifyRecord(record)), name: 'lost' });
  await index.client.restore(one.auth, 'p1', [gone]);
  const three = await index.peer('p3');
  await index.client.withdraw(three.auth, 'p3', { leftBehind: 2 });
  await (await index.request('/nothing')).arrayBuffer();
}

describe('the metrics', () => {
  let index: TestIndex;
  beforeAll(async () => {
    index = await TestIndex.start();
  });
  afterAll(() => index.stop());

  test('stand at 0 before anything happens, all labels included, and move when the real path runs', async () => {
    const before = await seriesOf(index);
    const counters = [...before].filter(([name]) => /^shoal_index_\w+_total/.test(name) && !name.includes('http_'));
    expect(counters.length).toBeGreaterThan(30);
    expect(counters.filter(([, value]) => value !== 0)).toEqual([]);
    await live(index);
    const after = await seriesOf(index);
    const unmoved = [...after]
      .filter(([name, value]) => name.startsWith('shoal_index_') && value === (before.get(name) ?? 0))
      .map(([name]) => name)
      .filter((name) => !name.includes('_bucket{') && !name.includes('http_request'));
    // These need faults, time or a crowd; other tests move them.
    expect(unmoved.sort()).toEqual([
      'shoal_index_auth_failures_total{reason="bad_join_secret"}',
      'shoal_index_lease_expirations_total',
      'shoal_index_passwords_waiting',
      'shoal_index_peers{state="draining"}',
      'shoal_index_peers{state="gone"}',
      'shoal_index_place_failures_total',
      'shoal_index_pod_watch_failures_total{reason="denied"}',
      'shoal_index_pod_watch_failures_total{reason="expired"}',
      'shoal_index_pod_watch_failures_total{reason="unavailable"}',
      'shoal_index_pod_watch_in_sync',
      ...[...after.keys()].filter((name) => name.startsWith('shoal_index_store_errors_total')).sort(),
      'shoal_index_store_up',
    ]);
  });

  test('count requests by pattern of route, never by path', async () => {
    const series = await seriesOf(index);
    expect(series.get('shoal_index_http_requests_total{route="/api/v1/files/{ref}",method="PATCH",code="2xx"}')).toBe(
      1,
    );
    expect(series.get('shoal_index_http_requests_total{route="unmatched",method="any",code="4xx"}')).toBeGreaterThan(0);
    expect([...series.keys()].filter((name) => /\bp1\b|\bann\b|127\.0/.test(name))).toEqual([]);
  });

  test('are fewer than 500 series, each with help and type, and no gauge has the name of a counter', async () => {
    const text = await (await index.request('/metrics')).text();
    expect((await seriesOf(index)).size).toBeLessThan(500);
    const names = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)];
    for (const [, name, type] of names) {
      expect(text).toContain(`# HELP ${name} `);
      if (name?.endsWith('_total')) expect([name, type]).toEqual([name, 'counter']);
    }
    expect(names.map(([, name]) => name)).toEqual(expect.arrayContaining(['nodejs_eventloop_lag_seconds']));
  });
});

test('the metrics tell of a store that is away and of errors that it gave', async () => {
  let isThere = true;
  const index = await TestIndex.start({
    wrap: (plain) =>
      Object.assign(Object.create(plain) as typeof plain, {
        counts: async () => {
          if (!isThere) throw new Error('away');
          return plain.counts();
        },
      }),
  });
  try {
    expect(await index.metric('shoal_index_store_up')).toBe(1);
    isThere = false;
    expect(await index.metric('shoal_index_store_up')).toBe(0);
    expect(await index.metric('shoal_index_store_errors_total{operation="upkeep"}')).toBeGreaterThan(0);
  } finally {
    await index.stop();
  }
});

test('the metrics tell of peers by state', async () => {
  const index = await TestIndex.start();
  try {
    const [one, two] = [await index.peer('p1'), await index.peer('p2')];
    await two.beat('draining');
    const states = async () =>
      Promise.all(
        ['live', 'draining', 'withdrawn', 'gone'].map((state) => index.metric(`shoal_index_peers{state="${state}"}`)),
      );
    expect(await states()).toEqual([1, 1, 0, 0]);
    await index.client.withdraw(one.auth, 'p1');
    expect(await states()).toEqual([0, 1, 1, 0]);
    index.advance(600_000);
    expect(await states()).toEqual([0, 0, 1, 1]);
  } finally {
    await index.stop();
  }
});
