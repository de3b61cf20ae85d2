import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { blake3, DIGEST_BYTES, encodeManifest } from '../manifest.js';
import type { StoredFile } from '../stored-file.js';
import { type SwarmPeer, startSwarmPeer, TICKET } from '../testing/swarm-peers.js';
import { waitFor } from '../testing/wait-for.js';
import { type ChunkSource, readThrough } from './read-through.js';

/* Reading what the disk has damaged, with and without another good copy. */

const KIB = 1024;
const LARGE_CHUNK = 1024 * KIB;
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

/** Changes a byte on disk, of the third chunk unless told. */
function damage(peer: SwarmPeer, { id }: StoredFile, at = 2 * 64 * KIB + 5): void {
  const fd = fs.openSync(`${peer.dir}/files/${id.slice(0, 2)}/${id}.data`, 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(fd, byte, 0, 1, at);
  fs.writeSync(fd, Buffer.of(byte.readUInt8() ^ 1), 0, 1, at);
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

/** A file so large that its chunks are read in pieces, of which a peer has the first two chunks. */
async function beginLarge(chunks: readonly [Buffer, Buffer]): Promise<StoredFile> {
  const size = 4096 * LARGE_CHUNK;
  const digests = Buffer.concat([...chunks.map(blake3), randomBytes(4094 * DIGEST_BYTES)]);
  const file = await a.store.begin(encodeManifest({ size, chunkBytes: LARGE_CHUNK, digests }));
  for (const [index, chunk] of chunks.entries()) await file.writeChunk(index, chunk);
  return file;
}

describe('a file with large chunks', () => {
  const chunks = [randomBytes(LARGE_CHUNK), randomBytes(LARGE_CHUNK)] as const;
  const range = { offset: 5, length: 2 * LARGE_CHUNK - 12 };

  test('is read in pieces, into memory that is used again', async () => {
    const file = await beginLarge(chunks);
    const lent = new Set<ArrayBufferLike>();
    const parts: Buffer[] = [];
    for await (const part of readThrough({ buffers: a.buffers }, file, range, forever)) {
      lent.add(part.buffer);
      parts.push(Buffer.from(part));
      a.buffers.give(part);
    }
    expect(Buffer.concat(parts).equals(Buffer.concat(chunks).subarray(5, -7))).toBe(true);
    expect(Math.max(...parts.map(({ length }) => length))).toBe(256 * KIB);
    expect(lent.size).toBeLessThan(parts.length / 2);
  });

  test('gives out nothing of a chunk of which any byte is damaged', async () => {
    const file = await beginLarge(chunks);
    damage(a, file, 2 * LARGE_CHUNK - 1);
    const parts: Buffer[] = [];
    const reading = (async () => {
      for await (const part of readThrough({}, file, range, forever)) parts.push(part);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'corrupt' });
    expect(Buffer.concat(parts).equals(chunks[0].subarray(5))).toBe(true);
    expect(file.have.has(1)).toBe(false);
  });
});

test('memory for what cannot be read is given back', async () => {
  const file = await ingest(a);
  damage(a, file);
  const before = a.buffers.spoiltBytes;
  const source = { buffers: a.buffers };
  await expect(read(file, source, { offset: 2 * 64 * KIB, length: 1 })).rejects.toMatchObject({ code: 'corrupt' });
  expect(a.buffers.spoiltBytes - before).toBe(64 * KIB);
});

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
