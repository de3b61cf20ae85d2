import { createHash, randomBytes } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import type { FileStat } from './testing/release.js';
import { ensureShared, noContainerRestarted, shared, story } from './testing/story.js';

const NAMESPACES = [shared.namespace];
const PIPED_BYTES = 200_000_000;

/** Random bytes, and afterwards their SHA-256. */
function randomStream(bytes: number): { readonly stream: Readable; readonly digest: () => string } {
  const hash = createHash('sha256');
  function* parts() {
    for (let left = bytes; left > 0; left -= 1_000_000) {
      const part = randomBytes(Math.min(left, 1_000_000));
      hash.update(part);
      yield part;
    }
  }
  return { stream: Readable.from(parts(), { objectMode: false }), digest: () => hash.digest('hex') };
}

/** Takes any bytes and tells their number and SHA-256. */
class Digester extends Writable {
  readonly #hash = createHash('sha256');
  bytes = 0;

  override _write(part: Buffer, _encoding: string, done: () => void): void {
    this.#hash.update(part);
    this.bytes += part.length;
    done();
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}

beforeAll(ensureShared);

story('a file that is put on one peer is got on another, byte by byte', NAMESPACES, async () => {
  const { id, sha256 } = await shared.putRandom(0, 'transfer.bin', { mib: 50, replicas: 1 });
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(await shared.digestAfterGet(2, 'transfer.bin')).toBe(sha256);
  expect(await shared.digestAfterGet(1, id)).toBe(sha256);
});

story('200 MB go in by standard input and come out by standard output of kubectl exec', NAMESPACES, async () => {
  const random = randomStream(PIPED_BYTES);
  const put = ['shoal', 'put', '-', '--as', 'piped.bin', '--replicas', '1'];
  await shared.exec('shoal-peer-0', put, { input: random.stream });
  const sent = random.digest();
  expect(await shared.json<FileStat>(1, 'stat', 'piped.bin')).toMatchObject({ size: PIPED_BYTES, sha256: sent });
  const output = new Digester();
  await shared.exec('shoal-peer-2', ['shoal', 'cat', 'piped.bin'], { output });
  expect({ bytes: output.bytes, sha256: output.digest() }).toEqual({ bytes: PIPED_BYTES, sha256: sent });
});

story('ls, stat and peers show the files and the addresses of pods', NAMESPACES, async () => {
  const address = (pod: string) => `${pod}.shoal-peer.${shared.namespace}.svc.cluster.local:4999`;
  const { id } = await shared.putRandom(1, 'listed.bin', { mib: 1, replicas: 2 });
  const { files } = await shared.json<{ files: { id: string; name: string; size: number }[] }>(2, 'ls', 'listed');
  expect(files).toEqual([expect.objectContaining({ id, name: 'listed.bin', size: 2 ** 20 })]);
  const { holders } = await shared.json<FileStat>(2, 'stat', 'listed.bin');
  expect(holders).toHaveLength(2);
  expect(holders).toContainEqual({ peer: 'shoal-peer-1', address: address('shoal-peer-1'), complete: true });
  const peers = (await shared.peers(2)).map((peer) => ({ name: peer.name, address: peer.address, state: peer.state }));
  expect(peers.sort((a, b) => a.name.localeCompare(b.name))).toEqual(
    ['shoal-peer-0', 'shoal-peer-1', 'shoal-peer-2'].map((name) => ({ name, address: address(name), state: 'live' })),
  );
});

noContainerRestarted(NAMESPACES);
