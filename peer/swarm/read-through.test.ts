import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import type { StoredFile } from '../stored-file.js';
import { type SwarmPeer, startSwarmPeer, TICKET } from '../testing/swarm-peers.js';
import { waitFor } from '../testing/wait-for.js';
import { type ChunkSource, readThrough } from './read-through.js';

/* Reading what the disk has damaged, with and without another good copy. */

const KIB = 1024;
const forever = new AbortController().signal;
const content = randomBytes(1_000 * KIB);

let a: SwarmPeer;
let b: SwarmPeer;
beforeEach(async () => {
  [a, b] = await Promise.all([startSwarmPeer('a'), startSwarmPeer('b')]);
});
afterEach(() => Promise.all([a.close(), b.close()]));

async function ingest(to: SwarmPeer): Promise<StoredFile> {
  async function* stream() {
    yield content;
  }
  const { file } = await to.store.ingest({ stream: stream() }, { signal: forever, onProgress: () => undefined });
  return file;
}

/** Changes a byte of the third chunk on disk. */
function damage(peer: SwarmPeer, { id }: StoredFile): void {
  const at = 2 * 64 * KIB + 5;
  const fd = fs.openSync(`${peer.dir}/files/${id.slice(0, 2)}/${id}.data`, 'r+');
  fs.writeSync(fd, Buffer.of((content[at] ?? 0) ^ 1), 0, 1, at);
  fs.closeSync(fd);
}

async function read(file: StoredFile, source: ChunkSource, range = { offset: 0, length: content.length }) {
  const parts: Buffer[] = [];
  for await (const part of readThrough(source, file, range, forever)) parts.push(part);
  return Buffer.concat(parts);
}

async function download(from: SwarmPeer, id: string): Promise<Buffer> {
  const { data } = await b.remote.download(from.holder.address, { ticket: TICKET, id }, forever);
  const parts: Buffer[] = [];
  for await (const part of data) parts.push(part);
  return Buffer.concat(parts);
}

function refetchFrom(...holders: SwarmPeer[]) {
  return { refetch: () => a.fetcher.start({ ...holdersOf(holders), id: a.store.list()[0]?.id ?? '' }) };
}

function holdersOf(peers: readonly SwarmPeer[]) {
  return { ticket: TICKET, holders: peers.map(({ holder }) => holder) };
}

describe('a chunk that the disk has damaged', () => {
  test('is fetched again from who has a good copy', async () => {
    const file = await ingest(a);
    await ingest(b);
    damage(a, file);
    const range = { offset: 2 * 64 * KIB + 1, length: 10 };
    const part = await read(file, refetchFrom(b), range);
    expect(part.equals(content.subarray(range.offset, range.offset + range.length))).toBe(true);
    expect((await read(file, {})).equals(content)).toBe(true);
    expect(b.sent.bytes).toBe(64 * KIB);
  });

  test('is fetched again when the reader shares a fetch that began before it was lost', async () => {
    const { manifest } = await ingest(b);
    const part = await a.store.begin(manifest);
    for (const chunk of [0, 1, 2])
      await part.writeChunk(chunk, content.subarray(chunk * 64 * KIB, (chunk + 1) * 64 * KIB));
    damage(a, part);
    const fetch = a.fetcher.start({ id: manifest.id, ...holdersOf([b]) });
    const file = await fetch.opened(forever);
    expect((await read(file, { fetch, ...refetchFrom(b) })).equals(content)).toBe(true);
  });

  test('is never given out when there is no other copy', async () => {
    const file = await ingest(a);
    damage(a, file);
    await expect(read(file, refetchFrom())).rejects.toMatchObject({ code: 'corrupt' });
    await expect(read(file, {})).rejects.toMatchObject({ code: 'not_found' });
  });

  test('is corrupt, and not merely unavailable, to a peer that comes after it was noticed', async () => {
    const file = await ingest(a);
    damage(a, file);
    expect((await file.verify(forever, () => undefined)).damaged).toEqual([2]);
    const outcome = b.fetcher.start({ id: file.id, ...holdersOf([a]) }).finished(forever);
    await expect(outcome).rejects.toMatchObject({ code: 'corrupt' });
    expect(b.store.get(file.id)?.have.has(3)).toBe(true);
  });

  test('ends a download with corrupt, or is replaced in it', async () => {
    const file = await ingest(a);
    damage(a, file);
    await expect(download(a, file.id)).rejects.toMatchObject({ code: 'corrupt' });
    await ingest(b);
    a.locate = async () => ({ holders: [b.holder], ticket: TICKET });
    await waitFor('the failed fetch is over', async () => a.fetcher.active.length === 0);
    damage(a, file);
    expect((await download(a, file.id)).equals(content)).toBe(true);
  });
});
