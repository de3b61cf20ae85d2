import { randomBytes } from 'node:crypto';
import { IndexClient } from '../index-server/client.js';
import type { RemotePeers } from './swarm/remote-peer.js';
import { startSwarm, type TestPeer } from './testing/harness.js';
import { waitFor } from './testing/wait-for.js';
import { createRemotePeers } from './transfers.js';

/* The gRPC door for clients that are no peers: a user with tickets of the index, and nothing else. */

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
let remote: RemotePeers;
let index: IndexClient;
let session: string;
const signal = new AbortController().signal;
beforeAll(async () => {
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
  remote = createRemotePeers(undefined).peers;
  index = new IndexClient({}, { baseUrl: swarm.index.url, timeoutMs: 5_000 });
  session = (await a.user.client.call('Register', { username: 'ann', password: 'ann-password' })).session;
}, 30_000);
afterAll(async () => {
  remote.close();
  await swarm.remove();
}, 30_000);

async function* pieces(bytes: Buffer) {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}
const publishTicket = async () => (await index.publishTicket({ bearer: session })).ticket;

test('an upload is published for the user of the ticket, and downloaded from another peer', async () => {
  const bytes = randomBytes(1_500_000);
  const header = { name: 'uploaded', visibility: 'private', size: bytes.length };
  const ticket = await publishTicket();
  const { fileId, size } = await remote.upload(a.daemon.address, { ticket, header, data: pieces(bytes) }, signal);
  expect(size).toBe(bytes.length);
  const { file, ticket: read } = await index.locate({ bearer: session }, { ref: 'uploaded' });
  expect(file).toMatchObject({ id: fileId, owner: 'ann', visibility: 'private' });
  const download = await remote.download(
    a.daemon.address,
    { ticket: read, id: fileId, offset: 7, length: 1000 },
    signal,
  );
  const parts: Buffer[] = [];
  for await (const part of download.data) parts.push(part);
  expect(Buffer.concat(parts).equals(bytes.subarray(7, 1007))).toBe(true);
  await expect(remote.download(b.daemon.address, { ticket: read, id: fileId }, signal)).rejects.toMatchObject({
    code: 'not_found',
  });
});

test('an upload that breaks off is published under no name', async () => {
  const header = { name: 'broken off' };
  const abort = new AbortController();
  const data = (async function* () {
    // So much that some of it has arrived when the last piece is taken.
    yield* pieces(randomBytes(8_000_000));
    abort.abort();
    await new Promise(() => undefined);
  })();
  const upload = remote.upload(a.daemon.address, { ticket: await publishTicket(), header, data }, abort.signal);
  await expect(upload).rejects.toMatchObject({ code: 'cancelled' });
  await waitFor('the peer has noticed', async () => {
    const page = await (await fetch(`${a.url}/metrics`)).text();
    return /grpc_calls_total\{method="Upload",code="(cancelled|invalid)"\} 1/.test(page);
  });
  await expect(index.stat({ bearer: session }, 'broken off')).rejects.toMatchObject({ code: 'not_found' });
});

test.each([
  ['another digest', { sha256: 'a'.repeat(64) }, 'invalid'],
  ['another size', { size: 5 }, 'invalid|conflict'],
  ['a name that climbs', { name: '../x' }, 'invalid'],
])('an upload with %s than it says, or should have, is refused', async (_what, given, code) => {
  const header = { name: 'refused', ...given };
  const request = { ticket: await publishTicket(), header, data: pieces(randomBytes(1000)) };
  const upload = remote.upload(a.daemon.address, request, signal);
  await expect(upload).rejects.toMatchObject({ code: expect.stringMatching(new RegExp(code)) });
  await expect(index.stat({ bearer: session }, header.name)).rejects.toBeDefined();
});

test('no ticket, a ticket to read, or one of nobody lets no one publish', async () => {
  const { file } = await a.user.put(Buffer.from('abc'), { name: 'readable' });
  const { ticket } = await index.locate({ bearer: session }, { ref: file?.id ?? '' });
  for (const [given, code] of [
    [ticket, 'denied'],
    ['made-up', 'unauthenticated'],
    [session, 'unauthenticated'],
  ] as const) {
    const request = { ticket: given, header: { name: 'x' }, data: pieces(Buffer.from('abc')) };
    await expect(remote.upload(a.daemon.address, request, signal)).rejects.toMatchObject({ code });
  }
});
