import { type Collection, type IndexDescription, MongoClient, type WriteConcernSettings } from 'mongodb';
import { ShoalError } from '../../common/errors.js';
import type { HoldingRow, OrderRow, PeerRow, SessionRow, UserRow } from '../catalog.js';
import type { NameDocument } from './mongo-names.js';

/*
 * The collections, their documents and indexes. Everything is a plain find, update or delete, and every change that must
 * hold together is of one document, so that any store that speaks MongoDB's language will do: no transactions, change
 * streams, TTL or text indexes.
 *
 * Each query has an index that gives both its rows and their order, so that explain() shows IXSCAN (IDHACK for one _id),
 * never COLLSCAN or SORT:
 *   names     by _id; lists by (placeKeys, place), searches by (ageKeys, age), sweeping by removedAt; contents by
 *             (ids, mostReplicas, _id), those of an owner by (ids, _id)
 *   gone      by _id (a file id); sweeping by removedAt; gonePlaces likewise, and by file
 *   users     by _id and nameKey;  sessions by _id, userId, expiresAt;  seats by _id (a user id)
 *   peers     by _id (a name), address, leaseUntil; the whole list is read in order of _id
 *   holdings  by _id (file/peer); who holds a file by (file, complete, spot), covered; what a peer holds by (peer, file)
 *   orders    by _id (peer/kind/file); those of a peer by (peer, createdAt), copies of files by (kind, file)
 *   counters  by _id
 */

/** A user. */
export interface UserDocument extends Omit<UserRow, 'id'> {
  readonly _id: string;
  readonly nameKey: string;
}

/** A session. */
export interface SessionDocument extends Omit<SessionRow, 'tokenHash'> {
  readonly _id: string;
}

/** A peer. `mark` is that of its last complete announcement; see holdings. */
export interface PeerDocument extends Omit<PeerRow, 'name'> {
  readonly _id: string;
  readonly mark: number;
}

/** A holding. `spot` is its place among the holders of the file, `mark` the complete announcement it was last in. */
export interface HoldingDocument extends Omit<HoldingRow, 'id'> {
  readonly _id: string;
  readonly file: string;
  readonly spot: number;
  readonly mark: number;
}

/** An order. */
export interface OrderDocument extends Omit<OrderRow, 'id'> {
  readonly _id: string;
  readonly file: string;
}

/** What is in each collection. */
export interface MongoDocuments {
  names: NameDocument;
  gone: { readonly _id: string; readonly removedAt: number };
  gonePlaces: {
    readonly _id: string;
    readonly file: string;
    /** OWNER/NAME, the _id of its document. */
    readonly key: string;
    readonly version: number;
    readonly removedAt: number;
  };
  users: UserDocument;
  sessions: SessionDocument;
  seats: { readonly _id: string; readonly url: string };
  peers: PeerDocument;
  holdings: HoldingDocument;
  orders: OrderDocument;
  counters: { readonly _id: string; readonly value: number };
}

/** What is made on opening, besides the index on `_id` that every collection has. */
export const INDEXES: { readonly [Name in keyof MongoDocuments]?: readonly IndexDescription[] } = {
  names: [
    { key: { placeKeys: 1, place: 1 } },
    { key: { ageKeys: 1, age: 1 } },
    { key: { ids: 1, mostReplicas: -1, _id: 1 } },
    { key: { ids: 1, _id: 1 } },
    { key: { removedAt: 1 } },
  ],
  gone: [{ key: { removedAt: 1 } }],
  gonePlaces: [{ key: { file: 1 } }, { key: { removedAt: 1 } }],
  users: [{ key: { nameKey: 1 }, unique: true }],
  sessions: [{ key: { userId: 1 } }, { key: { expiresAt: 1 } }],
  peers: [{ key: { address: 1 } }, { key: { leaseUntil: 1 } }],
  holdings: [{ key: { file: 1, complete: 1, spot: 1, peer: 1 } }, { key: { peer: 1, file: 1 } }],
  orders: [{ key: { peer: 1, createdAt: 1 } }, { key: { kind: 1, file: 1 } }],
};

/** What peers tell again by themselves is worth no wait for the disk; the rest is on the disks of a majority first. */
const SOFT: readonly (keyof MongoDocuments)[] = ['peers', 'holdings', 'orders'];
const DURABLE: WriteConcernSettings = { w: 'majority', journal: true };

/** How long to look for a server, and how long to wait for its answer, where the address does not say. */
const TIMEOUTS_MS = { serverSelectionTimeoutMS: 5_000, socketTimeoutMS: 20_000 };

/** The database in a MongoDB address; `shoal` where it names none. */
export function databaseIn(uri: string): string {
  return /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]+)/.exec(uri)?.[1] ?? 'shoal';
}

/** The driver would let what it is told here go before what the address says. */
function timeoutsFor(uri: string): Partial<typeof TIMEOUTS_MS> {
  return Object.fromEntries(Object.entries(TIMEOUTS_MS).filter(([name]) => !uri.includes(`${name}=`)));
}

/** Throws `invalid` when it is no address of a MongoDB. */
function clientFor(uri: string): MongoClient {
  try {
    return new MongoClient(uri, { appName: 'shoal-index', ...timeoutsFor(uri) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError('invalid', `SHOAL_STORE is not the address of a MongoDB: ${reason}`, {
      cause,
      hint: 'write mongodb://USER:PASSWORD@HOST:27017/DATABASE; in a password, @ : / ? # and % are percent-encoded',
    });
  }
}

/** A connection to one database. */
export class MongoStore {
  readonly #uri: string;
  #client: MongoClient | undefined;

  constructor(options: { readonly uri: string }) {
    this.#uri = options.uri;
  }

  /** Connects and makes the indexes. Idempotent, also among several index servers. */
  async open(): Promise<void> {
    if (this.#client !== undefined) return;
    this.#client = clientFor(this.#uri);
    try {
      await this.ping();
      for (const [name, indexes] of Object.entries(INDEXES)) {
        await this.collection(name as keyof MongoDocuments).createIndexes([...indexes]);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.close();
  }

  /** Asks the server for a sign of life. */
  async ping(): Promise<void> {
    await this.#opened().db(databaseIn(this.#uri)).command({ ping: 1 });
  }

  /** A collection. */
  collection<Name extends keyof MongoDocuments>(name: Name): Collection<MongoDocuments[Name]> {
    const writeConcern = SOFT.includes(name) ? { w: 1 as const } : DURABLE;
    return this.#opened().db(databaseIn(this.#uri)).collection<MongoDocuments[Name]>(name, { writeConcern });
  }

  #opened(): MongoClient {
    if (this.#client === undefined) throw new ShoalError('unavailable', 'the store is not open');
    return this.#client;
  }
}
