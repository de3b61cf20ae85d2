import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { SwarmFigures, SwarmOptions, SwarmStart } from './peer-swarm.js';

/** What the process of a swarm is told. */
export type SwarmCommand = { readonly kind: 'start'; readonly options: SwarmOptions } | { readonly kind: 'figures' };

/** What it tells. */
export type SwarmMessage =
  | { readonly kind: 'started'; readonly start: SwarmStart }
  | { readonly kind: 'figures'; readonly figures: SwarmFigures }
  | { readonly kind: 'failed'; readonly reason: string };

/** A {@link PeerSwarm} in a process of its own. */
export class SwarmChild {
  readonly #child: ChildProcess;
  readonly #waiting: ((message: SwarmMessage) => void)[] = [];
  #failure: Error | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: SwarmMessage) => {
      if (message.kind === 'failed') this.#fail(message.reason);
      else this.#waiting.shift()?.(message);
    });
    child.on('exit', (code) => this.#fail(`its process ended with exit code ${code}`));
  }

  /** Resolves when every peer has joined and announced what it holds. */
  static async start(options: SwarmOptions): Promise<{ readonly swarm: SwarmChild; readonly start: SwarmStart }> {
    const swarm = new SwarmChild(fork(fileURLToPath(new URL('swarm-process.js', import.meta.url))));
    try {
      const message = await swarm.#ask({ kind: 'start', options });
      if (message.kind !== 'started') throw new Error(`the swarm said '${message.kind}' to a start`);
      return { swarm, start: message.start };
    } catch (error) {
      await swarm.stop();
      throw error;
    }
  }

  /** What happened since it was last asked. Rejects when any request of a peer failed. */
  async figures(): Promise<SwarmFigures> {
    const message = await this.#ask({ kind: 'figures' });
    if (message.kind !== 'figures') throw new Error(`the swarm said '${message.kind}' where figures were asked for`);
    return message.figures;
  }

  /** Ends the process. The peers are gone without a word, as when a machine dies. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exit;
  }

  async #ask(command: SwarmCommand): Promise<SwarmMessage> {
    const message = await new Promise<SwarmMessage>((resolve) => {
      this.#waiting.push(resolve);
      if (this.#failure === undefined) this.#child.send(command);
      else resolve({ kind: 'failed', reason: '' });
    });
    if (this.#failure !== undefined) throw this.#failure;
    return message;
  }

  #fail(reason: string): void {
    this.#failure ??= new Error(`a request of the peers failed: ${reason}`);
    for (const resolve of this.#waiting.splice(0)) resolve({ kind: 'failed', reason });
  }
}
