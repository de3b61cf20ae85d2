import { Worker } from 'node:worker_threads';
import { abortError, ShoalError, toShoalError } from '../common/errors.js';
import { HASH_THREAD_LIMITS } from './sha256-thread.js';
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

// Threads run what tsc built. A test runs this file from its source, and finds the worker where `npm test` built it.
const WORKER_URL = new URL(
  import.meta.url.endsWith('.ts') ? '../dist/peer/hash-worker.js' : './hash-worker.js',
  import.meta.url,
);

/** How a job is told to stop, and where it tells how far it is. */
export interface JobControl {
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
}

/** Those that take turns with others so often that it is not worth the memory of another thread. */
const SHORT_JOBS: ReadonlySet<Job['kind']> = new Set(['write', 'sync']);

/** Of jobs that are over soon. */
const UNWATCHED: JobControl = { signal: new AbortController().signal, onProgress: () => {} };

interface RunningJob {
  readonly worker: HashThread;
  readonly onProgress: (doneBytes: number) => void;
  resolve(result: JobResult): void;
  reject(error: ShoalError): void;
}

interface HashThread {
  readonly worker: Worker;
  jobs: number;
}

/**
 * Hashes and copies files on threads of their own, started when they are first needed. A job has done with its files
 * when its promise settles, not before: the caller may close them then, whatever the outcome was. One whose `onProgress`
 * throws fails with that.
 */
export class Hasher {
  readonly #threadCount: number;
  readonly #threads: HashThread[] = [];
  readonly #jobs = new Map<number, RunningJob>();
  #lastId = 0;
  #isClosed = false;

  constructor(options: { readonly threads: number }) {
    this.#threadCount = options.threads;
  }

  /**
   * Reads `size` bytes of an open file once, for the digests of its chunks and the SHA-256 of all; with `to` they are
   * written there too, and what was hashed is what was written. Throws `conflict` when the file ends early.
   */
  hash(job: Omit<HashJob, 'kind'>, control: JobControl): Promise<HashResult> {
    return this.#run({ kind: 'hash', ...job }, control) as Promise<HashResult>;
  }

  /** Copies an open file to another that is empty, which gets holes where there are zeros. */
  async copy(job: Omit<CopyJob, 'kind'>, control: JobControl): Promise<void> {
    await this.#run({ kind: 'copy', ...job }, control);
  }

  /** Finds the chunks of an open file that cannot be read or do not have their digest. */
  check(job: Omit<CheckJob, 'kind'>, control: JobControl): Promise<CheckResult> {
    return this.#run({ kind: 'check', ...job }, control) as Promise<CheckResult>;
  }

  /**
   * Writes small files; tells what kept some from being written, by their place. `bytes` are given away, and come back with
   * the answer.
   */
  async write(
    job: Omit<WriteJob, 'kind'>,
  ): Promise<{ readonly failures: ReadonlyMap<number, ShoalError>; readonly bytes: Uint8Array<ArrayBuffer> }> {
    const { failures, bytes } = (await this.#run({ kind: 'write', ...job }, UNWATCHED)) as WriteResult;
    return { failures: new Map([...failures].map(([at, failure]) => [at, errorOf(failure)])), bytes };
  }

  /** Makes files and folders durable, those that are still there. */
  async sync(job: Omit<SyncJob, 'kind'>, signal: AbortSignal): Promise<void> {
    await this.#run({ kind: 'sync', ...job }, { ...UNWATCHED, signal });
  }

  /** Ends the threads; jobs under way fail with `unavailable`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#threads.map((thread) => thread.worker.terminate()));
  }

  async #run(job: Job, control: JobControl): Promise<JobResult> {
    const { signal } = control;
    if (signal.aborted) throw abortError(signal);
    if (this.#isClosed) throw closedError();
    const worker = SHORT_JOBS.has(job.kind) ? (this.#idlest() ?? this.#start()) : this.#thread();
    this.#lastId += 1;
    const id = this.#lastId;
    const given = job.kind === 'write' ? [job.bytes.buffer] : [];
    const post = (request: WorkerRequest): void => worker.worker.postMessage(request, given.splice(0));
    let failure: { readonly error: unknown } | undefined;
    const cancel = (): void => post({ type: 'cancel', id });
    const onProgress = (doneBytes: number): void => {
      try {
        control.onProgress(doneBytes);
      } catch (error) {
        failure ??= { error };
        cancel();
      }
    };
    try {
      return await new Promise<JobResult>((resolve, reject) => {
        this.#jobs.set(id, { worker, onProgress, resolve, reject });
        worker.jobs += 1;
        signal.addEventListener('abort', cancel, { once: true });
        post({ type: 'start', id, job });
      });
    } catch (error) {
      if (failure !== undefined) throw failure.error;
      throw signal.aborted ? abortError(signal) : error;
    } finally {
      signal.removeEventListener('abort', cancel);
      this.#jobs.delete(id);
      worker.jobs -= 1;
    }
  }

  /** The thread with the fewest jobs, a new one as long as there may be more and all have some. */
  #thread(): HashThread {
    const idlest = this.#idlest();
    if (idlest !== undefined && (idlest.jobs === 0 || this.#threads.length >= this.#threadCount)) return idlest;
    return this.#start();
  }

  #idlest(): HashThread | undefined {
    return this.#threads.reduce<HashThread | undefined>(
      (best, thread) => (best === undefined || thread.jobs < best.jobs ? thread : best),
      undefined,
    );
  }

  #start(): HashThread {
    const thread: HashThread = {
      worker: new Worker(WORKER_URL, { resourceLimits: HASH_THREAD_LIMITS }),
      jobs: 0,
    };
    this.#threads.push(thread);
    let cause: unknown;
    thread.worker.on('message', (reply: WorkerReply) => this.#onReply(reply));
    thread.worker.on('error', (error) => {
      cause = error;
    });
    thread.worker.on('exit', () => {
      this.#threads.splice(this.#threads.indexOf(thread), 1);
      const error = this.#isClosed ? closedError() : new ShoalError('internal', 'a hash thread ended', { cause });
      for (const job of this.#jobs.values()) if (job.worker === thread) job.reject(error);
    });
    return thread;
  }

  #onReply(reply: WorkerReply): void {
    const job = this.#jobs.get(reply.id);
    if (reply.type === 'progress') job?.onProgress(reply.doneBytes);
    else if (reply.type === 'done') job?.resolve(reply.result);
    else job?.reject(errorOf(reply.failure));
  }
}

function closedError(): ShoalError {
  return new ShoalError('unavailable', 'the peer is shutting down');
}

function errorOf(failure: JobFailure): ShoalError {
  if (failure.reason === 'cancelled') return new ShoalError('cancelled', failure.message);
  if (failure.reason === 'short') return new ShoalError('conflict', failure.message);
  return toShoalError(Object.assign(new Error(failure.message), { code: failure.systemCode }));
}
