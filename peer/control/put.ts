import { ShoalError } from '../../common/errors.js';
import type { PutRequest__Output } from '../../proto/gen/shoal/control/v1/PutRequest.js';
import type { PutResponse } from '../../proto/gen/shoal/control/v1/PutResponse.js';
import type { PutStart__Output } from '../../proto/gen/shoal/control/v1/PutStart.js';
import type { IngestSource } from '../chunk-store.js';
import type { PeerMetrics } from '../metrics.js';
import type { Publisher, PublishOptions, PublishProgress } from '../publish.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import type { CallEdge, Caller, EventSink } from './call.js';
import { visibilityOf } from './files.js';
import type { ControlHandlers } from './handlers.js';
import { type LocalSource, openLocalSource } from './local-path.js';
import { fileEntry } from './messages.js';
import { readPipe } from './pipe-reader.js';

/** What a put works with. */
export interface PutDeps {
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly metrics: Pick<PeerMetrics, 'receivedBytes'>;
  /** Where the bytes that callers send may lie. */
  readonly buffers: Pick<BufferPool, 'take' | 'give'>;
}

/** The call that publishes. */
export function putHandlers(edge: CallEdge, deps: PutDeps): Pick<ControlHandlers, 'Put'> {
  return {
    Put: edge.conversation('Put', async (requests: AsyncIterator<PutRequest__Output>, caller, sink) => {
      const start = await startOf(requests);
      const local = start.source === null ? undefined : await openLocalSource(start.source);
      try {
        const source = sourceOf(local, { requests, start, sink, caller, buffers: deps.buffers });
        await put(deps, { source, start, caller, sink });
      } finally {
        await local?.handle.close();
      }
    }),
  };
}

async function put(
  { publisher, metrics }: PutDeps,
  call: {
    readonly source: IngestSource;
    readonly start: PutStart__Output;
    readonly caller: Caller;
    readonly sink: EventSink<PutResponse>;
  },
): Promise<void> {
  const { source, start, caller, sink } = call;
  const { published, sha256, copies } = await publisher.publish(source, publishOptions(start, caller), {
    signal: caller.signal,
    onProgress: (progress) => sink.sendProgress({ progress: progressMessage(progress) }),
  });
  metrics.receivedBytes.inc({ kind: 'put' }, published.file.size);
  await sink.send({ done: { file: fileEntry(published.file), sha256, copies } });
}

async function startOf(requests: AsyncIterator<PutRequest__Output>): Promise<PutStart__Output> {
  const first = await requests.next();
  if (first.done !== true && first.value.start) return first.value.start;
  throw new ShoalError('invalid', 'the first request of a put must be start');
}

interface PutCall {
  readonly requests: AsyncIterator<PutRequest__Output>;
  readonly start: PutStart__Output;
  readonly sink: EventSink<PutResponse>;
  readonly caller: Pick<Caller, 'signal'>;
  readonly buffers: PutDeps['buffers'];
}

function sourceOf(local: LocalSource | undefined, call: PutCall): IngestSource {
  if (local !== undefined && !local.isPipe) return { fd: local.handle.fd };
  const { size } = call.start;
  return {
    stream: local === undefined ? sentBytes(call) : pipedBytes(local, call),
    release: (data) => call.buffers.give(data),
    ...(size !== undefined && { size }),
  };
}

/**
 * The bytes that the caller sends. They are asked for when they are first read, so not before the store has found that
 * there is room for them.
 */
async function* sentBytes({ requests, sink }: PutCall): AsyncGenerator<Buffer> {
  await sink.send({ sendData: {} });
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    if (next.value.end) return;
    if (next.value.data === undefined) throw new ShoalError('invalid', 'a put has only one start');
    yield next.value.data;
  }
  // A caller that died ends its stream like one that has finished.
  throw cutOffError();
}

/** The bytes that come out of the caller's pipe. Whoever writes to it may have died with the caller: the end counts when the caller says so. */
async function* pipedBytes(local: LocalSource, { requests, sink, caller, buffers }: PutCall): AsyncGenerator<Buffer> {
  yield* readPipe(local.handle.fd, { buffers, signal: caller.signal });
  await sink.send({ confirmEnd: {} });
  const next = await requests.next();
  if (next.done === true || !next.value.end) throw cutOffError();
}

function cutOffError(): ShoalError {
  return new ShoalError('cancelled', 'the caller was cut off before it had sent everything');
}

function publishOptions(start: PutStart__Output, { onBehalf }: Caller): PublishOptions {
  const { name, tags, readers, replicas, noWait } = start;
  const visibility = visibilityOf(start.visibility) ?? 'public';
  return { name, tags, visibility, readers, replicas, onBehalf, wait: !noWait };
}

const PHASES = {
  storing: 'PHASE_STORING',
  replicating: 'PHASE_REPLICATING',
  waiting: 'PHASE_WAITING',
} as const;

function progressMessage({ phase, detail = '', doneBytes, totalBytes, copies }: PublishProgress) {
  return { phase: PHASES[phase], detail, doneBytes, totalBytes, peers: copies };
}
