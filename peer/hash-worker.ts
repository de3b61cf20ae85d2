import fs, { ftruncateSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { BLOCK_BYTES } from './block-ring.js';
import { ChunkDigests } from './chunk-digests.js';
import { blake3, chunkBytesFor, DIGEST_BYTES } from './manifest.js';
import { Sha256Thread, sha256Here } from './sha256-thread.js';
import { isMissing, isZero, readFullySync, systemCode, writeFullySync } from './store/file-io.js';
import type {
  CheckJob,
  CheckResult,
  CopyJob,
  HashJob,
  HashResult,
  Job,
  JobFailure,
  JobResult,
  SyncJob,
  WorkerReply,
  WorkerRequest,
  WriteJob,
  WriteResult,
} from './store/hash-job.js';

/*
 * A thread that reads, hashes and writes whole files, so that the bytes never cross to the main thread; of small files they
 * come from there, many at a time. It uses synchronous calls: the thread pool of the process stays free for the others.
 * Several jobs go on at once, a block each in turn. They share one buffer, since nothing of it is needed after a turn, and
 * the blocks that they share with the thread beside this one, which does SHA-256.
 */

const MAX_CHUNK_BYTES = 4 * 1024 * 1024;
/** Of smaller files another thread would take longer to be asked than it saves. */
const APART_BYTES = 8 * 1024 * 1024;
const HOLE_BYTES = 64 * 1024;
const PROGRESS_BYTES = 8 * 1024 * 1024;

class JobError extends Error {
  readonly reason: JobFailure['reason'];

  constructor(reason: JobFailure['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What a job may ask while it runs. */
interface Course {
  /** Lets the other jobs go on; throws when this one was cancelled meanwhile. */
  yield(): Promise<void>;
  /** Tells how far it is, now and then. */
  done(bytes: number): void;
}

const buffer = Buffer.allocUnsafeSlow(MAX_CHUNK_BYTES);
const sha256Thread = new Sha256Thread();
/** Jobs under way, by id. */
const running = new Map<number, { isCancelled: boolean }>();

async function hash(job: HashJob, course: Course): Promise<HashResult> {
  const digests = new ChunkDigests(job.size, BLOCK_BYTES);
  const sha256 = job.size > APART_BYTES ? sha256Thread.stream() : sha256Here(buffer);
  let sha256Hex: string;
  try {
    for (let at = 0; at < job.size; at += BLOCK_BYTES) {
      await course.yield();
      await sha256.take(
        (space) => readBlock(job, at, space.subarray(0, BLOCK_BYTES)).length,
        (block) => digestBlock(job, { at, block, digests }),
      );
      course.done(Math.min(BLOCK_BYTES, job.size - at));
    }
    if (job.to !== undefined) ftruncateSync(job.to, job.size);
  } finally {
    sha256Hex = await sha256.end();
  }
  return { digests: digests.all, sha256: sha256Hex };
}

/** Digests a block and writes it. */
function digestBlock(
  job: HashJob,
  { at, block, digests }: { readonly at: number; readonly block: Buffer; readonly digests: ChunkDigests },
): void {
  for (let start = 0; start < block.length; start += digests.pieceBytes) {
    const piece = block.subarray(start, start + digests.pieceBytes);
    digests.add(piece, at + start);
    if (job.to !== undefined && !isZero(piece)) writeFullySync(job.to, piece, at + start);
  }
}

async function copy(job: CopyJob, course: Course): Promise<undefined> {
  for (let at = 0; at < job.size; at += BLOCK_BYTES) {
    await course.yield();
    const block = readBlock(job, at, buffer.subarray(0, BLOCK_BYTES));
    for (let start = 0; start < block.length; start += HOLE_BYTES) {
      const part = block.subarray(start, start + HOLE_BYTES);
      if (!isZero(part)) writeFullySync(job.to, part, at + start);
    }
    course.done(block.length);
  }
  ftruncateSync(job.to, job.size);
  return undefined;
}

/** Reads as much of `space` as there is of the file; returns that part. */
function readBlock(job: HashJob | CopyJob, at: number, space: Buffer): Buffer {
  const block = space.subarray(0, Math.min(space.length, job.size - at));
  const bytesRead = readFullySync(job.from, block, at);
  if (bytesRead < block.length) throw new JobError('short', `ended after ${at + bytesRead} of ${job.size} bytes`);
  return block;
}

async function check(job: CheckJob, course: Course): Promise<CheckResult> {
  const chunkBytes = chunkBytesFor(job.size);
  const damaged: number[] = [];
  for (const index of job.chunks) {
    await course.yield();
    const start = index * chunkBytes;
    const chunk = buffer.subarray(0, Math.min(chunkBytes, job.size - start));
    const digest = job.digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
    if (!isIntact(job.from, start, chunk, digest)) damaged.push(index);
    course.done(chunk.length);
  }
  return { damaged };
}

function isIntact(fd: number, start: number, chunk: Buffer, digest: Uint8Array): boolean {
  try {
    return readFullySync(fd, chunk, start) === chunk.length && blake3(chunk).equals(digest);
  } catch (error) {
    // A bad sector is what is being looked for.
    if (systemCode(error) === 'EIO') return false;
    throw error;
  }
}

async function write(job: WriteJob, course: Course): Promise<WriteResult> {
  const failures = new Map<number, JobFailure>();
  let start = 0;
  await course.yield();
  for (const [at, { path, temporary, length }] of job.files.entries()) {
    try {
      writeSmall(path, temporary, job.bytes.subarray(start, start + length));
    } catch (error) {
      if (temporary !== undefined) fs.rmSync(temporary, { force: true });
      failures.set(at, failureOf(error));
    }
    start += length;
  }
  return { failures, bytes: job.bytes };
}

function writeSmall(path: string, temporary: string | undefined, bytes: Uint8Array): void {
  const fd = fs.openSync(temporary ?? path, 'w', 0o600);
  try {
    writeFullySync(fd, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 0);
  } finally {
    fs.closeSync(fd);
  }
  if (temporary !== undefined) fs.renameSync(temporary, path);
}

async function sync(job: SyncJob, course: Course): Promise<undefined> {
  for (const path of job.paths) {
    await course.yield();
    syncOne(path);
  }
  return undefined;
}

function syncOne(path: string): void {
  try {
    const fd = fs.openSync(path, 'r');
    try {
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

function execute(job: Job, course: Course): Promise<JobResult> {
  switch (job.kind) {
    case 'hash':
      return hash(job, course);
    case 'copy':
      return copy(job, course);
    case 'check':
      return check(job, course);
    case 'write':
      return write(job, course);
    case 'sync':
      return sync(job, course);
  }
}

function courseOf(id: number, state: { readonly isCancelled: boolean }, reply: (message: WorkerReply) => void): Course {
  let doneBytes = 0;
  let toldBytes = 0;
  return {
    async yield() {
      await turn();
      if (state.isCancelled) throw new JobError('cancelled', 'cancelled');
    },
    done(bytes) {
      doneBytes += bytes;
      if (doneBytes - toldBytes < PROGRESS_BYTES) return;
      toldBytes = doneBytes;
      reply({ type: 'progress', id, doneBytes });
    },
  };
}

function failureOf(error: unknown): JobFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof JobError) return { reason: error.reason, message, systemCode: undefined };
  return { reason: 'system', message, systemCode: systemCode(error) };
}

function givenBack(result: JobResult): ArrayBuffer[] {
  return result !== undefined && 'bytes' in result ? [result.bytes.buffer] : [];
}

function serve(port: NonNullable<typeof parentPort>): void {
  const reply = (message: WorkerReply): void => port.postMessage(message);
  port.on('message', (request: WorkerRequest) => {
    const { id } = request;
    if (request.type === 'cancel') {
      const state = running.get(id);
      if (state !== undefined) state.isCancelled = true;
      return;
    }
    const state = { isCancelled: false };
    running.set(id, state);
    const course = courseOf(id, state, reply);
    const { job } = request;
    execute(job, course)
      .then(
        (result) => port.postMessage({ type: 'done', id, result } satisfies WorkerReply, givenBack(result)),
        (error: unknown) => reply({ type: 'failed', id, failure: failureOf(error) }),
      )
      .finally(() => running.delete(id));
  });
}

if (parentPort === null) throw new Error('hash-worker is started by the hasher, as a worker thread');
serve(parentPort);
