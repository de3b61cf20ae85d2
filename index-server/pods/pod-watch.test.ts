import { createLogger } from '../../common/log.js';
import { IndexMetrics } from '../metrics.js';
import { KubernetesApi } from '../testing/kubernetes-api.js';
import { eventually } from '../testing/test-index.js';
import type { PodState } from './endpoint-slices.js';
import { KubernetesSlices } from './kubernetes-slices.js';
import { PodVerdicts } from './pod-verdicts.js';
import { PodWatch, type SliceSource } from './pod-watch.js';

/** Verdicts that remember what they were told. */
class Told extends PodVerdicts {
  states: ReadonlyMap<string, PodState> = new Map();

  override update(states: ReadonlyMap<string, PodState>): void {
    this.states = states;
    super.update(states);
  }
}

let api: KubernetesApi;
let told: Told;
let metrics: IndexMetrics;
let lines: { readonly level: number; readonly msg: string; readonly error?: { readonly message: string } }[];
let stop: () => Promise<void>;

beforeEach(async () => {
  api = await KubernetesApi.start();
  told = new Told();
  metrics = new IndexMetrics();
  lines = [];
  stop = async () => undefined;
});
afterEach(async () => {
  await stop();
  await api.stop();
});

function watch({ isOutside = false, deniedRetryMs = 60_000, timeoutMs = 5_000 } = {}): void {
  const stopping = new AbortController();
  const source = new KubernetesSlices(
    { load: async () => api.kubeConfig },
    { service: 'shoal-peer', namespace: isOutside ? undefined : 'team-a', watchSeconds: 60, timeoutMs },
  );
  const log = createLogger({ name: 'test', level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) });
  const deps = { source, verdicts: told, onChange: () => undefined, metrics, log };
  const running = new PodWatch(
    { ...deps, now: () => performance.now(), random: Math.random },
    { firstRetryMs: 5, lastRetryMs: 50, deniedRetryMs },
  ).run(stopping.signal);
  stop = async () => {
    stopping.abort();
    await running;
  };
}

const silent = () => createLogger({ name: 'test', level: 'silent' });
const state = (name: string) => told.states.get(name);
const inSync = async () => (await metrics.podWatchInSync.get()).values[0]?.value;
const failures = async (reason: string) => {
  const text = await metrics.registry.metrics();
  return Number(new RegExp(`pod_watch_failures_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1]);
};
const watching = () => eventually(async () => api.watchers === 1 && told.isInSync && (await inSync()) === 1);

test('tells how the pods are, and each change of it', async () => {
  api.setSlice('s1', [{ name: 'a' }, { name: 'b', serving: false }]);
  watch();
  await watching();
  expect([...told.states]).toEqual([
    ['a', 'serving'],
    ['b', 'not_serving'],
  ]);
  api.setSlice('s2', [{ name: 'c' }]);
  await eventually(async () => state('c') === 'serving');
  api.setSlice('s1', [{ name: 'a', terminating: true }, { name: 'b' }]);
  await eventually(async () => state('a') === 'terminating' && state('b') === 'serving');
  api.deleteSlice('s1');
  await eventually(async () => told.states.size === 1);
  expect(api.requests).toEqual(['list', 'watch 101']);
  expect(lines.map(({ msg }) => msg)).toEqual(['watching the EndpointSlices of Service team-a/shoal-peer']);
});

test.each([
  ['in good order', () => api.endWatches()],
  ['in the middle of a line', () => api.breakWatches()],
])('goes on where a watch ended %s, without a list and without a word', async (_how, end) => {
  api.setSlice('s1', [{ name: 'a' }]);
  watch();
  await watching();
  api.bookmark();
  api.setSlice('s1', [{ name: 'a' }, { name: 'b' }]);
  await eventually(async () => state('b') === 'serving');
  const { version } = api;
  end();
  await eventually(async () => api.requests.length === 3);
  await watching();
  expect(api.requests).toEqual(['list', 'watch 101', `watch ${version}`]);
  api.setSlice('s1', [{ name: 'a' }]);
  await eventually(async () => state('b') === undefined);
  expect(lines).toHaveLength(1);
});

test('goes on from a bookmark', async () => {
  watch();
  await watching();
  api.bookmark();
  api.compact();
  const { version } = api;
  // Nothing tells when a bookmark has arrived, so this is repeated until it has.
  await eventually(async () => {
    api.endWatches();
    await watching();
    return api.requests.at(-1) === `watch ${version}`;
  });
  expect(api.requests.filter((request) => request === 'list')).toHaveLength(1);
});

test.each([true, false])('lists again when what happened is forgotten (status 410: %s)', async (expiresByStatus) => {
  api.expiresByStatus = expiresByStatus;
  api.setSlice('s1', [{ name: 'a' }]);
  watch({ deniedRetryMs: 5 });
  await watching();
  api.forbidden.add('watch');
  api.endWatches();
  await eventually(async () => (await failures('denied')) > 1);
  api.deleteSlice('s1');
  api.setSlice('s2', [{ name: 'b' }]);
  api.compact();
  api.forbidden.clear();
  await watching();
  expect([...told.states.keys()]).toEqual(['b']);
  expect(await failures('expired')).toBe(1);
  expect(api.requests.filter((request) => request === 'list')).toHaveLength(2);
});

test('says once that it may not, tries on rarely, and says when it may', async () => {
  api.setSlice('s1', [{ name: 'a' }]);
  api.forbidden.add('list');
  watch({ deniedRetryMs: 5 });
  await eventually(async () => (await failures('denied')) > 3);
  expect(told.isInSync).toBe(false);
  expect(await inSync()).toBe(0);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: 40,
    msg: 'cannot watch the EndpointSlices of Service team-a/shoal-peer; killed peers are noticed by their leases alone',
    error: {
      code: 'denied',
      message: expect.stringContaining('is forbidden: User "system:serviceaccount:team-a:shoal-index"'),
      hint: expect.stringContaining('get, list and watch on endpointslices'),
    },
  });
  api.forbidden.clear();
  await watching();
  expect(lines.map(({ level }) => level)).toEqual([40, 30]);
});

test('is not in sync while the API server is away, says so once, and comes back', async () => {
  api.setSlice('s1', [{ name: 'a' }]);
  watch();
  await watching();
  await api.stop();
  await eventually(async () => (await failures('unavailable')) > 3);
  expect(told.isInSync).toBe(false);
  expect(await inSync()).toBe(0);
  expect(state('a')).toBe('serving');
  expect(lines.map(({ level }) => level)).toEqual([30, 40]);
  api = await KubernetesApi.start();
  api.setSlice('s1', [{ name: 'a' }]);
  await watching();
  expect(lines.map(({ level }) => level)).toEqual([30, 40, 30]);
});

test('gives up an API server that takes requests and does not answer', async () => {
  api.isSilent = true;
  watch({ timeoutMs: 20 });
  await eventually(async () => (await failures('unavailable')) >= 2);
  api.isSilent = false;
  await watching();
});

test('takes garbage in a watch for the end of it', async () => {
  watch();
  await watching();
  api.sendGarbage();
  await eventually(async () => (await failures('unavailable')) === 1);
  await watching();
});

test('does not ask in a circle when each watch ends at once', async () => {
  let watches = 0;
  const source: SliceSource = {
    description: 'nothing',
    list: async () => ({ slices: [], resourceVersion: '1' }),
    watch: async () => {
      watches += 1;
      return (async function* () {})();
    },
  };
  const stopping = new AbortController();
  const running = new PodWatch(
    { source, verdicts: told, onChange: () => 0, metrics, log: silent(), now: () => 0, random: () => 0 },
    { firstRetryMs: 3_600_000, lastRetryMs: 3_600_000, deniedRetryMs: 1 },
  ).run(stopping.signal);
  // What is not waited for goes on within a few turns.
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  expect(watches).toBe(2);
  stopping.abort();
  await running;
});

test('says that there is nothing to watch where a Service has no slices', async () => {
  watch();
  await watching();
  expect(lines.map(({ msg }) => msg)).toEqual([
    'the EndpointSlices of Service team-a/shoal-peer: there are none; is SHOAL_PEER_SERVICE right?',
  ]);
});

test('says what is missing outside a cluster', async () => {
  watch({ isOutside: true });
  await eventually(async () => lines.length === 1);
  expect(lines[0]?.error?.message).toContain('SHOAL_NAMESPACE is not set');
  expect(api.requests).toEqual([]);
});
