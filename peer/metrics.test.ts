import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startSwarm, type TestPeer } from './testing/harness.js';
import { metricIn } from './testing/metric-of.js';
import { waitFor } from './testing/wait-for.js';

/* Each metric moves when the real path runs. */

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
beforeAll(async () => {
  swarm = await startSwarm(2, { SHOAL_QUOTA_BYTES: '1G' });
  [a, b] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(() => swarm.remove(), 30_000);

const scrape = async (peer: TestPeer) => (await fetch(`${peer.url}/metrics`)).text();

test('what can be counted stands at 0 before anything happens', async () => {
  const page = await scrape(a);
  for (const series of [
    'shoal_peer_received_bytes_total{kind="exchange"}',
    'shoal_peer_sent_bytes_total{kind="download"}',
    'shoal_peer_chunks_total{result="corrupt"}',
    'shoal_peer_fetches_total{code="unavailable"}',
    'shoal_peer_index_calls_total{operation="publish",result="error"}',
    'shoal_peer_announces_total{kind="full",result="unavailable"}',
    'shoal_peer_grpc_calls_total{method="Upload",code="ok"}',
    'shoal_peer_control_calls_total{method="Put",code="internal"}',
    'shoal_peer_refused_chunks_total',
    'shoal_peer_draining',
  ]) {
    expect([series, metricIn(page, series)]).toEqual([series, 0]);
  }
  expect(page).not.toMatch(/nodejs_active_\w+_total/);
});

test('a transfer moves what it should on both sides', async () => {
  const bytes = randomBytes(2_000_000);
  const { file } = await a.user.put(bytes, { name: 'x' });
  await b.user.get(file?.id ?? '');
  await b.user.get('no such file').catch(() => undefined);
  await b.user.client.call('Stat', { ref: 'no such file' }).catch(() => undefined);
  const page = await waitFor('the announcement of b', async () => {
    const seen = await scrape(b);
    return metricIn(seen, 'shoal_peer_announces_total{kind="changes",result="ok"}') > 0 ? seen : undefined;
  });
  const atLeast = {
    'shoal_peer_received_bytes_total{kind="exchange"}': bytes.length,
    'shoal_peer_chunks_total{result="ok"}': 1,
    'shoal_peer_fetches_total{code="ok"}': 1,
    shoal_peer_time_to_first_byte_seconds_count: 1,
    shoal_peer_fetch_seconds_count: 1,
    shoal_peer_store_used_bytes: bytes.length,
    shoal_peer_store_free_bytes: 1,
    shoal_peer_store_quota_bytes: 1e9,
    shoal_peer_complete_files: 1,
    'shoal_peer_index_calls_total{operation="locate",result="ok"}': 1,
    'shoal_peer_index_calls_total{operation="stat",result="error"}': 1,
    'shoal_peer_index_calls_total{operation="join",result="ok"}': 1,
    'shoal_peer_heartbeats_total{result="ok"}': 1,
    'shoal_peer_announces_total{kind="full",result="ok"}': 1,
    shoal_peer_index_reachable: 1,
    shoal_peer_live_peers: 2,
    'shoal_peer_control_calls_total{method="Get",code="ok"}': 1,
    'shoal_peer_control_calls_total{method="Get",code="not_found"}': 1,
  };
  for (const [series, least] of Object.entries(atLeast)) {
    expect([series, metricIn(page, series) >= least]).toEqual([series, true]);
  }
  // The peers live in this process, so keeping it busy delays their event loop. What counts is from one look to the next.
  await waitFor('the lag is measured', async () => {
    for (let turn = 0; turn < 3; turn += 1) {
      const until = performance.now() + 60;
      while (performance.now() < until);
      await new Promise(setImmediate);
    }
    return metricIn(await scrape(b), 'shoal_peer_event_loop_lag_seconds') > 0.02;
  });
  const sender = await scrape(a);
  expect(metricIn(sender, 'shoal_peer_sent_bytes_total{kind="exchange"}')).toBeGreaterThanOrEqual(bytes.length);
  expect(metricIn(sender, 'shoal_peer_control_calls_total{method="Put",code="ok"}')).toBe(1);
  expect(metricIn(sender, 'shoal_peer_index_calls_total{operation="publish",result="ok"}')).toBe(1);
  await waitFor('the stream is over', async () => metricIn(await scrape(a), 'shoal_peer_serving_streams') === 0);
  await waitFor('it is counted', async () => {
    const seen = await scrape(a);
    return metricIn(seen, 'shoal_peer_grpc_calls_total{method="Exchange",code="ok"}') + exchangesCut(seen) >= 1;
  });
  const { receivedBytes, sentBytes } = await b.user.client.call('Status', {});
  expect(receivedBytes).toBeGreaterThanOrEqual(bytes.length);
  expect(sentBytes).toBe(0);
});

function exchangesCut(page: string): number {
  return page.includes('method="Exchange",code="cancelled"')
    ? metricIn(page, 'shoal_peer_grpc_calls_total{method="Exchange",code="cancelled"}')
    : 0;
}

test('bytes are counted by how they came and went', async () => {
  const moved = async (peer: TestPeer, direction: 'received' | 'sent', kind: string) =>
    metricIn(await scrape(peer), `shoal_peer_${direction}_bytes_total{kind="${kind}"}`);
  const before = await moved(a, 'received', 'put');
  await a.user.put(Buffer.alloc(1000), { name: 'by-hand' });
  expect(await moved(a, 'received', 'put')).toBe(before + 1000);

  await fetch(`${a.url}/files/by-put`, { method: 'PUT', body: 'x'.repeat(2000) });
  expect(await moved(a, 'received', 'http')).toBe(2000);
  await (await fetch(`${b.url}/files/by-put`)).arrayBuffer();
  await waitFor('the answer is counted', async () => (await moved(b, 'sent', 'http')) === 2000);

  // The original's routes upload to another peer, and download from it.
  const post = (peer: TestPeer, path: string, body: object) =>
    fetch(`${peer.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  await writeFile(join(a.config.shareDir, 'shared.txt'), 'y'.repeat(3000));
  for (const peer of [a, b]) {
    await post(peer, '/clogin', { username: 'ann', password: 'correct horse', url: a.daemon.address });
  }
  await post(a, '/cindex', { username: 'ann', files: ['shared.txt'] });
  expect([await moved(a, 'sent', 'upload'), await moved(b, 'received', 'upload')]).toEqual([3000, 3000]);
  await post(b, '/csearch', { username: 'ann', files: ['shared.txt'] });
  expect(await moved(b, 'received', 'download')).toBe(3000);
  const served = await Promise.all([a, b].map((peer) => moved(peer, 'sent', 'download')));
  expect(served.reduce((sum, each) => sum + each, 0)).toBe(3000);
});

test('an HTTP request is counted by the pattern of its route', async () => {
  await a.user.put(Buffer.from('abc'), { name: 'by-http' });
  expect(await (await fetch(`${a.url}/files/by-http`)).text()).toBe('abc');
  const page = await waitFor('the request is counted', async () => {
    const seen = await scrape(a);
    return /shoal_peer_http_requests_total\{.*code="200"/.test(seen) ? seen : undefined;
  });
  expect(page).toContain('shoal_peer_http_request_seconds_count{');
  expect(page).not.toContain('by-http');
});

test('an index that is away is seen', async () => {
  await swarm.index.stop();
  await waitFor('a failed heartbeat', async () => {
    const page = await scrape(a);
    return (
      metricIn(page, 'shoal_peer_index_reachable') === 0 &&
      metricIn(page, 'shoal_peer_heartbeats_total{result="unavailable"}') > 0 &&
      metricIn(page, 'shoal_peer_index_calls_total{operation="heartbeat",result="unavailable"}') > 0
    );
  });
}, 30_000);

test('a page has fewer than 500 series, none of them named twice', async () => {
  const lines = (await scrape(a)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const series = lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
  expect(new Set(series).size).toBe(series.length);
  expect(series.length).toBeLessThan(500);
});
