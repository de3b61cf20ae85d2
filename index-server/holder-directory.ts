import type { Holder } from './api/files.js';
import type { Catalog } from './catalog.js';
import type { PeerDirectory } from './peer-directory.js';

/** Peers that went longer ago than this are not expected back by those who wait for a file. */
const AWAY_MS = 600_000;
/** Peers that went and are told. */
const AWAY_TOLD = 8;

/** What {@link HolderDirectory} needs. `random` gives numbers from 0 up to, not including, 1. */
export interface HolderDirectoryDeps {
  readonly catalog: Catalog;
  readonly directory: PeerDirectory;
  now(): number;
  random(): number;
}

/** Whom to fetch a file from. */
export class HolderDirectory {
  readonly #deps: HolderDirectoryDeps;

  constructor(deps: HolderDirectoryDeps) {
    this.#deps = deps;
  }

  /**
   * At most `limit` peers that hold a file and can be asked for it now, never `exceptPeer`. Those that are leaving are
   * named only where nobody else has all of it: they may still answer, and there is no better hope.
   */
  async of(id: string, limit: number, exceptPeer?: string): Promise<readonly Holder[]> {
    const { catalog, directory, now, random } = this.#deps;
    const { gone, draining } = await directory.unfit();
    const never = exceptPeer === undefined ? gone : [...gone, exceptPeer];
    const at = { now: now(), limit, random: random() };
    const holders = await catalog.holders(id, { ...at, except: [...never, ...draining] });
    if (draining.length === 0 || holders.some(({ complete }) => complete)) return holders;
    return catalog.holders(id, { ...at, except: never });
  }

  /** Peers that hold all of a file and are not here now, but were a short while ago; a few of them, in order of name. */
  async away(id: string): Promise<readonly string[]> {
    const { catalog, directory, now } = this.#deps;
    const since = now() - AWAY_MS;
    const went = (await directory.gone()).filter(({ leaseUntil }) => leaseUntil > since);
    if (went.length === 0) return [];
    const holders = await catalog.completeAmong(
      id,
      went.map(({ name }) => name),
    );
    return [...holders].sort().slice(0, AWAY_TOLD);
  }
}
