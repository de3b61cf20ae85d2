import { ShoalError } from '../../common/errors.js';
import type { Open__Output } from '../../proto/gen/shoal/peer/v1/Open.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import type { CallOutcomes } from './call-outcomes.js';
import { Crowds, type Place } from './crowds.js';
import { ExchangeSession } from './exchange-server.js';
import type { ExchangeStream } from './exchange-stream.js';
import type { Fetch } from './fetch.js';
import type { FileAccess, ReadableFile } from './file-access.js';
import type { TransferObserver } from './transfer-observer.js';

/*
 * All Exchanges that this peer serves. Flow of one: its first request is `open`, which says who calls and about which
 * file; the receiver gets a place in the crowd of that file and a session; every further request goes to the session. One
 * exchange ends once, from whichever side: then its session and its place go.
 */

/** A receiver that wants nothing for this long while this peer leaves is told goodbye. */
const QUIET_MS = 3_000;

/** What exchanges need of the rest of the peer. */
export interface ExchangeServiceDeps {
  readonly access: FileAccess;
  /** The fetch of a file that is under way, if any. */
  readonly activeFetch: (id: string) => Fetch | undefined;
  /** A peer opened an Exchange about a file: if it is being fetched here too, that peer may have some of it. */
  readonly noteNeighbour: (id: string, peer: string) => void;
  readonly buffers: BufferPool;
  readonly observer: Pick<TransferObserver, 'sentBytes' | 'refusedChunk' | 'serving'>;
  readonly outcomes: CallOutcomes;
  /** Fires when this peer begins to leave: nobody new is served. */
  readonly leaving: AbortSignal;
}

/** What there is of an exchange once it is open. */
interface Served {
  readonly session: ExchangeSession;
  readonly place: Place;
  readonly end: () => void;
}

/** Serves Exchanges, whichever way they come in. */
export class ExchangeService {
  readonly #deps: ExchangeServiceDeps;
  readonly #crowds = new Crowds();
  readonly #served = new Map<ExchangeStream, Served>();

  constructor(deps: ExchangeServiceDeps) {
    this.#deps = deps;
  }

  /** Receivers that are served now. */
  get count(): number {
    return this.#served.size;
  }

  /** Serves one exchange to its end. Never rejects: what fails is told to the caller. */
  async serve(stream: ExchangeStream): Promise<void> {
    let isEnded = false;
    const end = (failure?: unknown) => {
      if (isEnded) return;
      isEnded = true;
      this.#dismiss(stream);
      this.#deps.outcomes.note('Exchange', failure);
      stream.end(failure);
    };
    stream.onCancelled((error) => end(error ?? new ShoalError('cancelled', 'cancelled by the caller')));
    try {
      let session: ExchangeSession | undefined;
      // Requests are handled one after the other, so that what follows `open` waits until it is answered.
      for await (const request of stream.requests) {
        if (isEnded) return;
        if (session !== undefined) {
          session.handle(request);
          continue;
        }
        if (!request.open) throw new ShoalError('invalid', 'the first request of an exchange must be open');
        const caller = await this.#deps.access.caller(stream.authorization);
        const readable = await this.#deps.access.readable(caller, request.open.fileId);
        if (isEnded) return;
        session = this.#admit(readable, request.open, { stream, end });
      }
      end();
    } catch (error) {
      end(error);
    }
  }

  /**
   * Says goodbye to each receiver as soon as it wants nothing for a while, and to all who are left when `lastCall`
   * resolves. Resolves when all have been sent what they had asked for.
   */
  async sayGoodbye(reason: string, lastCall: Promise<void>): Promise<void> {
    const goodbyes = [...this.#served.values()].map(async ({ session, end }) => {
      await Promise.race([session.quiet(QUIET_MS), lastCall]);
      await session.leave(reason);
      end();
    });
    await Promise.allSettled(goodbyes);
  }

  #admit(
    { file, isPublic }: ReadableFile,
    open: Open__Output,
    { stream, end }: { readonly stream: ExchangeStream; readonly end: () => void },
  ): ExchangeSession {
    const { observer, buffers, activeFetch, noteNeighbour, leaving } = this.#deps;
    // It came before the doors closed, and nobody would say goodbye to it.
    leaving.throwIfAborted();
    const { manifest, isComplete } = file;
    const place = this.#crowds.join({ id: manifest.id, chunkCount: manifest.chunkCount, isComplete }, open.peer);
    let session: ExchangeSession;
    try {
      session = new ExchangeSession({
        file,
        open,
        sent: place.sent,
        receiverTold: (chunk) => activeFetch(open.fileId)?.hasTold(open.peer, chunk) ?? false,
        stream: stream.answers,
        buffers,
        observer: {
          sentChunk: (bytes) => observer.sentBytes('exchange', bytes),
          refusedChunk: () => observer.refusedChunk(),
        },
      });
    } catch (error) {
      place.leave();
      throw error;
    }
    this.#served.set(stream, { session, place, end });
    observer.serving('exchange', 1);
    session.start(open, { records: isPublic ? file.records : [], peers: place.others() });
    noteNeighbour(open.fileId, open.peer);
    return session;
  }

  /** Frees what an exchange has, if it was ever opened. */
  #dismiss(stream: ExchangeStream): void {
    const served = this.#served.get(stream);
    if (served === undefined) return;
    this.#served.delete(stream);
    served.session.close();
    served.place.leave();
    this.#deps.observer.serving('exchange', -1);
  }
}
