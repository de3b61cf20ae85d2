import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import { ChunkSet } from '../chunk-set.js';
import { FdCache } from './fd-cache.js';
import { readJournalSync, StoreJournal } from './store-journal.js';
import { StorePaths } from './store-paths.js';

const ID = 'ab'.repeat(32);
const CHUNKS = 40;

let folder: string;
let fds: FdCache;
let paths: StorePaths;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'shoal-journal-'));
  paths = new StorePaths(folder);
  fs.mkdirSync(dirname(paths.journal(ID)), { recursive: true });
  fs.mkdirSync(paths.temporary);
  fds = new FdCache({ log: pino({ level: 'silent' }) }, { capacity: 4 });
});

afterEach(async () => {
  await fds.close();
  fs.rmSync(folder, { recursive: true });
});

function journal(boot = 'this-boot'): StoreJournal {
  return new StoreJournal({ fds, paths }, { id: ID, boot });
}

function claim(): { held: number[]; boot: string | undefined; damagedEntries: number } {
  const read = readJournalSync(paths.journal(ID), CHUNKS);
  return { ...read, held: [...read.held] };
}

describe('the journal', () => {
  it('claims nothing when there is none', () => {
    expect(claim()).toEqual({ held: [], boot: undefined, damagedEntries: 0 });
  });

  it('tells what was added and lost, also to the next process that goes on with it', async () => {
    const first = journal();
    await Promise.all([first.add(3), first.add(0), first.add(7)]);
    await first.forget(3);
    expect(claim()).toEqual({ held: [0, 7], boot: 'this-boot', damagedEntries: 0 });
    await journal().add(3);
    expect(claim().held).toEqual([0, 3, 7]);
  });

  it('begins anew after it was replaced or removed', async () => {
    const it = journal();
    await it.add(1);
    const held = new ChunkSet(CHUNKS);
    held.add(5);
    await it.replace(held);
    await it.add(6);
    expect(claim().held).toEqual([5, 6]);
    await it.remove();
    expect(claim()).toEqual({ held: [], boot: undefined, damagedEntries: 0 });
    await it.add(2);
    expect(claim()).toEqual({ held: [2], boot: 'this-boot', damagedEntries: 0 });
  });

  it('is not written any more once it is closed', async () => {
    const it = journal();
    await it.add(1);
    const late = it.add(2);
    const refused = expect(late).rejects.toThrow(expect.objectContaining({ code: 'not_found' }));
    await it.close();
    await refused;
    expect(claim().held).toEqual([1]);
  });

  it('never claims a chunk that was not noted, whatever byte of it is damaged', async () => {
    const noted = [1, 2, 3, 30];
    const it = journal();
    for (const index of noted) await it.add(index);
    const bytes = fs.readFileSync(paths.journal(ID));
    fc.assert(
      fc.property(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const mutated = Buffer.from(bytes);
        mutated[at] = (mutated[at] ?? 0) ^ change;
        fs.writeFileSync(paths.journal(ID), mutated);
        const { held, damagedEntries } = claim();
        expect(noted).toEqual(expect.arrayContaining(held));
        expect(held.length + damagedEntries).toBe(noted.length);
      }),
    );
  });

  it('of another file size names no chunk beyond it', async () => {
    await journal().add(CHUNKS - 1);
    expect([...readJournalSync(paths.journal(ID), CHUNKS - 1).held]).toEqual([]);
  });
});
