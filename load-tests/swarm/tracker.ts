import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Lab } from './lab.js';
import { HUB_ADDRESS } from './lab-plan.js';
import { trackerAnswer } from './torrent.js';

/** BitTorrent's usual port; each node has an address of its own. */
export const TORRENT_PORT = 6881;

const INTERVAL_SECONDS = 1;
/** Whoever comes first waits so long for the others, so that everybody knows everybody from the first answer on. */
const GATHER_MS = 400;

/**
 * A tracker where nothing is shaped. It knows the nodes of a lab by their addresses for control, and tells their
 * addresses on the shaped network.
 */
export class Tracker {
  readonly #server: Server;
  readonly #lab: Lab;
  readonly #expected: number;
  readonly #present = new Set<number>();
  #waiting: { readonly number: number; readonly response: ServerResponse }[] = [];
  #timer: NodeJS.Timeout | undefined;

  private constructor(lab: Lab, expected: number) {
    this.#lab = lab;
    this.#expected = expected;
    this.#server = createServer((request, response) => {
      const from = request.socket.remoteAddress ?? '';
      const number = lab.nodes.findIndex(({ controlAddress }) => from.endsWith(controlAddress));
      this.#asked(number, response);
    });
  }

  /** `expected` nodes begin at about the same time. */
  static async start(lab: Lab, expected: number): Promise<Tracker> {
    const tracker = new Tracker(lab, expected);
    tracker.#server.listen(0, HUB_ADDRESS);
    await once(tracker.#server, 'listening');
    return tracker;
  }

  get url(): string {
    return `http://${HUB_ADDRESS}:${(this.#server.address() as AddressInfo).port}/announce`;
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #asked(number: number, response: ServerResponse): void {
    this.#present.add(number);
    this.#waiting.push({ number, response });
    if (this.#present.size >= this.#expected) this.#answer();
    else this.#timer ??= setTimeout(() => this.#answer(), GATHER_MS);
  }

  #answer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { number, response } of this.#waiting) {
      const others = [...this.#present].filter((other) => other !== number);
      const peers = others.flatMap((other) => this.#lab.nodes[other] ?? []);
      const told = peers.map(({ address }) => ({ address, port: TORRENT_PORT }));
      response.end(trackerAnswer(told, INTERVAL_SECONDS));
    }
    this.#waiting = [];
  }
}
