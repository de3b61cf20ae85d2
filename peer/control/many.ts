import { setMaxListeners } from 'node:events';
import { abortError, ShoalError, toShoalError } from '../../common/errors.js';
import type { FetchedFile } from '../../proto/gen/shoal/control/v1/FetchedFile.js';
import type { GetManyRequest__Output } from '../../proto/gen/shoal/control/v1/GetManyRequest.js';
import type { GetManyResponse } from '../../proto/gen/shoal/control/v1/GetManyResponse.js';
import type { GetManyResult } from '../../proto/gen/shoal/control/v1/GetManyResult.js';
import type { Problem } from '../../proto/gen/shoal/control/v1/Problem.js';
import type { Progress } from '../../proto/gen/shoal/control/v1/Progress.js';
import type { PutDone } from '../../proto/gen/shoal/control/v1/PutDone.js';
import type { PutManyRequest__Output } from '../../proto/gen/shoal/control/v1/PutManyRequest.js';
import type { PutManyResponse } from '../../proto/gen/shoal/control/v1/PutManyResponse.js';
import type { PutManyResult } from '../../proto/gen/shoal/control/v1/PutManyResult.js';
import type { PutManyStart__Output } from '../../proto/gen/shoal/control/v1/PutManyStart.js';
import type { SmallFile__Output } from '../../proto/gen/shoal/control/v1/SmallFile.js';
import type { WantedFile__Output } from '../../proto/gen/shoal/control/v1/WantedFile.js';
import type { PeerMetrics } from '../metrics.js';
import type { Publisher } from '../publish.js';
import type { Retriever } from '../retrieve.js';
import { SMALL_FILE_BYTES, SMALL_FILES_AT_ONCE } from '../small-files.js';
import type { StoredFile } from '../stored-file.js';
import type { Fetch } from '../swarm/fetch.js';
import { readThrough } from '../swarm/read-through.js';
import { AnswerQueue } from './answer-queue.js';
import type { CallEdge, Caller, EventSink } from './call.js';
import { named, visibilityOf } from './files.js';
import type { ControlHandlers } from './handlers.js';
import { entryOf, fileEntry } from './messages.js';

/*
 * Many small files in one call. A bounded number is worked on at once, a slow one keeps nobody else waiting, and what is
 * ready at the same time is answered together. No more is read than can be worked on, and a file counts as worked on until
 * its answer was taken: that bounds the memory, whoever calls.
 */

/** What the calls about many files work with. */
export interface ManyDeps {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly retriever: Pick<Retriever, 'retrieveWhole'>;
  readonly metrics: Pick<PeerMetrics, 'receivedBytes'>;
}

/** The calls that publish and fetch many small files. */
export function manyHandlers(edge: CallEdge, deps: ManyDeps): Pick<ControlHandlers, 'PutMany' | 'GetMany'> {
  return {
    PutMany: edge.conversation(
      'PutMany',
      async (requests: AsyncIterator<PutManyRequest__Output>, caller, sink: EventSink<PutManyResponse>) => {
        const { start, files } = await opened(requests);
        const answers = new AnswerQueue<PutManyResult>((results) => sink.send({ results }), { bytesOf: () => 0 });
        const one = (file: SmallFile__Output) => putOne(deps, file, { start, caller, sink });
        await answerEach({ files, one }, answers, caller.signal);
      },
    ),
    GetMany: edge.conversation(
      'GetMany',
      async (requests: AsyncIterator<GetManyRequest__Output>, caller, sink: EventSink<GetManyResponse>) => {
        const bytesOf = ({ file }: GetManyResult) => file?.data?.length ?? 0;
        const answers = new AnswerQueue<GetManyResult>((results) => sink.send({ results }), { bytesOf });
        const one = ({ ref }: WantedFile__Output) => getOne(deps, ref, { caller, sink });
        await answerEach({ files: wantedOf(requests), one }, answers, caller.signal);
      },
    ),
  };
}

async function opened(
  requests: AsyncIterator<PutManyRequest__Output>,
): Promise<{ readonly start: PutManyStart__Output; readonly files: AsyncGenerator<SmallFile__Output> }> {
  const first = await requests.next();
  if (first.done === true || first.value.start === null) {
    throw new ShoalError('invalid', 'the first request of a put of many files must have start');
  }
  const { start, files } = first.value;
  async function* all() {
    yield* files;
    for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
      if (next.value.start !== null) throw new ShoalError('invalid', 'a put of many files has only one start');
      yield* next.value.files;
    }
  }
  return { start, files: all() };
}

async function* wantedOf(requests: AsyncIterator<GetManyRequest__Output>): AsyncGenerator<WantedFile__Output> {
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) yield* next.value.files;
}

async function putOne(
  { publisher, metrics }: ManyDeps,
  { name, data }: SmallFile__Output,
  call: { readonly start: PutManyStart__Output; readonly caller: Caller; readonly sink: EventSink<PutManyResponse> },
): Promise<{ readonly done: PutDone }> {
  const { tags, readers, replicas, noWait } = call.start;
  const { onBehalf, signal } = call.caller;
  if (data.length > SMALL_FILE_BYTES) throw tooLarge(name);
  const visibility = visibilityOf(call.start.visibility) ?? 'public';
  const { published, sha256, copies } = await publisher.publish(
    { bytes: data },
    { name, tags, visibility, readers, replicas, onBehalf, wait: !noWait },
    {
      signal,
      onProgress: ({ phase, detail }) => {
        if (phase === 'waiting') call.sink.sendProgress(waiting(detail));
      },
    },
  );
  metrics.receivedBytes.inc({ kind: 'put' }, data.length);
  return { done: { file: fileEntry(published.file), sha256, copies } };
}

async function getOne(
  { retriever }: ManyDeps,
  ref: string,
  { caller, sink }: { readonly caller: Caller; readonly sink: EventSink<GetManyResponse> },
): Promise<{ readonly file: FetchedFile }> {
  const { onBehalf, signal } = caller;
  const onWaiting = (detail: string) => sink.sendProgress(waiting(detail));
  const options = { onBehalf, onWaiting };
  const { located, refetch, file, ...outcome } = await retriever.retrieveWhole(named(ref), options, signal);
  if (file.size > SMALL_FILE_BYTES) throw tooLarge(ref);
  return {
    file: {
      file: located === undefined ? entryOf(file) : fileEntry(located.file),
      sha256: located?.file.sha256 ?? file.sha256 ?? '',
      data: outcome.bytes ?? (await allBytes(file, refetch, signal)),
      done: { receivedBytes: outcome.receivedBytes, peers: outcome.peers },
    },
  };
}

async function allBytes(file: StoredFile, refetch: () => Fetch, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of readThrough({ refetch }, file, { offset: 0, length: file.size }, signal)) parts.push(part);
  return Buffer.concat(parts);
}

/** Works on all files and answers each: that one fails is an answer like others. Rejects when the call is over. */
async function answerEach<F extends { readonly number: number }, R extends object>(
  work: { readonly files: AsyncGenerator<F>; readonly one: (file: F) => Promise<R> },
  answers: { push(answer: (R | { problem: Problem }) & { number: number }): Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  // Each file that is worked on listens to it, which is no leak.
  setMaxListeners(0, signal);
  const worker = async () => {
    for (let next = await work.files.next(); next.done !== true; next = await work.files.next()) {
      const file = next.value;
      const result = await work.one(file).catch((error: unknown) => problemOf(error, signal));
      await answers.push({ number: file.number, ...result });
    }
  };
  await Promise.all(Array.from({ length: SMALL_FILES_AT_ONCE }, worker));
}

function problemOf(thrown: unknown, signal: AbortSignal): { problem: Problem } {
  if (signal.aborted) throw abortError(signal);
  const { code, message, hint = '' } = toShoalError(thrown);
  return { problem: { code, message, hint } };
}

function waiting(detail = ''): { progress: Progress } {
  return { progress: { phase: 'PHASE_WAITING', detail } };
}

function tooLarge(name: string): ShoalError {
  return new ShoalError('too_large', `'${name}' has more than the ${SMALL_FILE_BYTES} bytes that may go with others`);
}
