import type { PeerRow } from './catalog.js';

/** A read of the store that is under way, with what was written here since it began: it may have missed that. */
export interface PeerRead {
  readonly number: number;
  readonly noted: Map<string, PeerRow>;
}

/**
 * The rows of all peers in order of name: what the store told, and since then what this server wrote itself. So the store
 * need not be read again whenever a peer comes or goes, which with thousands of them is all the time. A list is made when
 * it is asked for after a change, since with thousands there is a heartbeat every few milliseconds; it is never changed
 * once given out.
 */
export class PeerRows {
  #byName = new Map<string, PeerRow>();
  /** In order. */
  #names: string[] = [];
  #list: readonly PeerRow[] | undefined;
  #version = 0;
  #reads = 0;
  #taken = 0;
  readonly #underWay = new Set<PeerRead>();

  get list(): readonly PeerRow[] {
    this.#list ??= this.#names.flatMap((name) => this.#byName.get(name) ?? []);
    return this.#list;
  }

  /** How many there are. */
  get size(): number {
    return this.#names.length;
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
    this.#byName = new Map(rows.map((row) => [row.name, row]));
    this.#names = rows.map(({ name }) => name);
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
    const known = this.#byName.get(row.name);
    // The answers to two writes may come in another order than the writes: an earlier process of the name is not taken back.
    if (known !== undefined && row.incarnation !== known.incarnation && row.leaseUntil < known.leaseUntil) return;
    this.#byName.set(row.name, row);
    this.#list = undefined;
    if (known === undefined) this.#names.splice(this.#placeOf(row.name), 0, row.name);
    const isSame = row.incarnation === known?.incarnation && row.state === known.state && row.address === known.address;
    if (!isSame) this.#version += 1;
  }

  #placeOf(name: string): number {
    let [low, high] = [0, this.#names.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
