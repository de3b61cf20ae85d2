import { setImmediate as turn } from 'node:timers/promises';
import { Deferred } from '../../common/deferred.js';
import { inBatches } from '../small-files.js';

/** Gathers answers: what is there in the same turn of the event loop, or while earlier ones are sent, goes together. */
export class AnswerQueue<R> {
  readonly #send: (answers: R[]) => Promise<void>;
  readonly #bytesOf: (answer: R) => number;
  #waiting: { readonly answer: R; readonly sent: Deferred<void> }[] = [];
  #isSending = false;

  /** `send` resolves when there is room for more. */
  constructor(send: (answers: R[]) => Promise<void>, options: { readonly bytesOf: (answer: R) => number }) {
    this.#send = send;
    this.#bytesOf = options.bytesOf;
  }

  /** Resolves when the answer was taken; rejects with what became of sending it. */
  push(answer: R): Promise<void> {
    const sent = new Deferred<void>();
    this.#waiting.push({ answer, sent });
    if (!this.#isSending) void this.#sendAll();
    return sent.promise;
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    await turn();
    while (this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const batch of inBatches(waiting, ({ answer }) => this.#bytesOf(answer))) {
        try {
          await this.#send(batch.map(({ answer }) => answer));
          for (const { sent } of batch) sent.resolve();
        } catch (error) {
          for (const { sent } of batch) sent.reject(error as Error);
        }
      }
    }
    this.#isSending = false;
  }
}
