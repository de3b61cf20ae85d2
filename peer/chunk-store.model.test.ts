import fc from 'fast-check';
import type { ChunkStore, StoredFile } from './chunk-store.js';
import { footprintOf } from './store/footprint.js';
import { chunkOf, contentIn, contentOf, manifestOf, patiently, StoreFixture, sha256Of } from './testing/stores.js';

const CHUNK = 64 * 1024;
const QUOTA = 5 * footprintOf(CHUNK);
const contents = [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK].map((size, seed) => {
  const content = contentOf(size, seed);
  return { content, manifest: manifestOf(content), sha256: sha256Of(content) };
});

/** What should be known of a file. */
interface Expected {
  readonly have: Set<number>;
  records: readonly string[];
}

type Step =
  | { readonly kind: 'begin' | 'ingest' | 'remove' | 'verify'; readonly file: number }
  | { readonly kind: 'write' | 'forge'; readonly file: number; readonly chunk: number }
  | { readonly kind: 'record'; readonly file: number; readonly record: string }
  | { readonly kind: 'reopen' };

const file = fc.nat({ max: contents.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('begin', 'ingest', 'remove', 'verify'), file }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('write'), file, chunk: fc.nat({ max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forge'), file, chunk: fc.nat({ max: 2 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('record'), file, record: fc.string() }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'reopen' as const }) },
);

/** A store and what should be in it, taken through steps together. */
class Pair {
  readonly #fixture: StoreFixture;
  readonly #expected = new Map<number, Expected>();
  #store: ChunkStore;

  constructor(fixture: StoreFixture, store: ChunkStore) {
    this.#fixture = fixture;
    this.#store = store;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'begin':
        return this.#enter(step.file, () => this.#store.begin(part(step.file).manifest));
      case 'ingest':
        return this.#ingest(step.file);
      case 'remove':
        return this.#remove(step.file);
      case 'verify':
        return this.#verify(step.file);
      case 'write':
        return this.#write(step.file, step.chunk);
      case 'forge':
        return this.#forge(step.file, step.chunk);
      case 'record':
        return this.#record(step.file, step.record);
      case 'reopen':
        this.#store = await this.#fixture.open({ quotaBytes: QUOTA });
    }
  }

  async compare(): Promise<void> {
    expect(this.#store.list().length).toBe(this.#expected.size);
    for (const [index, expected] of this.#expected) {
      const { manifest, content } = part(index);
      const file = this.#file(index);
      expect([...(file?.have ?? [])]).toEqual([...expected.have].sort((a, b) => a - b));
      expect(file?.isComplete).toBe(expected.have.size === manifest.chunkCount);
      expect(file?.records).toEqual(expected.records);
      expect(file?.manifest.id).toBe(manifest.id);
      if (file?.isComplete) expect((await contentIn(file)).equals(content)).toBe(true);
    }
    const complete = [...this.#expected].filter(([index, { have }]) => have.size === part(index).manifest.chunkCount);
    expect(this.#store.usage()).toMatchObject({
      usedBytes: this.#usedBytes(),
      freeBytes: QUOTA - this.#usedBytes(),
      files: complete.length,
      partialFiles: this.#expected.size - complete.length,
    });
  }

  /** Runs what needs room for a file that may be new; in the model it then has no chunks. */
  async #enter(index: number, act: () => Promise<unknown>): Promise<void> {
    const isKnown = this.#expected.has(index);
    if (!isKnown && footprintOf(part(index).content.length) > QUOTA - this.#usedBytes()) {
      await expect(act()).rejects.toThrow(expect.objectContaining({ code: 'exhausted' }));
      return;
    }
    await act();
    if (!isKnown) this.#expected.set(index, { have: new Set(), records: [] });
  }

  async #ingest(index: number): Promise<void> {
    const { content } = part(index);
    // It needs room of its own until it is known what it is.
    const fits = footprintOf(content.length) <= QUOTA - this.#usedBytes();
    const ingest = this.#store.ingest({ path: this.#fixture.source('source', content) }, patiently());
    if (!fits) {
      await expect(ingest).rejects.toThrow(expect.objectContaining({ code: 'exhausted' }));
      return;
    }
    const wasComplete = this.#expected.get(index)?.have.size === part(index).manifest.chunkCount;
    expect((await ingest).isNew).toBe(!wasComplete);
    const chunks = Array.from({ length: part(index).manifest.chunkCount }, (_, chunk) => chunk);
    this.#expected.set(index, { have: new Set(chunks), records: this.#expected.get(index)?.records ?? [] });
  }

  async #remove(index: number): Promise<void> {
    const removal = this.#store.remove(part(index).manifest.id);
    if (this.#expected.delete(index)) await removal;
    else await expect(removal).rejects.toThrow(expect.objectContaining({ code: 'not_found' }));
  }

  async #verify(index: number): Promise<void> {
    const result = await this.#file(index)?.verify(patiently().signal, () => {});
    const chunks = this.#expected.get(index)?.have.size;
    expect(result).toEqual(chunks === undefined ? undefined : { chunks, damaged: [] });
  }

  async #write(index: number, chunk: number): Promise<void> {
    const { content, manifest } = part(index);
    if (chunk >= manifest.chunkCount) return;
    const isNew = await this.#file(index)?.writeChunk(chunk, chunkOf(content, chunk));
    const have = this.#expected.get(index)?.have;
    expect(isNew).toBe(have === undefined ? undefined : !have.has(chunk));
    have?.add(chunk);
  }

  async #forge(index: number, chunk: number): Promise<void> {
    const file = this.#file(index);
    if (file === undefined || chunk >= file.manifest.chunkCount || file.have.has(chunk)) return;
    const forged = Buffer.alloc(file.manifest.chunkLength(chunk));
    await expect(file.writeChunk(chunk, forged)).rejects.toThrow(expect.objectContaining({ code: 'corrupt' }));
  }

  async #record(index: number, record: string): Promise<void> {
    const expected = this.#expected.get(index);
    await this.#file(index)?.setRecords([record], { sha256: part(index).sha256 });
    if (expected !== undefined) expected.records = [record];
  }

  #file(index: number): StoredFile | undefined {
    const file = this.#store.get(part(index).manifest.id);
    expect(file !== undefined).toBe(this.#expected.has(index));
    return file;
  }

  #usedBytes(): number {
    return [...this.#expected.keys()].reduce((sum, index) => sum + footprintOf(part(index).content.length), 0);
  }
}

function part(index: number): (typeof contents)[number] {
  const found = contents[index];
  if (found === undefined) throw new Error(`there is no content ${index}`);
  return found;
}

describe('the chunk store', () => {
  it('does what a map of files and chunks does, through any steps and restarts', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const fixture = new StoreFixture();
        try {
          const pair = new Pair(fixture, await fixture.open({ quotaBytes: QUOTA }));
          for (const step of [...steps, { kind: 'reopen' } as const]) {
            await pair.take(step);
            await pair.compare();
          }
          // That there is no room is told, once a while; nothing else goes wrong.
          expect(fixture.logged.filter(({ error }) => error?.code !== 'exhausted')).toEqual([]);
        } finally {
          await fixture.dispose();
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);
});
