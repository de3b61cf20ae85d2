import { type ShoalError, toShoalError } from '../../common/errors.js';
import type { StoredFile } from '../stored-file.js';
import type { ChunkPicker } from './chunk-picker.js';
import type { ExchangeDialer } from './exchange-dialer.js';
import type { FetchObserver } from './fetch.js';

/*
 * What becomes of a chunk that came: its bytes are held while they are verified and written, the picker hears of it, and
 * then their memory is given back. Many are on their way at once.
 */

/** What an intake tells its fetch. */
export interface ChunkIntakeListener {
  /** A neighbour's chunk is verified and here; `isNew` is false when it was here before. */
  onKept(name: string, chunk: number, isNew: boolean): void;
  /** What a neighbour sent are not the bytes of this chunk. */
  onWrong(name: string, chunk: number): void;
  /** A chunk could not be written, through no fault of a peer: `exhausted` when the disk is full. */
  onFailed(error: ShoalError): void;
}

/** What an intake needs. */
export interface ChunkIntakeDeps {
  readonly file: Pick<StoredFile, 'writeChunk'>;
  readonly picker: Pick<ChunkPicker, 'arrived'>;
  /** Who gave the bytes their memory. */
  readonly exchanges: Pick<ExchangeDialer, 'keep' | 'giveBack'>;
  readonly observer: Pick<FetchObserver, 'chunk' | 'firstByte'>;
  readonly listener: ChunkIntakeListener;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
  /** Fires when the fetch is over: what comes after that is not kept. */
  readonly signal: AbortSignal;
}

/** Takes in the chunks of one fetch. */
export class ChunkIntake {
  readonly #deps: ChunkIntakeDeps;
  readonly #startedAtMs: number;
  readonly #writes = new Set<Promise<void>>();
  /** A chunk that was missing has come. */
  #hasNew = false;

  /** `startedAtMs` is when the fetch began, by the same clock. */
  constructor(deps: ChunkIntakeDeps, options: { readonly startedAtMs: number }) {
    this.#deps = deps;
    this.#startedAtMs = options.startedAtMs;
  }

  /** Takes a whole chunk, in one part or several; they are given back when it is dealt with. */
  take(name: string, chunk: number, parts: readonly Buffer[]): void {
    this.#deps.exchanges.keep(parts);
    const write = this.#keep(name, chunk, parts).finally(() => {
      this.#writes.delete(write);
      this.#deps.exchanges.giveBack(parts);
    });
    this.#writes.add(write);
  }

  /** Resolves when nothing is being written of what was taken so far. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#writes);
  }

  async #keep(name: string, chunk: number, parts: readonly Buffer[]): Promise<void> {
    const { file, picker, observer, listener, signal } = this.#deps;
    if (signal.aborted) return;
    try {
      const isNew = await file.writeChunk(chunk, parts.length === 1 && parts[0] !== undefined ? parts[0] : parts);
      const arrival = picker.arrived(name, chunk);
      observer.chunk(isNew && arrival === 'new' ? 'ok' : 'duplicate');
      if (isNew) this.#noteFirst();
      listener.onKept(name, chunk, isNew);
    } catch (error) {
      const failure = toShoalError(error);
      if (failure.code === 'corrupt') {
        observer.chunk('corrupt');
        listener.onWrong(name, chunk);
      } else {
        listener.onFailed(failure);
      }
    }
  }

  #noteFirst(): void {
    if (this.#hasNew) return;
    this.#hasNew = true;
    this.#deps.observer.firstByte((this.#deps.now() - this.#startedAtMs) / 1000);
  }
}
