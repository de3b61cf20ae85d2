import { once } from 'node:events';
import { open, readFile, stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import {
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { ServiceDefinition } from '@grpc/proto-loader';
import { ShoalError, toShoalError } from '../../common/errors.js';
import { nameProblem } from '../../common/names.js';
import type { DrainDone } from '../../proto/gen/shoal/control/v1/DrainDone.js';
import type { DrainRequest__Output } from '../../proto/gen/shoal/control/v1/DrainRequest.js';
import type { DrainResponse } from '../../proto/gen/shoal/control/v1/DrainResponse.js';
import type { GetManyRequest__Output } from '../../proto/gen/shoal/control/v1/GetManyRequest.js';
import type { GetManyResponse } from '../../proto/gen/shoal/control/v1/GetManyResponse.js';
import type { GetRequest__Output } from '../../proto/gen/shoal/control/v1/GetRequest.js';
import type { GetResponse } from '../../proto/gen/shoal/control/v1/GetResponse.js';
import type { LocalPath__Output } from '../../proto/gen/shoal/control/v1/LocalPath.js';
import type { Problem } from '../../proto/gen/shoal/control/v1/Problem.js';
import type { Progress } from '../../proto/gen/shoal/control/v1/Progress.js';
import type { PutManyRequest__Output } from '../../proto/gen/shoal/control/v1/PutManyRequest.js';
import type { PutManyResponse } from '../../proto/gen/shoal/control/v1/PutManyResponse.js';
import type { PutManyStart__Output } from '../../proto/gen/shoal/control/v1/PutManyStart.js';
import type { PutRequest__Output } from '../../proto/gen/shoal/control/v1/PutRequest.js';
import type { PutResponse } from '../../proto/gen/shoal/control/v1/PutResponse.js';
import type { PutStart__Output } from '../../proto/gen/shoal/control/v1/PutStart.js';
import type { VerifyResponse } from '../../proto/gen/shoal/control/v1/VerifyResponse.js';
import { toGrpcError } from '../grpc.js';
import { CONTROL_PROTO, loadProto } from '../proto.js';
import { type Answer, FakeCatalogue, type FakeFile } from './fake-catalogue.js';

/** One call as the server saw it. */
export interface SeenCall {
  readonly method: string;
  readonly request: unknown;
  /** The `authorization` metadata. */
  readonly authorization: string | undefined;
}

/** What the server does in place of its work. */
type Trouble =
  | { readonly kind: 'fail'; readonly error: ShoalError }
  /** Says nothing until the caller gives up. */
  | { readonly kind: 'silent' }
  /** Ends all connections. */
  | { readonly kind: 'die' };

const DATA_BYTES = 256 * 1024;

/**
 * A server of `shoal.control.v1` on a Unix socket that keeps its files and users in memory: for tests of the command
 * line. It can be told to fail, and whether it opens paths itself as a daemon on the same file system does.
 */
export class FakeControlServer {
  readonly socketPath: string;
  readonly catalogue = new FakeCatalogue();
  readonly calls: SeenCall[] = [];
  /** Whether it reads and writes the paths that callers name, where device and inode match. */
  opensPaths = true;
  /** Whether it asks for the end of what it could open, as the daemon does when that is a pipe. */
  confirmsEnd = false;
  /** Progress that every put, get and verify tells of first. */
  progress: Progress[] = [];
  /** How a drain ends; undefined for one that goes on. */
  drained: DrainDone | undefined = { peer: 'peer-1', state: 'draining' };
  /** Bytes that it leaves out at the end of what it sends or writes. */
  withheldBytes = 0;
  /** What a get says came over the network; the whole file when undefined. */
  receivedBytes: number | undefined;
  /** Awaited before it asks for bytes. */
  beforeSendData: () => Promise<void> = () => Promise.resolve();
  /** How many calls the callers gave up. */
  cancelledCalls = 0;
  readonly #server = new Server();
  #isStopped = false;
  readonly #troubles = new Map<string, Trouble>();
  readonly #waiting: { readonly method: string; readonly resolve: () => void }[] = [];

  constructor(socketPath: string) {
    this.socketPath = socketPath;
  }

  async start(): Promise<void> {
    const definition = loadProto(CONTROL_PROTO)['shoal.control.v1.ControlService'] as ServiceDefinition;
    this.#server.addService(definition, { ...this.#unaryHandlers(), ...this.#streamHandlers() });
    await new Promise<void>((resolve, reject) => {
      this.#server.bindAsync(`unix:${this.socketPath}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  /** Ends all connections and takes no more. Idempotent: it may be told to die again and again. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#server.forceShutdown();
  }

  /** The next call of a method, such as `List`, meets this; so does every file of that name in a call about many. */
  trouble(method: string, trouble: Trouble): void {
    this.#troubles.set(method, trouble);
  }

  /** Resolves when a method is called the next time. */
  called(method: string): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ method, resolve }));
  }

  #unaryHandlers(): UntypedServiceImplementation {
    return Object.fromEntries(
      Object.entries(this.catalogue.answers()).map(([method, answer]) => [method, this.#unary(method, answer)]),
    );
  }

  #unary(method: string, answer: Answer): handleUnaryCall<object, object> {
    return (call, callback) => {
      call.on('cancelled', () => {
        this.cancelledCalls += 1;
      });
      try {
        if (!this.#admit(method, call.request, call.metadata)) return;
        callback(null, answer(call.request, bearer(call.metadata)));
      } catch (error) {
        callback(toGrpcError(error));
      }
    };
  }

  #streamHandlers(): UntypedServiceImplementation {
    return {
      Put: (call: PutCall) => this.#run(call, () => this.#put(call)),
      Get: (call: GetCall) => this.#run(call, () => this.#get(call)),
      PutMany: (call: PutManyCall) => this.#run(call, () => this.#putMany(call)),
      GetMany: (call: GetManyCall) => this.#run(call, () => this.#getMany(call)),
      Verify: (call: VerifyCall) => this.#run(call, () => this.#verify(call)),
      Drain: (call: DrainCall) => this.#run(call, () => this.#drain(call)),
    };
  }

  /** Runs a streaming handler; what it throws ends the call. */
  #run(call: PutCall | GetCall | PutManyCall | GetManyCall | VerifyCall | DrainCall, work: () => Promise<void>): void {
    call.on('cancelled', () => {
      this.cancelledCalls += 1;
    });
    work().catch((error: unknown) => {
      if (!call.cancelled) call.emit('error', toGrpcError(error));
    });
  }

  async #put(call: PutCall): Promise<void> {
    // A plain iteration destroys the call at the end of the requests, and the answers with it.
    const requests = call.iterator({ destroyOnReturn: false }) as AsyncIterator<PutRequest__Output>;
    const start = (await requests.next()).value?.start as PutStart__Output | undefined;
    if (!start) throw new ShoalError('invalid', 'the first request is not start');
    if (!this.#admit('Put', start, call.metadata)) return;
    for (const progress of this.progress) call.write({ progress });
    let content = start.source === null ? undefined : await this.#read(start.source);
    if (content === undefined) {
      await this.beforeSendData();
      call.write({ sendData: {} });
      content = await received(requests);
      // A call that was cancelled ends its requests first and is known as cancelled only then.
      await setImmediate();
      if (call.cancelled) return;
    } else if (this.confirmsEnd) {
      call.write({ confirmEnd: {} });
      if (!(await requests.next()).value?.end) throw new ShoalError('invalid', 'the end was not confirmed');
    }
    const file = this.catalogue.publish(start, content, bearer(call.metadata));
    call.write({ done: { file: file.entry, sha256: file.sha256, copies: start.replicas ?? 1 } });
    call.end();
  }

  async #get(call: GetCall): Promise<void> {
    if (!this.#admit('Get', call.request, call.metadata)) return;
    const file = this.catalogue.resolve(call.request.ref, bearer(call.metadata));
    const isOpened = call.request.target !== null && (await this.#matches(call.request.target));
    call.write({ found: { file: file.entry, sha256: file.sha256, streaming: !isOpened } });
    for (const progress of this.progress) call.write({ progress });
    const content = file.content.subarray(0, file.content.length - this.withheldBytes);
    if (isOpened) await writeInto(call.request.target?.path ?? '', content);
    else await sendInPieces(call, content);
    if (this.#troubles.get('GetEnd')?.kind === 'silent') return this.#announce('GetEnd');
    call.write({
      done: { receivedBytes: this.receivedBytes ?? file.content.length, peers: file.content.length === 0 ? 0 : 2 },
    });
    call.end();
  }

  async #putMany(call: PutManyCall): Promise<void> {
    const requests = call.iterator({ destroyOnReturn: false }) as AsyncIterator<PutManyRequest__Output>;
    const start = (await requests.next()).value?.start as PutManyStart__Output | undefined;
    if (!start) throw new ShoalError('invalid', 'the first request has no start');
    if (!this.#admit('PutMany', start, call.metadata)) return;
    for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
      const results = next.value.files.flatMap((file) =>
        this.#answer(file.number, file.name, () => {
          const problem = nameProblem(file.name);
          if (problem !== undefined) throw new ShoalError('invalid', `the name '${file.name}' ${problem}`);
          const published = this.catalogue.publish(
            { ...start, name: file.name, source: null },
            file.data,
            bearer(call.metadata),
          );
          return { done: { file: published.entry, sha256: published.sha256, copies: start.replicas ?? 1 } };
        }),
      );
      // Not in the order asked: nobody promised that.
      call.write({ results: results.reverse() });
    }
    call.end();
  }

  async #getMany(call: GetManyCall): Promise<void> {
    if (!this.#admit('GetMany', undefined, call.metadata)) return;
    const requests = call.iterator({ destroyOnReturn: false }) as AsyncIterator<GetManyRequest__Output>;
    for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
      const results = next.value.files.flatMap(({ number, ref }) => {
        const { entry, content, sha256 } = this.catalogue.resolve(ref, bearer(call.metadata));
        const data = content.subarray(0, content.length - this.withheldBytes);
        const done = { receivedBytes: content.length, peers: 2 };
        return this.#answer(number, entry.name, () => ({ file: { file: entry, sha256, data, done } }));
      });
      call.write({ results: results.reverse() });
    }
    call.end();
  }

  /** One of many answers; none at all for a file that is to be met with silence. */
  #answer<T extends object>(
    number: number,
    name: string,
    answer: () => T,
  ): ((T | { problem: Problem }) & { number: number })[] {
    const trouble = this.#troubles.get(name);
    if (trouble?.kind === 'silent') return [];
    if (trouble?.kind === 'die') this.stop();
    try {
      if (trouble?.kind === 'fail') throw trouble.error;
      return [{ number, ...answer() }];
    } catch (error) {
      const { code, message, hint = '' } = toShoalError(error);
      return [{ number, problem: { code, message, hint } }];
    }
  }

  async #drain(call: DrainCall): Promise<void> {
    if (!this.#admit('Drain', call.request, call.metadata)) return;
    for (const progress of this.progress) call.write({ progress });
    const done = call.request.undo ? { peer: 'peer-1', state: 'live' } : this.drained;
    if (done === undefined) return;
    call.write({ done });
    call.end();
  }

  async #verify(call: VerifyCall): Promise<void> {
    if (!this.#admit('Verify', call.request, call.metadata)) return;
    const file: FakeFile = this.catalogue.resolve(call.request.ref, bearer(call.metadata));
    for (const progress of this.progress) call.write({ progress });
    call.write({ done: { id: file.entry.id, chunks: file.chunks, damaged: file.damagedChunks } });
    call.end();
  }

  /** Notes a call. False when the caller is to wait for ever; throws what was ordered. */
  #admit(method: string, request: unknown, metadata: Metadata): boolean {
    const authorization = metadata.get('authorization')[0]?.toString();
    this.calls.push({ method, request, authorization });
    this.#announce(method);
    const trouble = this.#troubles.get(method);
    if (trouble === undefined) return true;
    this.#troubles.delete(method);
    if (trouble.kind === 'fail') throw trouble.error;
    if (trouble.kind === 'die') this.stop();
    return false;
  }

  #announce(method: string): void {
    for (const waiter of this.#waiting) if (waiter.method === method) waiter.resolve();
  }

  async #read(source: LocalPath__Output): Promise<Buffer | undefined> {
    return (await this.#matches(source)) ? readFile(source.path) : undefined;
  }

  async #matches({ path, device, inode }: LocalPath__Output): Promise<boolean> {
    if (!this.opensPaths) return false;
    const found = await stat(path, { bigint: true });
    return String(found.dev) === device && String(found.ino) === inode;
  }
}

type PutCall = ServerDuplexStream<PutRequest__Output, PutResponse>;
type PutManyCall = ServerDuplexStream<PutManyRequest__Output, PutManyResponse>;
type GetManyCall = ServerDuplexStream<GetManyRequest__Output, GetManyResponse>;
type GetCall = ServerWritableStream<GetRequest__Output, GetResponse>;
type VerifyCall = ServerWritableStream<{ readonly ref: string }, VerifyResponse>;
type DrainCall = ServerWritableStream<DrainRequest__Output, DrainResponse>;

function bearer(metadata: Metadata): string | undefined {
  return /^Bearer (.*)$/.exec(metadata.get('authorization')[0]?.toString() ?? '')?.[1];
}

async function received(requests: AsyncIterator<PutRequest__Output>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
    pieces.push(next.value.data ?? Buffer.alloc(0));
  }
  return Buffer.concat(pieces);
}

async function writeInto(path: string, content: Buffer): Promise<void> {
  // Not truncated and not created: the caller made it.
  const file = await open(path, 'r+');
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

async function sendInPieces(call: GetCall, content: Buffer): Promise<void> {
  for (let at = 0; at < content.length && !call.cancelled; at += DATA_BYTES) {
    const isTaken = call.write({ data: content.subarray(at, at + DATA_BYTES) });
    if (!isTaken) await Promise.race([once(call, 'drain'), once(call, 'cancelled')]);
  }
}
