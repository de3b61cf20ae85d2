import { createLogger } from '../../common/log.js';
import { KubernetesApi } from '../testing/kubernetes-api.js';
import { TestIndex } from '../testing/test-index.js';
import { KubernetesPlaces } from './kubernetes-places.js';
import { placeIn, statefulSetSchema } from './peer-places.js';

const set = (spec: object, metadata: object = {}) =>
  statefulSetSchema.parse({ metadata: { name: 'shoal-peer', ...metadata }, spec });

describe('the place of a pod', () => {
  test('is kept below the replicas, and given up from there on', () => {
    expect(placeIn(set({ replicas: 3 }), 'shoal-peer-2')).toBe('kept');
    expect(placeIn(set({ replicas: 3 }), 'shoal-peer-3')).toBe('given_up');
    expect(placeIn(set({ replicas: 0 }), 'shoal-peer-0')).toBe('given_up');
    expect(placeIn(set({}), 'shoal-peer-0')).toBe('kept');
    expect(placeIn(set({}), 'shoal-peer-1')).toBe('given_up');
  });

  test('is counted from where the ordinals start', () => {
    const late = set({ replicas: 2, ordinals: { start: 5 } });
    expect(placeIn(late, 'shoal-peer-4')).toBe('given_up');
    expect(placeIn(late, 'shoal-peer-6')).toBe('kept');
    expect(placeIn(late, 'shoal-peer-7')).toBe('given_up');
  });

  test('is not known for other pods, nor when the whole set goes', () => {
    for (const name of ['shoal-peer', 'shoal-peer-', 'shoal-peer-x', 'shoal-peer-01', 'other-1']) {
      expect(placeIn(set({ replicas: 1 }), name)).toBe('unknown');
    }
    expect(placeIn(set({ replicas: 1 }, { deletionTimestamp: '2026-01-01T00:00:00Z' }), 'shoal-peer-0')).toBe(
      'unknown',
    );
  });
});

describe('the place of a peer, as the cluster tells', () => {
  let api: KubernetesApi;
  let lines: string[];
  beforeEach(async () => {
    api = await KubernetesApi.start();
    lines = [];
  });
  afterEach(() => api.stop());

  const places = (namespace: string | undefined = 'team-a', timeoutMs = 5_000) =>
    new KubernetesPlaces(
      {
        load: async () => api.kubeConfig,
        log: createLogger({ name: 'test', level: 'info' }, { write: (line) => lines.push(JSON.parse(line).msg) }),
      },
      { statefulSet: 'shoal-peer', namespace, timeoutMs },
    );

  test('is read each time, and given to the peer that asks for its own', async () => {
    api.statefulSet = set({ replicas: 2 });
    const index = await TestIndex.start({ places: places() });
    try {
      const peer = await index.peer('shoal-peer-1');
      const other = await index.peer('elsewhere');
      expect(await index.client.place(peer.auth, 'shoal-peer-1')).toBe('kept');
      api.statefulSet = set({ replicas: 1 });
      expect(await index.client.place(peer.auth, 'shoal-peer-1')).toBe('given_up');
      expect(await index.client.place(other.auth, 'elsewhere')).toBe('unknown');
      await expect(index.client.place(other.auth, 'shoal-peer-1')).rejects.toMatchObject({ code: 'denied' });
      api.isSetForbidden = true;
      await expect(index.client.place(peer.auth, 'shoal-peer-1')).rejects.toMatchObject({ code: 'unavailable' });
      expect(await index.metric('shoal_index_place_failures_total')).toBe(1);
    } finally {
      await index.stop();
    }
  });

  test('is unknown when the set is gone, and a failure that is logged when it cannot be read', async () => {
    expect(await places().of('shoal-peer-0')).toBe('unknown');
    expect(lines).toEqual([]);
    api.isSetForbidden = true;
    await expect(places().of('shoal-peer-0')).rejects.toMatchObject({
      code: 'unavailable',
      cause: expect.objectContaining({ code: 'denied', hint: expect.stringContaining('statefulsets') }),
    });
    api.isSilent = true;
    await expect(places('team-a', 50).of('shoal-peer-0')).rejects.toMatchObject({ code: 'unavailable' });
    expect(lines).toEqual(Array(2).fill('cannot tell whether the pod of a peer comes back'));
  });
});

test('without Kubernetes no place is known', async () => {
  const index = await TestIndex.start();
  const peer = await index.peer('p');
  expect(await index.client.place(peer.auth, 'p')).toBe('unknown');
  await index.stop();
});
