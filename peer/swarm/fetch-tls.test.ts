import { randomBytes } from 'node:crypto';
import { Authority } from '../../scripts/certificates.mjs';
import { type SwarmPeer, startSwarmPeer, TICKET } from '../testing/swarm-peers.js';
import { newTls, type TestMaterial } from '../testing/tls.js';

/* Fetches among peers with mutual TLS, and with peers that have none or another authority's. */

const forever = () => new AbortController().signal;
const ours = new Authority('ours');
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function peer(name: string, material: TestMaterial | undefined): Promise<SwarmPeer> {
  const tls = material && (await newTls(material));
  if (tls !== undefined) open.push(() => tls.remove());
  const started = await startSwarmPeer(name, { noSourceMs: 300, deps: { identity: tls?.identity } });
  open.push(() => started.close());
  return started;
}

async function ingest(to: SwarmPeer, content: Buffer): Promise<string> {
  async function* stream() {
    yield content;
  }
  const progress = { signal: forever(), onProgress: () => undefined };
  return (await to.store.ingest({ stream: stream(), size: content.length }, progress)).file.manifest.id;
}

async function contentOf({ store }: SwarmPeer, id: string): Promise<Buffer> {
  const file = store.get(id);
  const parts: Buffer[] = [];
  if (file !== undefined) {
    for await (const part of file.read({ offset: 0, length: file.manifest.size })) parts.push(part);
  }
  return Buffer.concat(parts);
}

it('a file spreads from several holders', async () => {
  const peers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => peer(name, { authority: ours })));
  const [a, b, ...others] = peers as [SwarmPeer, SwarmPeer, ...SwarmPeer[]];
  const content = randomBytes(20_000_000);
  const id = await ingest(a, content);
  await b.fetcher.start({ id, ticket: TICKET, holders: [a.holder] }).finished(forever());
  const holders = [a.holder, b.holder];
  await Promise.all(others.map(({ fetcher }) => fetcher.start({ id, ticket: TICKET, holders }).finished(forever())));
  for (const each of others) expect((await contentOf(each, id)).equals(content)).toBe(true);
  expect(a.sent.bytes).toBeGreaterThan(0);
  expect(b.sent.bytes).toBeGreaterThan(0);
});

it('those who cannot be talked to are done without', async () => {
  const plain = await peer('plain', undefined);
  const stranger = await peer('stranger', { authority: new Authority('theirs'), believes: [ours] });
  const good = await peer('good', { authority: ours });
  const receiver = await peer('receiver', { authority: ours });
  const content = randomBytes(3_000_000);
  const ids = await Promise.all([plain, stranger, good].map((holder) => ingest(holder, content)));
  const holders = [plain.holder, stranger.holder, good.holder];
  const id = ids[0] as string;
  await receiver.fetcher.start({ id, ticket: TICKET, holders }).finished(forever());
  expect((await contentOf(receiver, id)).equals(content)).toBe(true);
  expect([plain.sent.bytes, stranger.sent.bytes]).toEqual([0, 0]);
});

it.each([
  ['a receiver without TLS', { authority: ours }, undefined, 'takes calls over TLS alone'],
  ['a holder without TLS', undefined, { authority: ours }, 'it does not speak TLS'],
  ['a holder whose certificate is for another host', { authority: ours, hosts: ['x'] }, { authority: ours }, 'names'],
  ['a receiver whose certificate has expired', { authority: ours }, { authority: ours, days: -1 }, 'hung up'],
] as const)('with %s a fetch ends and says why', async (_what, ofHolder, ofReceiver, reason) => {
  const [holder, receiver] = [await peer('holder', ofHolder), await peer('receiver', ofReceiver)];
  const id = await ingest(holder, randomBytes(100_000));
  const fetch = receiver.fetcher.start({ id, ticket: TICKET, holders: [holder.holder] });
  await expect(fetch.finished(forever())).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining(reason),
    hint: expect.stringMatching(/certificate|SHOAL_TLS/),
  });
  expect(receiver.store.get(id)).toBeUndefined();
});

it('after a renewal small calls and fetches show what is new', async () => {
  const theirs = new Authority('theirs');
  const tls = await newTls({ authority: ours });
  open.push(() => tls.remove());
  const receiver = await startSwarmPeer('receiver', { noSourceMs: 300, deps: { identity: tls.identity } });
  open.push(() => receiver.close());
  const [before, after] = [await peer('before', { authority: ours }), await peer('after', { authority: theirs })];
  const signal = forever();
  expect((await receiver.remote.info(before.holder.address, signal)).peer).toBe('before');
  await expect(receiver.remote.info(after.holder.address, signal)).rejects.toMatchObject({
    code: 'unavailable',
    message: `${after.holder.address}: its certificate is of an authority that is not believed here`,
  });

  await tls.replace({ authority: theirs });
  await tls.identity.reload();
  expect((await receiver.remote.info(after.holder.address, signal)).peer).toBe('after');
  await expect(receiver.remote.info(before.holder.address, signal)).rejects.toMatchObject({ code: 'unavailable' });
  const content = randomBytes(300_000);
  const id = await ingest(after, content);
  await receiver.fetcher.start({ id, ticket: TICKET, holders: [after.holder] }).finished(signal);
  expect((await contentOf(receiver, id)).equals(content)).toBe(true);
});
