import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ChunkStore } from './chunk-store.js';
import { footprintOf } from './store/footprint.js';
import { contentIn, contentOf, manifestOf, patiently, StoreFixture } from './testing/stores.js';

const CHILD = fileURLToPath(new URL('./testing/store-child.mjs', import.meta.url));

let fixture: StoreFixture;

beforeEach(() => {
  fixture = new StoreFixture();
});

afterEach(() => fixture.dispose());

/** Runs a child on the store and kills it when it has said so often that it did something; what it said, by first word. */
async function linesUntilKilled(mode: 'write' | 'ingest' | 'small', count: number): Promise<Map<string, string[]>> {
  const child = spawn(process.execPath, [CHILD, mode, fixture.root], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said = new Map<string, string[]>();
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word = '', rest = ''] = line.split(' ');
    said.set(word, [...(said.get(word) ?? []), rest]);
    // First it tells what was there, which may be more than that when the one before was killed late.
    if (word !== 'held') lines += 1;
    if (lines === count) child.kill('SIGKILL');
  }
  return said;
}

function numbers(words: readonly string[] = []): number[] {
  return words.map(Number).sort((a, b) => a - b);
}

describe('a process that is killed', () => {
  it('while it fetches loses no chunk that was verified, and goes on with the rest', async () => {
    const content = contentOf(200 * 65536 + 9, 1);
    let known: number[] = [];
    for (const count of [1, 30, 140]) {
      const said = await linesUntilKilled('write', count);
      const held = numbers(said.get('held'));
      expect(held).toEqual(expect.arrayContaining(known));
      known = [...held, ...numbers(said.get('chunk'))];

      const store = await fixture.open();
      const file = await store.begin(manifestOf(content));
      expect([...file.have]).toEqual(expect.arrayContaining(known));
      const chunks = file.have.count;
      expect(await file.verify(patiently().signal, () => {})).toEqual({ chunks, damaged: [] });
      expect(store.usage().usedBytes).toBe(footprintOf(content.length));
      await fixture.close();
    }
    expect(known.length).toBeGreaterThan(100);
    const said = await linesUntilKilled('write', 202);
    expect(numbers([...(said.get('held') ?? []), ...(said.get('chunk') ?? [])]).length).toBe(201);
    const [file] = (await fixture.open()).list();
    expect(file && (await contentIn(file)).equals(content)).toBe(true);
    expect(fixture.logged).toEqual([]);
  }, 60_000);

  it('while it takes files in loses none that was acknowledged, and leaves no rubbish', async () => {
    const acknowledged = new Set<string>();
    for (const count of [1, 2, 3, 7, 12, 25]) {
      const said = await linesUntilKilled('ingest', count);
      for (const id of said.get('done') ?? []) acknowledged.add(id);
      await expectWhole(await fixture.open(), acknowledged);
      await fixture.close();
    }
    expect(acknowledged.size).toBeGreaterThan(5);
    expect(fixture.logged).toEqual([]);
  }, 60_000);

  it('while it takes small files in by the dozen loses none that was acknowledged, nor its record', async () => {
    const acknowledged = new Set<string>();
    for (const count of [1, 30, 41, 100, 333]) {
      const said = await linesUntilKilled('small', count);
      for (const id of said.get('done') ?? []) acknowledged.add(id);
      const store = await fixture.open();
      await expectWhole(store, acknowledged);
      for (const id of acknowledged) {
        const file = store.get(id);
        expect(file?.records).toEqual([`record of ${file?.sha256}`]);
      }
      await fixture.close();
    }
    expect(acknowledged.size).toBeGreaterThan(100);
    expect(fixture.logged).toEqual([]);
  }, 60_000);
});

/** All those files, and nothing that is not whole or not accounted for. */
async function expectWhole(store: ChunkStore, ids: ReadonlySet<string>): Promise<void> {
  const files = store.list();
  expect(files.map(({ id }) => id)).toEqual(expect.arrayContaining([...ids]));
  for (const file of files) {
    expect(file.isComplete).toBe(true);
    expect((await file.verify(patiently().signal, () => {})).damaged).toEqual([]);
  }
  expect(store.usage().usedBytes).toBe(files.reduce((sum, { size }) => sum + footprintOf(size), 0));
  expect(fixture.everyFile().filter((name) => !name.startsWith('source'))).toEqual(
    files.flatMap(({ id }) => [`${id}.data`, `${id}.info`]).sort(),
  );
}

/** Runs a command with a disk of 16 MB of its own at `folder`; undefined when the system does not let us. */
function onSmallDisk(folder: string, command: readonly string[]): string | undefined {
  const mountAndRun = 'mount -t tmpfs -o size=16m tmpfs "$0" || exit 77; exec "$@"';
  const inNamespace = ['-Urm', 'sh', '-c', mountAndRun, folder, ...command];
  const run = spawnSync('sh', ['-c', 'exec unshare "$@"', 'sh', ...inNamespace], { encoding: 'utf8' });
  if (run.error !== undefined || run.status === 77 || /unshare/.test(run.stderr)) return undefined;
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout;
}

const canMount = onSmallDisk('/mnt', ['true']) !== undefined;
if (!canMount) console.log('skipped: a full disk (needs unshare -Urm with mount)');

(canMount ? describe : describe.skip)('a disk that runs full', () => {
  it('ends what was being written with a clear error, and keeps no rubbish', () => {
    const output = onSmallDisk(fixture.root, [process.execPath, CHILD, 'full', fixture.root]);
    expect(JSON.parse(output ?? '')).toEqual({
      duringFetch: 'exhausted',
      heldWhenFull: [0],
      damaged: [],
      duringIngest: 'exhausted',
      usedMore: 0,
      left: [],
    });
  });
});
