import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCatalog } from '../../index-server/open-catalog.js';
import { filledStore } from './filled-store.js';
import { plannedFile } from './planned-catalogue.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

const optionsFor = (files: number, signal = new AbortController().signal) => ({
  ...{ folder: join(folder, 'index'), files, signal },
  progress: () => undefined,
});

test('fills a store once, and takes the one that is there from then on', async () => {
  const first = await filledStore(optionsFor(50));
  expect(first.fillSeconds).toBeGreaterThan(0);
  const again = await filledStore(optionsFor(50));
  expect(again).toMatchObject({ fillSeconds: undefined, bytes: first.bytes });
  expect(again.signer.record(7).record).toBe(first.signer.record(7).record);
  const catalog = await openCatalog(`embedded:${join(folder, 'index', 'catalog.db')}`);
  const { id, name, ownerId } = plannedFile(7);
  expect(await catalog.current(ownerId, name)).toMatchObject({ id, record: first.signer.record(7).record });
  expect(await catalog.counts()).toMatchObject({ files: 50 });
  await catalog.close();
});

test('does not leave half a store under the name of a whole one', async () => {
  const stopping = new AbortController();
  const options = { ...optionsFor(5000, stopping.signal), progress: () => stopping.abort(new Error('interrupted')) };
  await expect(filledStore(options)).rejects.toThrow('interrupted');
  expect(await readdir(folder)).not.toContain('index');
});
