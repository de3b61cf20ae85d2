import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Authority } from '../scripts/certificates.mjs';
import { runCommand } from './testing/cli-harness.js';
import { isLive, startIndex, startPeer, type TestIndex, type TestPeer } from './testing/harness.js';
import { newTls, type TestTls } from './testing/tls.js';
import { waitFor } from './testing/wait-for.js';

/* Whole peers with mutual TLS, and one that has none. */

let tls: TestTls;
let index: TestIndex;
let a: TestPeer;
let b: TestPeer;
let plain: TestPeer;
beforeAll(async () => {
  tls = await newTls({ authority: new Authority('ours'), days: 30 });
  index = await startIndex();
  [a, b, plain] = await Promise.all([
    startPeer(index, 'peer-1', tls.env),
    startPeer(index, 'peer-2', tls.env),
    startPeer(index, 'peer-3'),
  ]);
  await Promise.all([a, b, plain].map((peer) => isLive(peer, 3)));
}, 30_000);
afterAll(async () => {
  await Promise.all([a, b, plain].map((peer) => peer.remove()));
  await index.remove();
  await tls.remove();
}, 30_000);

const scrape = async (peer: TestPeer) => (await fetch(`${peer.url}/metrics`)).text();

async function check(peer: TestPeer, name: string) {
  const { checks } = await peer.user.client.call('Diagnose', {});
  return checks.find((each) => each.name === name);
}

test('a file goes from one to the other', async () => {
  const bytes = randomBytes(5_000_000);
  const { file } = await a.user.put(bytes, { name: 'between-two' });
  const { data, done } = await b.user.get(file?.id ?? '');
  expect(data.equals(bytes)).toBe(true);
  expect(done.peers).toBe(1);
});

test('small files go together, and only over TLS', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'shoal-tls-many-'));
  const at = (peer: TestPeer, argv: readonly string[]) =>
    runCommand(argv, { cwd: folder, env: { SHOAL_SOCKET: peer.config.socketPath } });
  try {
    const contents = Array.from({ length: 60 }, () => randomBytes(10_000));
    await mkdir(join(folder, 'small'));
    await Promise.all(contents.map((bytes, i) => writeFile(join(folder, 'small', `f${i}`), bytes)));
    expect((await at(a, ['put', 'small'])).exitCode).toBe(0);
    const calls = /shoal_peer_grpc_calls_total\{[^}]*method="DownloadMany"[^}]*code="ok"[^}]*\} (\d+)/;
    const answered = async () => Number(calls.exec(await scrape(a))?.[1]);
    expect(await answered()).toBe(0);
    expect((await at(b, ['get', 'small/', '--to', 'copy'])).exitCode).toBe(0);
    for (const [i, bytes] of contents.entries()) {
      expect((await readFile(join(folder, 'copy', `f${i}`))).equals(bytes)).toBe(true);
    }
    expect(await answered()).toBeGreaterThan(0);
    expect(await answered()).toBeLessThan(60);
    const got = await at(plain, ['get', 'small/', '--to', 'nothing']);
    expect({ exitCode: got.exitCode, stderr: got.stderr }).toEqual({
      exitCode: 5,
      stderr: expect.stringContaining('takes calls over TLS alone') as string,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}, 30_000);

test('small calls work too', async () => {
  expect((await a.user.client.call('PingPeer', { peer: 'peer-2' })).address).toBe(b.daemon.address);
});

test('the one without TLS gets nothing, is told why, and does not wait', async () => {
  const { file } = await a.user.put(randomBytes(100_000), { name: 'not-for-all' });
  await expect(plain.user.get(file?.id ?? '')).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('takes calls over TLS alone'),
    hint: expect.stringContaining('SHOAL_TLS_CERT_FILE'),
  });
  await expect(plain.user.client.call('PingPeer', { peer: 'peer-1' })).rejects.toMatchObject({
    code: 'denied',
    message: `${a.daemon.address} takes calls over TLS alone`,
  });
  await expect(a.user.client.call('PingPeer', { peer: 'peer-3' })).rejects.toMatchObject({
    code: 'unavailable',
    message: `${plain.daemon.address}: it does not speak TLS`,
  });
});

test('the doctor of each side says what is wrong', async () => {
  const until = new Date(tls.identity.expiresAtMs).toISOString();
  expect(await check(a, 'encryption')).toMatchObject({
    result: 'CHECK_RESULT_OK',
    detail: `mutual TLS; the certificate is valid until ${until}`,
  });
  expect(await check(a, 'own address')).toMatchObject({ result: 'CHECK_RESULT_OK' });
  expect(await check(a, 'other peers')).toMatchObject({
    result: 'CHECK_RESULT_WARNING',
    detail: expect.stringContaining('it does not speak TLS'),
    hint: expect.stringContaining('SHOAL_TLS_CA_FILE'),
  });
  expect(await check(plain, 'encryption')).toMatchObject({ detail: expect.stringContaining('off') });
  expect(await check(plain, 'other peers')).toMatchObject({
    result: 'CHECK_RESULT_FAILED',
    detail: expect.stringContaining('takes calls over TLS alone'),
  });
});

test('metrics tell when the certificate expires and how many were refused', async () => {
  await plain.user.client.call('PingPeer', { peer: 'peer-1' }).catch(() => undefined);
  await a.user.client.call('PingPeer', { peer: 'peer-3' }).catch(() => undefined);
  const [withTls, without] = [await scrape(a), await scrape(plain)];
  const expiry = 'shoal_peer_tls_certificate_expiration_timestamp_seconds';
  expect(withTls).toContain(`\n${expiry} ${tls.identity.expiresAtMs / 1000}\n`);
  expect(without).not.toMatch(new RegExp(`^${expiry} `, 'm'));
  expect(withTls).toMatch(/^shoal_peer_refused_connections_total\{reason="plaintext"\} [1-9]/m);
  expect(withTls).toMatch(/^shoal_peer_refused_connections_total\{reason="certificate"\} 0$/m);
  expect(without).toMatch(/^shoal_peer_refused_connections_total\{reason="tls"\} [1-9]/m);
});

test('a peer whose files do not hold what they should does not start', async () => {
  const broken = await newTls({ authority: new Authority() });
  await writeFile(broken.env.SHOAL_TLS_KEY_FILE, 'no key');
  await expect(startPeer(index, 'peer-4', broken.env)).rejects.toMatchObject({
    code: 'invalid',
    hint: expect.stringContaining('SHOAL_TLS_KEY_FILE'),
  });
  await broken.remove();
});

test('a peer that leaves is gone from the others, which go on', async () => {
  await b.stop();
  await waitFor('two are left', async () => (await a.user.client.call('Status', {})).livePeers === 2);
  await b.start();
  const { file } = await a.user.put(randomBytes(1_000_000), { name: 'after-all' });
  expect((await b.user.get(file?.id ?? '')).data).toHaveLength(1_000_000);
});
