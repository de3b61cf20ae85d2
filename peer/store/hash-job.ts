/** Reads an open file once: hashes it and, with `to`, writes it there, leaving holes where chunks are zero. */
export interface HashJob {
  readonly kind: 'hash';
  readonly from: number;
  readonly size: number;
  /** An open file that is empty or has holes only; it gets the same size. */
  readonly to: number | undefined;
}

/** Copies an open file to another that is empty, which gets holes where there are zeros. */
export interface CopyJob {
  readonly kind: 'copy';
  readonly from: number;
  readonly size: number;
  readonly to: number;
}

/** Reads some chunks of an open file and compares them with their digests (32 bytes each, of all chunks). */
export interface CheckJob {
  readonly kind: 'check';
  readonly from: number;
  readonly size: number;
  readonly digests: Uint8Array;
  readonly chunks: Uint32Array;
}

/** Writes small files, in order: each to a new file, or by a rename of `temporary` over what is there. Syncs nothing. */
export interface WriteJob {
  readonly kind: 'write';
  /** Begins with those of all files, one after the other. Is the worker's until it gives it back. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly files: readonly { readonly path: string; readonly temporary: string | undefined; readonly length: number }[];
}

/** Makes files and folders durable, in order; those that are not there any more are left out. */
export interface SyncJob {
  readonly kind: 'sync';
  readonly paths: readonly string[];
}

/** Work for a hash worker. Descriptors are shared by all threads; the worker closes none that it was given. */
export type Job = HashJob | CopyJob | CheckJob | WriteJob | SyncJob;

/** What a {@link HashJob} finds. */
export interface HashResult {
  /** BLAKE3 of each chunk, 32 bytes each. */
  readonly digests: Uint8Array;
  /** SHA-256 of all, in lower-case hex. */
  readonly sha256: string;
}

/** What a {@link CheckJob} finds: the chunks that cannot be read or have other bytes. */
export interface CheckResult {
  readonly damaged: readonly number[];
}

/** What came of a {@link WriteJob}: the files that could not be written, by their place. */
export interface WriteResult {
  /** What the job had: else it would be garbage of the worker, which has little other and hardly ever collects it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly failures: ReadonlyMap<number, JobFailure>;
}

/** What any job finds. */
export type JobResult = HashResult | CheckResult | WriteResult | undefined;

/** To the worker. */
export type WorkerRequest =
  | { readonly type: 'start'; readonly id: number; readonly job: Job }
  | { readonly type: 'cancel'; readonly id: number };

/** From the worker. After `done` or `failed` it touches the job's files no more. */
export type WorkerReply =
  | { readonly type: 'progress'; readonly id: number; readonly doneBytes: number }
  | { readonly type: 'done'; readonly id: number; readonly result: JobResult }
  | { readonly type: 'failed'; readonly id: number; readonly failure: JobFailure };

/** Why a job failed; errors lose their code on the way between threads. `short` means that the file ended early. */
export interface JobFailure {
  readonly reason: 'cancelled' | 'short' | 'system';
  readonly message: string;
  /** Such as ENOSPC. */
  readonly systemCode: string | undefined;
}
