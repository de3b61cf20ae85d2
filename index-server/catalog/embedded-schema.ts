/*
 * The tables of the embedded store. Each entry brings a file from the version of its place in the list to the next; a
 * change of the tables is a new entry, never an edit. `PRAGMA user_version` tells how many a file has had.
 *
 * `entries` is the index of all lists and searches (see index-keys.ts): `pos` is a place (text) or minus the time of
 * publishing (integer), `row` a version. `holdings` keeps complete copies before partial ones and both in order of
 * `spot`, a hash, so that a sample begins anywhere. `holdings.mark` grows with each complete announcement.
 */

/** What makes a store of each version out of the one before; the first begins with an empty file. */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    name_key TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    locked INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    user_id TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX sessions_user ON sessions (user_id);
  CREATE INDEX sessions_expiry ON sessions (expires_at);
  CREATE TABLE seats (user_id TEXT PRIMARY KEY, url TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE versions (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    chunk_size INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    tags TEXT NOT NULL,
    visibility TEXT NOT NULL,
    readers TEXT NOT NULL,
    replicas INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    record TEXT NOT NULL
  );
  CREATE UNIQUE INDEX versions_name ON versions (owner_id, name, version);
  CREATE INDEX versions_id ON versions (id);
  CREATE TABLE entries (key TEXT NOT NULL, pos NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (key, pos, row)) WITHOUT ROWID;
  CREATE TABLE gone_marks (
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    only INTEGER NOT NULL,
    removed_at INTEGER NOT NULL,
    record TEXT,
    PRIMARY KEY (owner_id, name, version, only)
  ) WITHOUT ROWID;
  CREATE INDEX gone_marks_age ON gone_marks (removed_at);
  CREATE TABLE gone_ids (id TEXT PRIMARY KEY, removed_at INTEGER NOT NULL) WITHOUT ROWID;
  CREATE INDEX gone_ids_age ON gone_ids (removed_at);
  CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO counters VALUES ('files', 0), ('mark', 0);

  CREATE TABLE peers (
    num INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    state TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    files INTEGER NOT NULL,
    bytes_used INTEGER NOT NULL,
    bytes_free INTEGER NOT NULL,
    mark INTEGER NOT NULL
  );
  CREATE INDEX peers_address ON peers (address, lease_until);
  CREATE INDEX peers_lease ON peers (lease_until);
  CREATE TABLE holdings (
    file BLOB NOT NULL,
    partial INTEGER NOT NULL,
    spot INTEGER NOT NULL,
    peer INTEGER NOT NULL,
    mark INTEGER NOT NULL,
    PRIMARY KEY (file, partial, spot, peer)
  ) WITHOUT ROWID;
  CREATE INDEX holdings_peer ON holdings (peer, file);
  CREATE TABLE orders (
    peer TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (peer, kind, id)
  ) WITHOUT ROWID;
  CREATE INDEX orders_age ON orders (peer, created_at);
  `,
  // Of many names for one content, the one that wants the most copies is found without reading the others.
  `
  DROP INDEX versions_id;
  CREATE INDEX versions_id ON versions (id, replicas, owner_id);
  `,
  // Where a version with an id was, to find the tombstones that prove that it is gone; and what this store is known by.
  `
  CREATE TABLE gone_places (
    id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    removed_at INTEGER NOT NULL,
    PRIMARY KEY (id, owner_id, name, version)
  ) WITHOUT ROWID;
  CREATE INDEX gone_places_age ON gone_places (removed_at);
  INSERT INTO counters VALUES ('store', random() & 0x1fffffffffffff);
  `,
  // A heartbeat changes a lease: with thousands of peers, indexes over leases were most of what it wrote.
  `
  DROP INDEX peers_lease;
  DROP INDEX peers_address;
  CREATE INDEX peers_address ON peers (address);
  `,
  // Who is to copy a file already, when its holder leaves and somebody must.
  `
  CREATE INDEX orders_id ON orders (id, kind);
  `,
];
