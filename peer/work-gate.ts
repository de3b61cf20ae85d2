import { ShoalError } from '../common/errors.js';

/** Whether this peer takes files to keep: publishes, uploads and copies for the swarm. A peer that leaves does not. */
export class WorkGate {
  #isOpen = true;

  get isOpen(): boolean {
    return this.#isOpen;
  }

  open(): void {
    this.#isOpen = true;
  }

  close(): void {
    this.#isOpen = false;
  }

  /** Throws `unavailable` while it is closed. */
  check(): void {
    if (this.#isOpen) return;
    throw new ShoalError('unavailable', 'this peer is draining and takes no new files', {
      hint: 'publish through another peer; to take the drain back, here: shoal drain --undo',
    });
  }
}
