import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startSwarm, type TestPeer } from './testing/harness.js';
import { waitFor } from './testing/wait-for.js';

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-e2e-'));
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(async () => {
  await swarm.remove();
  await rm(folder, { recursive: true });
});

describe('a file put on one peer', () => {
  const bytes = randomBytes(3_000_001);
  const name = 'data/größe 1.bin';
  let id: string;

  test('is published with its digest, read by the daemon itself', async () => {
    const path = join(folder, 'source');
    await writeFile(path, bytes);
    const { file, sha256: digest, copies } = await a.user.putFile(path, { name, tags: { kind: 'test' } });
    expect(file).toMatchObject({
      name,
      owner: 'shoal',
      size: bytes.length,
      tags: { kind: 'test' },
      visibility: 'public',
    });
    expect(digest).toBe(sha256(bytes));
    expect(copies).toBe(1);
    id = file?.id ?? '';
  });

  test('comes out on another, into a file that the caller made', async () => {
    const path = join(folder, 'target');
    const { found, done, data } = await b.user.get(name, { path });
    expect(found).toMatchObject({ file: { id, name }, sha256: sha256(bytes), streaming: false });
    expect(done).toEqual({ receivedBytes: bytes.length, peers: 1 });
    expect(data).toHaveLength(0);
    expect(sha256(await readFile(path))).toBe(sha256(bytes));
  });

  test('is held by both from then on', async () => {
    await waitFor('two complete holders', async () => {
      const { holders } = await a.user.client.call('Stat', { ref: id });
      return holders.filter(({ complete }) => complete).length === 2;
    });
  });
});
