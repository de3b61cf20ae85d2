import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { footprintOf } from './store/footprint.js';
import { contentOf, patiently, StoreFixture } from './testing/stores.js';

const FILES = 10_000;
const AT_ONCE = 100;

let fixture: StoreFixture;
beforeEach(() => {
  fixture = new StoreFixture();
});
afterEach(() => fixture.dispose());

/** What the folder of the store takes on the disk. */
function allocatedBytes(folder: string): number {
  const entries = fs.readdirSync(folder, { withFileTypes: true });
  const own = (fs.lstatSync(folder, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  return entries.reduce((sum, entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sum + allocatedBytes(path);
    // What is written and renamed meanwhile may be gone.
    return sum + (fs.lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }, own);
}

it('takes small files into a quota that just fits, and never more of the disk', async () => {
  const size = 5_000;
  const quotaBytes = FILES * footprintOf(size);
  const store = await fixture.open({ quotaBytes });
  const content = randomBytes(size);
  let mostBytes = 0;
  for (let at = 0; at < FILES; at += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, async (_, i) => {
      const bytes = Buffer.from(content);
      bytes.writeUInt32LE(at + i);
      const { file, sha256 } = await store.ingest({ bytes }, patiently());
      await file.setRecords([`record ${'of some length '.repeat(40)}`], { sha256 });
    });
    await Promise.all(batch);
    if (at % 500 === 0 || at > 0.95 * FILES) mostBytes = Math.max(mostBytes, allocatedBytes(fixture.dir));
  }
  expect(store.usage()).toMatchObject({ files: FILES, usedBytes: quotaBytes, freeBytes: 0 });
  expect(mostBytes).toBeLessThanOrEqual(quotaBytes);
  // Not by far: the log was used as long as there was room for it, and nothing is counted that is not there.
  expect(mostBytes).toBeGreaterThan(0.9 * quotaBytes);
  await expect(store.ingest({ bytes: contentOf(1, 1) }, patiently())).rejects.toMatchObject({ code: 'exhausted' });
}, 120_000);
