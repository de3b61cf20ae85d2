import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Syncer, Writeback } from './syncer.js';

const MIB = 1024 * 1024;

describe('the syncer', () => {
  it('syncs a directory once for all who ask before it begins', async () => {
    const folder = fs.mkdtempSync(join(tmpdir(), 'shoal-sync-'));
    const syncer = new Syncer();
    const first = syncer.directory(folder);
    expect(syncer.directory(folder)).toBe(first);
    await first;
    expect(syncer.directory(folder)).not.toBe(first);
    await syncer.directory(folder);
    fs.rmdirSync(folder);
    await expect(syncer.directory(folder)).rejects.toThrow(/ENOENT/);
    await expect(syncer.file(999_999, 1)).rejects.toThrow(/EBADF/);
  });
});

describe('writing back', () => {
  /** A sync that ends when the test says how. */
  function syncs(): { calls: number; sync: () => Promise<void>; end: (error?: Error) => void } {
    let end: (error?: Error) => void = () => {};
    const state = {
      calls: 0,
      sync: () => {
        state.calls += 1;
        return new Promise<void>((resolve, reject) => {
          end = (error) => (error === undefined ? resolve() : reject(error));
        });
      },
      end: (error?: Error) => end(error),
    };
    return state;
  }

  it('begins when much was written, one sync at a time, and ends with one for all', async () => {
    const disk = syncs();
    const writeback = new Writeback(disk.sync);
    writeback.wrote(15 * MIB);
    expect(disk.calls).toBe(0);
    writeback.wrote(MIB);
    writeback.wrote(200 * MIB);
    expect(disk.calls).toBe(1);
    disk.end();
    await writeback.settle();
    const finished = writeback.finish();
    await writeback.settle();
    expect(disk.calls).toBe(2);
    disk.end();
    await finished;
  });

  it('does not forget that an early sync failed when a later one succeeds', async () => {
    const disk = syncs();
    const writeback = new Writeback(disk.sync);
    writeback.wrote(64 * MIB);
    disk.end(new Error('bad sector'));
    await writeback.settle();
    await expect(writeback.finish()).rejects.toThrow('bad sector');
  });
});
