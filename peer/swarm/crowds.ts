import { ShoalError } from '../../common/errors.js';
import { SentChunks } from './send-queue.js';

/*
 * Who is getting which file from this peer. The receivers of one file are a crowd: each is sent something else, and told
 * of the others. Pure: no sockets, no clock.
 */

/** Receivers of a file that is not complete here itself. */
const MOST_RECEIVERS = 48;
/** Peers that a receiver is told of. */
const PEERS_TOLD = 24;

/** One receiver's place in the crowd of a file. */
export interface Place {
  /** What was sent to any of the crowd. */
  readonly sent: SentChunks;
  /** Names of others in the crowd, those who came last: their neighbours are fewest. */
  others(): string[];
  /** The receiver is gone. To be called once. */
  leave(): void;
}

interface Crowd {
  readonly sent: SentChunks;
  /** By their places, the names that they gave. */
  readonly receivers: Map<Place, string>;
}

/** The crowds of all files. */
export class Crowds {
  /** By file id, while it has receivers. */
  readonly #crowds = new Map<string, Crowd>();

  /** Takes in a receiver by the name that it gave. Throws `exhausted` when the file is not complete and has many. */
  join(
    file: { readonly id: string; readonly chunkCount: number; readonly isComplete: boolean },
    receiver: string,
  ): Place {
    const crowd = this.#crowds.get(file.id) ?? { sent: new SentChunks(file.chunkCount), receivers: new Map() };
    // Each of them is told of every chunk that comes here: beyond some, others can do that better.
    if (!file.isComplete && crowd.receivers.size >= MOST_RECEIVERS) {
      throw new ShoalError('exhausted', `this peer is still fetching the file and serves ${MOST_RECEIVERS} others`);
    }
    const place: Place = {
      sent: crowd.sent,
      others: () => othersIn(crowd, receiver),
      leave: () => {
        crowd.receivers.delete(place);
        if (crowd.receivers.size === 0) this.#crowds.delete(file.id);
      },
    };
    crowd.receivers.set(place, receiver);
    this.#crowds.set(file.id, crowd);
    return place;
  }
}

function othersIn({ receivers }: Crowd, self: string): string[] {
  const names = new Set([...receivers.values()].filter((name) => name !== self));
  return [...names].slice(-PEERS_TOLD);
}
