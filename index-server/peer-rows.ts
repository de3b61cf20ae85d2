import type { PeerRow } from './catalog.js';

/** A read of the store that is under way, with what was written here since it began: it may have missed that. */
export interface PeerRead {
  readonly number: number;
  readonly noted: Map<string, PeerRow>;
}

/**
 * The rows of all peers in order of name: what the store told, and since then what this server wrote itself. So the store
 * need not be read again whenever a peer comes or goes, which with thousands of them is all the time. Lists are never
 * changed once given out.
 */
export class PeerRows {
  #list: readonly PeerRow[] = [];
  #version = 0;
  #reads = 0;
  #taken = 0;
  readonly #underWay = new Set<PeerRead>();

  get list(): readonly PeerRow[] {
    return this.#list;
  }

  /** Changes when a peer comes, goes, or is another than before; not when only its lease and its figures do. */
  get version(): number {
    return this.#version;
  }

  /** The store is about to be read. */
  beginRead(): PeerRead {
    const read = { number: ++this.#reads, noted: new Map<string, PeerRow>() };
    this.#underWay.add(read);
    return read;
  }

  /** It was read: `rows`, in order of name; undefined when that failed. */
  endRead(read: PeerRead, rows: readonly PeerRow[] | undefined): void {
    this.#underWay.delete(read);
    // A read that began later and ended sooner knows more.
    if (rows === undefined || read.number < this.#taken) return;
    this.#taken = read.number;
    this.#list = rows;
    this.#version += 1;
    for (const row of read.noted.values()) this.#put(row);
  }

  /** This server wrote the row. */
  note(row: PeerRow): void {
    for (const { noted } of this.#underWay) noted.set(row.name, row);
    this.#put(row);
  }

  #put(row: PeerRow): void {
    const at = this.#placeOf(row.name);
    const known = this.#list[at];
    if (known?.name !== row.name) {
      this.#list = this.#list.toSpliced(at, 0, row);
      this.#version += 1;
      return;
    }
    // The answers to two writes may come in another order than the writes: an earlier process of the name is not taken back.
    if (row.incarnation !== known.incarnation && row.leaseUntil < known.leaseUntil) return;
    this.#list = this.#list.with(at, row);
    const isSame = row.incarnation === known.incarnation && row.state === known.state && row.address === known.address;
    if (!isSame) this.#version += 1;
  }

  #placeOf(name: string): number {
    let [low, high] = [0, this.#list.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#list[middle]?.name ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
