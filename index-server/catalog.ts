/*
 * What the index remembers, as one interface with two implementations (MongoDB, embedded SQLite) and one contract
 * suite that both pass. The catalog stores and queries; it never decides who may do what, signs nothing, and reads no
 * clock: times come in as milliseconds since 1970.
 *
 * A name belongs to an owner and has versions 1, 2, 3...; the newest is the *current* one, and only current versions
 * are listed and found. Older ones are reached by id. One id may stand behind several names (the same content twice).
 */

/** A user. `passwordHash` is null for an account that nobody can log in to. */
export interface UserRow {
  /** Given once and never changed; neither `*` nor with a slash, a bar or a control character in it. */
  readonly id: string;
  readonly name: string;
  readonly passwordHash: string | null;
  /** A locked account keeps its name and files and lets nobody in. */
  readonly locked: boolean;
  readonly createdAt: number;
}

/** A session; the token itself is never stored, only its SHA-256. */
export interface SessionRow {
  readonly tokenHash: string;
  readonly userId: string;
  readonly expiresAt: number;
}

/** Where a user's files are offered in the flows that the original's users know: the peer address given at login. */
export interface UserSeatRow {
  readonly userId: string;
  /** host:port of the peer. */
  readonly url: string;
}

/** One version of a name. */
export interface FileRow {
  readonly id: string;
  readonly ownerId: string;
  /** Owner's name when it was published; names of users do not change. */
  readonly owner: string;
  readonly name: string;
  /** From 1. */
  readonly version: number;
  readonly size: number;
  readonly sha256: string;
  readonly chunkSize: number;
  readonly chunks: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly visibility: 'public' | 'private';
  /** User ids, the owner left out; empty for public files. */
  readonly readers: readonly string[];
  readonly replicas: number;
  readonly publishedAt: number;
  /** Signed form of all this, made by the caller. */
  readonly record: string;
}

/** What listings show of a file. */
export type ListedFile = Pick<FileRow, 'id' | 'name' | 'owner' | 'size' | 'tags' | 'visibility' | 'publishedAt'>;

/** Proof that `version` of a name and all below it are gone; signed. */
export interface TombstoneRow {
  readonly ownerId: string;
  readonly name: string;
  readonly version: number;
  /** The content of that version. */
  readonly id: string;
  /** Versions published later are not meant. */
  readonly removedAt: number;
  readonly record: string;
  /** True when the versions below it are not meant. */
  readonly only?: boolean;
}

/** A peer as it last told of itself. Live = not withdrawn and `leaseUntil` in the future. */
export interface PeerRow {
  readonly name: string;
  readonly address: string;
  readonly version: string;
  readonly incarnation: string;
  readonly state: 'live' | 'draining' | 'withdrawn';
  readonly leaseUntil: number;
  readonly files: number;
  readonly bytesUsed: number;
  readonly bytesFree: number;
}

/** What a heartbeat changes. */
export type Heartbeat = Pick<PeerRow, 'name' | 'incarnation' | 'leaseUntil' | 'files' | 'bytesUsed' | 'bytesFree'> & {
  readonly state: 'live' | 'draining';
};

/** Who holds what. */
export interface HoldingRow {
  readonly id: string;
  readonly peer: string;
  readonly complete: boolean;
}

/** Something a peer should do: `replicate`, `drop` or `update` a file. One per peer, file and kind. */
export interface OrderRow {
  readonly peer: string;
  readonly id: string;
  readonly kind: 'replicate' | 'drop' | 'update';
  readonly createdAt: number;
}

/** The user for whom a query is answered: sees public files, their own, and those shared with them. */
export interface Reader {
  readonly userId: string;
}

/**
 * One page of a query, full unless it is the last. `next` is opaque and null at the end; while rows come and go, those
 * that stay are each on one page exactly.
 */
export interface Page<T> {
  readonly rows: readonly T[];
  readonly next: string | null;
}

/** How a listing is narrowed; everything given must match. */
export interface ListFilter {
  readonly prefix?: string;
  /** KEY=VALUE, all must match. */
  readonly tags?: readonly string[];
  readonly ownerId?: string;
}

/** Where a page begins and how long it is. A token that was not made by the same catalog for the same query is `invalid`. */
export interface PageRequest {
  readonly limit: number;
  readonly token?: string;
}

/** What can be changed of a published version without publishing again. */
export interface FilePatch {
  readonly tags: Readonly<Record<string, string>>;
  readonly visibility: 'public' | 'private';
  readonly readers: readonly string[];
  readonly replicas: number;
  readonly record: string;
}

/** Users, their sessions and seats. */
export type AccountCatalog = Pick<
  Catalog,
  | 'createUser'
  | 'userByName'
  | 'usersById'
  | 'setPassword'
  | 'createSession'
  | 'session'
  | 'deleteSession'
  | 'deleteSessionsOf'
  | 'setSeat'
  | 'seat'
  | 'deleteSeat'
>;

/** What changes files. */
export type PublishingCatalog = Pick<
  Catalog,
  'publish' | 'patch' | 'removeName' | 'removeVersion' | 'restore' | 'restoreTombstones'
>;

/** What finds files. */
export type FindingCatalog = Pick<
  Catalog,
  | 'current'
  | 'versionsWithId'
  | 'visibleWithName'
  | 'tombstonesOf'
  | 'list'
  | 'search'
  | 'knownIds'
  | 'removedIds'
  | 'allVersionsWithId'
  | 'recordsWithIds'
>;

/** Peers and their orders. */
export type PeerCatalog = Pick<
  Catalog,
  | 'putPeer'
  | 'heartbeat'
  | 'peer'
  | 'peerByAddress'
  | 'peers'
  | 'withdrawPeer'
  | 'forgetPeers'
  | 'addOrders'
  | 'ordersFor'
  | 'copiesOrdered'
  | 'deleteOrders'
>;

/** Who holds what. */
export type HoldingCatalog = Pick<
  Catalog,
  'hold' | 'release' | 'beginFull' | 'endFull' | 'holders' | 'completeAmong' | 'holdingsOf'
>;

/**
 * The store of the index. See open-catalog.ts for how to get one. Every method may throw `unavailable` when the store
 * does not answer, and `cancelled` never: calls are short. Writes that were answered survive any crash; soft state (peers,
 * orders, holdings) survives that of the process, and may lose its last seconds when the machine goes down. Several index
 * servers may use one MongoDB at the same time.
 */
export interface Catalog {
  /** Opens the store and makes its indexes. Idempotent. */
  open(): Promise<void>;
  close(): Promise<void>;
  /** Throws `unavailable` when the store does not answer now. */
  ping(): Promise<void>;

  // Accounts
  /** Throws `conflict` when the name (names differ by more than case) or the id is taken. */
  createUser(user: UserRow): Promise<void>;
  /** Whatever the case of `name`. */
  userByName(name: string): Promise<UserRow | undefined>;
  /** Those that exist, in any order. */
  usersById(ids: readonly string[]): Promise<readonly UserRow[]>;
  /** Throws `not_found` when there is no such user. */
  setPassword(userId: string, passwordHash: string): Promise<void>;
  createSession(session: SessionRow): Promise<void>;
  /** Undefined for unknown and expired ones. */
  session(tokenHash: string, now: number): Promise<SessionRow | undefined>;
  deleteSession(tokenHash: string): Promise<void>;
  /** Ends the sessions of a user, except one. Returns how many. */
  deleteSessionsOf(userId: string, exceptTokenHash?: string): Promise<number>;
  /** Removes expired sessions, and what is remembered of versions gone since before `tombstonesBefore`. */
  sweep(now: number, tombstonesBefore: number): Promise<void>;
  /** Adds or replaces. */
  setSeat(seat: UserSeatRow): Promise<void>;
  seat(userId: string): Promise<UserSeatRow | undefined>;
  deleteSeat(userId: string): Promise<void>;

  // Files
  /**
   * Makes a new current version of (ownerId, name). `make(version, previous)` is called with the number it will have
   * and the version that is current now, and returns the row; it may be called again when another publisher won the
   * race. Numbers go on after removals, as long as the tombstones are kept. When the current version already has this id, `make` still decides (it may return the row with a new record):
   * the version number is then kept and nothing is added. Keeps `keepVersions` versions of the name, the new one
   * included, and returns the older ones it let go.
   */
  publish(
    key: { readonly ownerId: string; readonly name: string; readonly id: string; readonly keepVersions: number },
    make: (version: number, previous: FileRow | undefined) => Promise<FileRow>,
  ): Promise<{ readonly row: FileRow; readonly released: readonly FileRow[] }>;
  /** The current version of a name. Not filtered by reader: for the owner and for checks after it. */
  current(ownerId: string, name: string): Promise<FileRow | undefined>;
  /**
   * Versions, current or not, with this id that the reader may read, at most `limit`: the reader's own first, then the
   * newest. (Of more than `limit` own ones, not always the newest.)
   */
  versionsWithId(id: string, reader: Reader, limit: number): Promise<readonly FileRow[]>;
  /** Current files of this exact name that the reader may read, at most `limit`, in order of owner name. */
  visibleWithName(name: string, reader: Reader, limit: number): Promise<readonly FileRow[]>;
  /** In byte order of (name, owner). */
  list(filter: ListFilter, reader: Reader, page: PageRequest): Promise<Page<ListedFile>>;
  /**
   * Files whose names have words beginning with those of `text`, newest first; see search-words.ts for what a word is.
   * Throws `invalid` when there is no word in the text.
   */
  search(text: string, reader: Reader, page: PageRequest): Promise<Page<ListedFile>>;
  /**
   * Changes one version in place. `make` gets the row as it is and returns the change; it may be called again when
   * another writer won the race. Throws `not_found` when the version is gone.
   */
  patch(
    key: { readonly ownerId: string; readonly name: string; readonly version: number },
    make: (row: FileRow) => Promise<FilePatch>,
  ): Promise<FileRow>;
  /** Removes all versions of a name and leaves a tombstone. Returns what was removed; empty when there was nothing. */
  removeName(tombstone: TombstoneRow): Promise<readonly FileRow[]>;
  /**
   * Removes one version and leaves a tombstone for it alone; the newest one left, if any, becomes current. Returns what
   * was removed; empty when there was nothing.
   */
  removeVersion(tombstone: TombstoneRow): Promise<readonly FileRow[]>;
  /** Which of these ids some version, of anyone, still has. */
  knownIds(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Which of these ids have no version left, and had one that was removed, displaced by newer ones, or has a tombstone. */
  removedIds(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Signed tombstones that prove versions with this id to be gone, at most `limit`. */
  tombstonesOf(id: string, limit: number): Promise<readonly string[]>;
  /**
   * Versions with this id, at most `limit`, whoever may read them: for replication and restoring, never for answers to
   * users. Those that want the most copies come first; while nothing changes, the answer does not either.
   */
  allVersionsWithId(id: string, limit: number): Promise<readonly FileRow[]>;
  /** The records of {@link allVersionsWithId}, for each of the ids that has a version. */
  recordsWithIds(ids: readonly string[], limit: number): Promise<ReadonlyMap<string, readonly string[]>>;
  /**
   * Takes back versions that an earlier life of this catalog signed, and newer records of versions that are there (see
   * record-revision.ts). Skips those that are there as they are or newer, that a tombstone is proof against, or that newer
   * versions displaced. The highest version of a name becomes current. Returns how many were taken.
   */
  restore(rows: readonly FileRow[]): Promise<number>;
  /**
   * Takes back tombstones; what they prove to be gone goes, if it is there. Returns how many said something new, and what went.
   */
  restoreTombstones(
    rows: readonly TombstoneRow[],
  ): Promise<{ readonly taken: number; readonly removed: readonly FileRow[] }>;

  // Peers
  /** Adds or replaces a peer; what is known of its holdings stays. */
  putPeer(peer: PeerRow): Promise<void>;
  /**
   * Extends the lease and takes the figures over. Returns the peer as it is now, or undefined when it is unknown,
   * withdrawn, or of another incarnation (it must join again). Heartbeats that come within a few milliseconds are written
   * together.
   */
  heartbeat(beat: Heartbeat): Promise<PeerRow | undefined>;
  peer(name: string): Promise<PeerRow | undefined>;
  /** Live peer with this address, if any. */
  peerByAddress(address: string, now: number): Promise<PeerRow | undefined>;
  /** All peers in order of name, those gone since before `goneBefore` left out. */
  peers(goneBefore: number): Promise<readonly PeerRow[]>;
  /** Marks a peer as withdrawn; its holdings stay known but are in no answer until it joins again. */
  withdrawPeer(name: string, incarnation: string): Promise<void>;
  /** Forgets peers whose lease ended before `before`, with their holdings and orders. Returns their names. */
  forgetPeers(before: number): Promise<readonly string[]>;

  // Holdings
  /** Sets what a peer holds; `complete` replaces what was known. Throws `not_found` when the peer is unknown. */
  hold(peer: string, holdings: readonly { readonly id: string; readonly complete: boolean }[]): Promise<void>;
  release(peer: string, ids: readonly string[]): Promise<void>;
  /** Begins a complete announcement. Throws `not_found` when the peer is unknown. */
  beginFull(peer: string): Promise<string>;
  /** Forgets every holding of a peer that was not set since `mark`, a value that `beginFull` returned. */
  endFull(peer: string, mark: string): Promise<void>;
  /**
   * Live holders of a file with their addresses: at most `limit`, chosen evenly by `random` (0 <= random < 1) when
   * there are more, complete ones before partial ones, never those in
   * `except`.
   */
  holders(
    id: string,
    options: {
      readonly now: number;
      readonly limit: number;
      readonly random: number;
      readonly except?: readonly string[];
    },
  ): Promise<readonly { readonly peer: string; readonly address: string; readonly complete: boolean }[]>;
  /** Which of `peers` hold all of it, live or not. */
  completeAmong(id: string, peers: readonly string[]): Promise<readonly string[]>;
  /** Holdings of a peer, in order of id, for repair after it is gone. */
  holdingsOf(peer: string, page: PageRequest): Promise<Page<HoldingRow>>;

  // Orders
  /** Those that stand already keep their time. */
  addOrders(orders: readonly OrderRow[]): Promise<void>;
  /** Oldest first. */
  ordersFor(peer: string, limit: number): Promise<readonly OrderRow[]>;
  /** Orders that stand to make copies of these files, whoever has them; in any order. */
  copiesOrdered(ids: readonly string[]): Promise<readonly OrderRow[]>;
  deleteOrders(peer: string, kind: OrderRow['kind'], ids: readonly string[]): Promise<void>;

  /** Random, made with the store: tells a catalogue from one that begins anew. */
  storeId(): Promise<string>;

  // Figures for /metrics
  counts(): Promise<{ readonly files: number; readonly users: number }>;
}
