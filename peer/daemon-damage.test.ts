import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSwarm, type TestPeer } from './testing/harness.js';
import { waitFor } from './testing/wait-for.js';

/* What comes out of the doors of a peer whose disk has changed bytes. */

const MIB = 1024 * 1024;

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
let folder: string;
let files = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-e2e-'));
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(async () => {
  await swarm.remove();
  await rm(folder, { recursive: true });
}, 30_000);

/** A file on `a`, and on `b` too if told, of which `a` has a wrong byte. */
async function damaged(options: { readonly copied: boolean }) {
  files += 1;
  const name = `file ${files}`;
  const content = randomBytes(3 * MIB + 1);
  const id = (await a.user.put(content, { name })).file?.id ?? '';
  if (options.copied) {
    await b.user.get(id);
    await waitFor('both hold it', async () => {
      const { holders } = await a.user.client.call('Stat', { ref: id });
      return holders.filter(({ complete }) => complete).length === 2;
    });
  }
  flip(id);
  return { id, name, content };
}

function flip(id: string): void {
  const fd = fs.openSync(join(a.config.dataDir, 'store/files', id.slice(0, 2), `${id}.data`), 'r+');
  const byte = Buffer.alloc(1);
  fs.readSync(fd, byte, 0, 1, MIB);
  fs.writeSync(fd, Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, MIB);
  fs.closeSync(fd);
}

const http = (id: string) => fetch(`${a.url}/files/${id}`);

describe('with a good copy elsewhere', () => {
  test('a stream gives good bytes', async () => {
    const { id, content } = await damaged({ copied: true });
    expect((await a.user.get(id)).data.equals(content)).toBe(true);
  });

  test('a target gets good bytes', async () => {
    const { id, content } = await damaged({ copied: true });
    const path = join(folder, id);
    const { done } = await a.user.get(id, { path });
    expect((await readFile(path)).equals(content)).toBe(true);
    expect(done).toEqual({ receivedBytes: 64 * 1024, peers: 1 });
  });

  test('HTTP gives good bytes', async () => {
    const { id, content } = await damaged({ copied: true });
    expect(Buffer.from(await (await http(id)).arrayBuffer()).equals(content)).toBe(true);
  });
});

describe('without another copy', () => {
  test('a target, a stream and HTTP end in corrupt, on both peers, also when it was noticed', async () => {
    const { id, name, content } = await damaged({ copied: false });
    const path = join(folder, id);
    await expect(a.user.get(id, { path })).rejects.toMatchObject({ code: 'corrupt' });
    expect(await readFile(path)).toHaveLength(0);
    await expect(a.user.get(id)).rejects.toMatchObject({ code: 'corrupt' });
    const part = await fetch(`${a.url}/files/${id}`, { headers: { range: `bytes=${MIB}-${MIB}` } });
    expect(part.status).toBe(502);
    await expect(b.user.get(id)).rejects.toMatchObject({ code: 'corrupt' });

    // The same content again heals it.
    await a.user.put(content, { name });
    expect((await a.user.verify(id)).damaged).toBe(0);
    expect((await b.user.get(id)).data.equals(content)).toBe(true);
  }, 30_000);

  test('what was not noticed is healed by the same content', async () => {
    const { id, name, content } = await damaged({ copied: false });
    await a.user.put(content, { name });
    expect((await b.user.get(id)).data.equals(content)).toBe(true);
  });
});
