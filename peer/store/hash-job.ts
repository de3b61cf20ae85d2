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

/** Work for a hash worker. Files are descriptors, which threads share; the worker closes none. */
export type Job = HashJob | CopyJob | CheckJob;

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

/** What any job finds. */
export type JobResult = HashResult | CheckResult | undefined;

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
