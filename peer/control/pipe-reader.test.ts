import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BufferPool } from '../wire/buffer-pool.js';
import { readPipe } from './pipe-reader.js';

const MIB = 1024 * 1024;
const onLinux = process.platform === 'linux' ? describe : describe.skip;

let dir: string;
let reading: number;
let writing: number;
let buffers: BufferPool;
let stop: AbortController;

beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'shoal-pipe-'));
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  reading = fs.openSync(join(dir, 'pipe'), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  writing = fs.openSync(join(dir, 'pipe'), fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
  buffers = new BufferPool({ keepBytes: 4 * MIB });
  stop = new AbortController();
});

afterEach(() => {
  stop.abort();
  fs.closeSync(reading);
  fs.rmSync(dir, { recursive: true });
});

function read(): AsyncGenerator<Buffer> {
  return readPipe(reading, { buffers, signal: stop.signal });
}

/** Writes all, as fast as it is read, and closes the end of the pipe. */
async function writeAll(content: Buffer): Promise<void> {
  let at = 0;
  while (at < content.length) {
    at += writeSome(content.subarray(at));
    await new Promise(setImmediate);
  }
  fs.closeSync(writing);
}

/** Writes what the pipe takes now; tells how many bytes that was. */
function writeSome(content: Buffer): number {
  try {
    return fs.writeSync(writing, content);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}

onLinux('reading a pipe', () => {
  it.each([0, 1, 70_000, 5 * MIB + 3])('gives all of %d bytes, in buffers that may be used again', async (size) => {
    const content = randomBytes(size);
    const written = writeAll(content);
    const all = Buffer.alloc(size);
    let at = 0;
    for await (const piece of read()) {
      at += piece.copy(all, at);
      buffers.give(piece);
    }
    await written;
    expect(at).toBe(size);
    expect(all.equals(content)).toBe(true);
    // It is the caller's to close.
    expect(fs.fstatSync(reading).isFIFO()).toBe(true);
  });

  it('reads no more than a few pieces that nobody takes, and goes on when they are taken', async () => {
    const content = randomBytes(8 * MIB);
    const pieces = read();
    let written = 0;
    const write = async () => {
      let quietTurns = 0;
      while (quietTurns < 100) {
        const bytes = writeSome(content.subarray(written));
        written += bytes;
        quietTurns = bytes === 0 ? quietTurns + 1 : 0;
        await new Promise(setImmediate);
      }
    };
    const first = pieces.next();
    await write();
    expect(written).toBeLessThan(3 * MIB);
    const taken = [(await first).value as Buffer];
    const rest = (async () => {
      for await (const piece of pieces) taken.push(piece);
    })();
    await writeAll(content.subarray(written));
    await rest;
    expect(Buffer.concat(taken).equals(content)).toBe(true);
  });

  it('stops at once when it is told to while nobody writes', async () => {
    const piece = read().next();
    stop.abort(new Error('enough'));
    await expect(piece).rejects.toThrow('enough');
    fs.closeSync(writing);
  });

  it('lets go of the pipe when nobody wants more', async () => {
    writeSome(randomBytes(10));
    const pieces = read();
    const first = pieces.next();
    stop.abort(new Error('enough'));
    await expect(first).rejects.toThrow('enough');
    await pieces.return(undefined);
    // Nobody reads any more once this end is closed as well.
    fs.closeSync(reading);
    await new Promise(setImmediate);
    expect(() => fs.writeSync(writing, 'x')).toThrow('EPIPE');
    reading = fs.openSync(join(dir, 'pipe'), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    fs.closeSync(writing);
  });
});
