import { open, readFile, rename } from 'node:fs/promises';
import { z } from 'zod';
import type { Logger } from '../common/log.js';
import type { PublicKey } from '../index-server/api/peers.js';

const memorySchema = z.object({
  keys: z.array(z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string(), kid: z.string() })),
  swarmToken: z.string(),
  peers: z.array(z.object({ name: z.string(), address: z.string() })),
});

/** What a peer needs to serve and fetch when it starts while the index is away. */
export interface KnownSwarm {
  readonly keys: readonly PublicKey[];
  readonly swarmToken: string;
  readonly peers: readonly { readonly name: string; readonly address: string }[];
}

/** Keeps a {@link KnownSwarm} in a file that only its owner may read. */
export class MembershipMemory {
  readonly #log: Logger;
  readonly #path: string;

  constructor(deps: { readonly log: Logger }, options: { readonly path: string }) {
    this.#log = deps.log;
    this.#path = options.path;
  }

  /** What was saved last; undefined when there is nothing, or nothing that can be read. */
  async load(): Promise<KnownSwarm | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    try {
      return memorySchema.parse(JSON.parse(text));
    } catch (error) {
      // Joining brings all of it again, so a damaged file is no reason not to start.
      this.#log.warn({ path: this.#path, error }, 'what was known of the swarm cannot be read');
      return undefined;
    }
  }

  /** Replaces what was saved, whole or not at all. */
  async save(known: KnownSwarm): Promise<void> {
    const draft = `${this.#path}.new`;
    const file = await open(draft, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(known));
    } finally {
      await file.close();
    }
    await rename(draft, this.#path);
  }
}
