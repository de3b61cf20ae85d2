// A process that uses a store until it is killed, and says what it was told is safe. It runs what was built.
//
//   store-child.mjs write DIR    fetches one file, on from where it is; prints "held N", then "chunk N" for each new one
//   store-child.mjs ingest DIR   takes in file after file; prints "progress" and "done ID"
//   store-child.mjs small DIR    takes in small files, many at a time; prints "done ID" when one has its record
//   store-child.mjs full DIR     DIR is a small disk of its own: runs it full; prints what happens as JSON

import { createCipheriv, createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '../../dist/common/log.js';
import { ChunkStore } from '../../dist/peer/chunk-store.js';
import { Hasher } from '../../dist/peer/hasher.js';
import { blake3, chunkBytesFor, encodeManifest } from '../../dist/peer/manifest.js';

const [, , mode, root] = process.argv;
const dir = join(root, 'store');
const store = new ChunkStore(
  { log: createLogger({ name: 'child', level: 'silent' }), hasher: new Hasher({ threads: 1 }) },
  { dir, quotaBytes: 0, reserveBytes: 0 },
);
/** With a signal of its own each time: much is under way together. */
const patiently = () => ({ signal: new AbortController().signal, onProgress: () => say('progress') });

/** Standard output to a pipe is synchronous: what was said before a kill has been heard. */
function say(line) {
  process.stdout.write(`${line}\n`);
}

function contentOf(size, seed) {
  const key = createHash('md5').update(String(seed)).digest();
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

function chunksOf(content) {
  const chunkBytes = chunkBytesFor(content.length);
  const chunks = [];
  for (let at = 0; at < content.length; at += chunkBytes) chunks.push(content.subarray(at, at + chunkBytes));
  return chunks;
}

async function beginWith(content) {
  const chunks = chunksOf(content);
  const digests = Buffer.concat(chunks.map((chunk) => blake3(chunk)));
  const chunkBytes = chunkBytesFor(content.length);
  return { chunks, file: await store.begin(encodeManifest({ size: content.length, chunkBytes, digests })) };
}

async function write() {
  const { chunks, file } = await beginWith(contentOf(200 * 65536 + 9, 1));
  await file.setRecords(['a record'], { sha256: 'told' });
  for (const index of file.have) say(`held ${index}`);
  const missing = [...file.have.missing()];
  const writer = async () => {
    for (let index = missing.shift(); index !== undefined; index = missing.shift()) {
      await file.writeChunk(index, chunks[index]);
      say(`chunk ${index}`);
    }
  };
  await Promise.all([writer(), writer(), writer(), writer()]);
}

async function ingest() {
  const sizes = [3000, 0, 9 * 1024 * 1024, 65536, 65537];
  for (let seed = 0; ; seed += 3) {
    const results = [0, 1, 2].map(async (i) => {
      const path = join(root, `source-${i}`);
      fs.writeFileSync(path, contentOf(sizes[(seed + i) % sizes.length] + seed, seed + i));
      const { file } = await store.ingest(i === 1 ? { stream: fs.createReadStream(path) } : { path }, patiently());
      say(`done ${file.id}`);
      await file.setRecords([`record of ${seed + i}`], { sha256: file.sha256 });
    });
    await Promise.all(results);
  }
}

async function small() {
  for (let first = 0; ; first += 40) {
    const puts = Array.from({ length: 40 }, async (_, i) => {
      const bytes = contentOf((first + i) % 7 === 0 ? 0 : 500 + first + i, first + i);
      const { file, sha256 } = await store.ingest({ bytes }, { ...patiently(), onProgress: () => {} });
      await file.setRecords([`record of ${sha256}`], { sha256 });
      say(`done ${file.id}`);
    });
    await Promise.all(puts);
  }
}

async function full() {
  const filler = join(root, 'filler');
  const fill = () => {
    const fd = fs.openSync(filler, 'w');
    try {
      for (;;) fs.writeSync(fd, Buffer.alloc(65536, 1));
    } catch (error) {
      if (error.code !== 'ENOSPC') throw error;
    } finally {
      fs.closeSync(fd);
    }
  };
  const failure = async (promise) => promise.then(() => 'none').catch((error) => error.code);

  const { chunks, file } = await beginWith(contentOf(20 * 65536, 1));
  await file.writeChunk(0, chunks[0]);
  fill();
  const duringFetch = await failure(file.writeChunk(1, chunks[1]));
  const heldWhenFull = [...file.have];
  fs.rmSync(filler);
  for (const index of [...file.have.missing()]) await file.writeChunk(index, chunks[index]);
  await file.whenDurable();
  const { damaged } = await file.verify(patiently().signal, () => {});

  async function* source() {
    yield contentOf(65536, 2);
    fill();
    yield contentOf(65536, 3);
  }
  const before = store.usage().usedBytes;
  const duringIngest = await failure(
    store.ingest({ stream: source(), size: 2 * 65536 }, { ...patiently(), onProgress: () => {} }),
  );
  const usedMore = store.usage().usedBytes - before;
  const left = fs.readdirSync(join(dir, 'tmp'));
  fs.rmSync(filler);
  say(JSON.stringify({ duringFetch, heldWhenFull, damaged, duringIngest, usedMore, left }));
  process.exit(0);
}

await store.open();
await { write, ingest, small, full }[mode]();
