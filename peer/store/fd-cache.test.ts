import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { FdCache } from './fd-cache.js';

let folder: string;
let fds: FdCache;

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'shoal-fds-'));
  fds = new FdCache({ log: pino({ level: 'silent' }) }, { capacity: 2 });
});

afterEach(async () => {
  await fds.close();
  fs.rmSync(folder, { recursive: true });
});

function file(name: string): string {
  const path = join(folder, name);
  fs.writeFileSync(path, name);
  return path;
}

/** Paths of our folder that this process has open. */
function openPaths(): string[] {
  return fs
    .readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return '';
      }
    })
    .filter((path) => path.startsWith(folder))
    .map((path) => path.slice(folder.length + 1))
    .sort();
}

describe('the cache of open files', () => {
  it('opens a file once, and keeps it open after it was released', () => {
    const path = file('a');
    const first = fds.borrow(path);
    const second = fds.borrow(path);
    expect(second.fd).toBe(first.fd);
    first.release();
    second.release();
    const third = fds.borrow(path);
    expect(third.fd).toBe(first.fd);
    third.release();
  });

  it('keeps those that were used last, and any that is in use', async () => {
    const inUse = fds.borrow(file('a'));
    fds.borrow(file('b')).release();
    fds.borrow(file('c')).release();
    fds.borrow(join(folder, 'b')).release();
    fds.borrow(file('d')).release();
    inUse.release();
    await fds.close();
    expect(openPaths()).toEqual([]);
  });

  it('closes the one that has not been used for longest', async () => {
    for (const name of ['a', 'b', 'a', 'c']) {
      if (!fs.existsSync(join(folder, name))) file(name);
      fds.borrow(join(folder, name)).release();
    }
    while (openPaths().length > 2) await new Promise((resolve) => setImmediate(resolve));
    expect(openPaths()).toEqual(['a', 'c']);
  });

  it('lets those who have a file that is dropped finish with it', () => {
    const path = file('a');
    const old = fds.borrow(path);
    fds.drop(path);
    fs.unlinkSync(path);
    const bytes = Buffer.alloc(1);
    fs.readSync(old.fd, bytes, 0, 1, 0);
    expect(bytes.toString()).toBe('a');
    expect(() => fds.borrow(path)).toThrow(/ENOENT/);
    const fresh = fds.borrow(path, 'create');
    expect(fs.fstatSync(fresh.fd).size).toBe(0);
    old.release();
    old.release();
    fresh.release();
  });

  it('waits, when it is closed, for those who still have a file', async () => {
    const borrowed = fds.borrow(file('a'));
    let isClosed = false;
    const closing = fds.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    borrowed.release();
    await closing;
    expect(openPaths()).toEqual([]);
  });
});
