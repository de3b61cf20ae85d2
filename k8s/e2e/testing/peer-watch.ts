import { setTimeout as pause } from 'node:timers/promises';
import type { PeerRow, Release } from './release.js';

const LOOK_EVERY_MS = 50;
const GIVE_UP_MS = 30_000;

/** Asks the index of a release for its peers, many times a second: `shoal peers` asks it the same. */
export class PeerWatch {
  readonly #url: string;
  readonly #token: string;
  readonly stop: () => Promise<void>;

  private constructor(url: string, token: string, stop: () => Promise<void>) {
    this.#url = url;
    this.#token = token;
    this.stop = stop;
  }

  static async open(release: Release): Promise<PeerWatch> {
    const { url, stop } = await release.portForward(`service/${release.name}-index`, 5000);
    return new PeerWatch(url, await session(url), stop);
  }

  async peers(): Promise<readonly PeerRow[]> {
    const response = await fetch(`${this.#url}/api/v1/peers`, { headers: { authorization: `Bearer ${this.#token}` } });
    if (!response.ok) throw new Error(`the index answers ${response.status}: ${await response.text()}`);
    return ((await response.json()) as { peers: PeerRow[] }).peers;
  }

  /** Does something to a peer and resolves to how many milliseconds after its beginning the peer was no longer live. */
  async timeUntilGone(peer: string, strike: () => Promise<void>): Promise<number> {
    const start = performance.now();
    const striking = strike();
    for (;;) {
      const row = (await this.peers()).find(({ name }) => name === peer);
      const tookMs = performance.now() - start;
      if (row?.state !== 'live') {
        await striking;
        return tookMs;
      }
      if (tookMs > GIVE_UP_MS) throw new Error(`${peer} is still live after ${GIVE_UP_MS / 1000} s`);
      await pause(LOOK_EVERY_MS);
    }
  }
}

/** A new account's session; its name is random, so that stories can be told again. */
export async function session(indexUrl: string): Promise<string> {
  const username = `watcher-${Math.random().toString(36).slice(2)}`;
  const response = await fetch(`${indexUrl}/api/v1/accounts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password: 'correct horse' }),
  });
  if (!response.ok) throw new Error(`the index registers nobody: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { token: string }).token;
}
