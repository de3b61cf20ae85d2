import { setImmediate as nextTurn } from 'node:timers/promises';
import { ShoalError } from '../../common/errors.js';
import type { HoldingCatalog, HoldingRow } from '../catalog.js';
import type { EmbeddedDatabase } from './embedded-database.js';
import { type Arc, type Candidate, sampleHolders, spotOf } from './holder-sample.js';
import { checkLimit } from './index-keys.js';
import { pageOf, positionOf } from './queries.js';

interface StoredHolding {
  readonly file: ArrayBuffer;
  readonly partial: number;
  readonly spot: number;
}

/** Holdings that are looked through before others have their turn. */
const SLICE = 2000;

// As JSON: one call for a whole announcement. Values are [id, partial, spot].
const HOLD = `INSERT INTO holdings (file, partial, spot, peer, mark)
  SELECT unhex(value ->> 0), value ->> 1, value ->> 2, ?2, ?3 FROM json_each(?1) WHERE true
  ON CONFLICT DO UPDATE SET mark = excluded.mark`;
const UNHOLD = `DELETE FROM holdings WHERE (file, partial, spot, peer) IN
  (SELECT unhex(value ->> 0), value ->> 1, value ->> 2, CAST(?2 AS INTEGER) FROM json_each(?1))`;
const OF_PEER = 'FROM holdings WHERE peer = ?1 AND file > ?2';
const SLICE_END = `SELECT file ${OF_PEER} ORDER BY file LIMIT 1 OFFSET ?3`;
// Without an end (?4), up to what is longer than any id.
const FORGET = `DELETE ${OF_PEER} AND file <= coalesce(?4, x'${'ff'.repeat(33)}') AND mark < ?3`;
const LIVE = "p.state <> 'withdrawn' AND p.lease_until > ?";
const HOLDERS = `SELECT p.name, p.address FROM holdings h JOIN peers p ON p.num = h.peer
  WHERE h.file = ? AND h.partial = ? AND h.spot >= ? AND h.spot < ? AND ${LIVE}
  AND p.name NOT IN (SELECT value FROM json_each(?)) ORDER BY h.spot LIMIT ?`;
const COMPLETE = `SELECT p.name FROM holdings h JOIN peers p ON p.num = h.peer
  WHERE h.file = ?1 AND h.partial = 0 AND p.name IN (SELECT value FROM json_each(?2))`;

/** Who holds what, in the embedded store: soft state, not synced to the disk. */
export function embeddedHoldings(database: EmbeddedDatabase): HoldingCatalog {
  return {
    async hold(peer, holdings) {
      const { num, mark } = knownPeer(database, peer);
      const held = holdings.map(({ id, complete }) => [id, Number(!complete), spotOf(id, peer)]);
      const opposite = held.map(([id, partial, spot]) => [id, 1 - Number(partial), spot]);
      database.transaction(() => {
        database.run(UNHOLD, JSON.stringify(opposite), num);
        database.run(HOLD, JSON.stringify(held), num, mark);
      });
    },
    async release(peer, ids) {
      const num = peerNumber(database, peer);
      if (num === undefined) return;
      const either = ids.flatMap((id) => [0, 1].map((partial) => [id, partial, spotOf(id, peer)]));
      database.run(UNHOLD, JSON.stringify(either), num);
    },
    async beginFull(peer) {
      const { num } = knownPeer(database, peer);
      const mark = nextMark(database);
      database.run('UPDATE peers SET mark = ? WHERE num = ?', mark, num);
      return String(mark);
    },
    async endFull(peer, mark) {
      const num = peerNumber(database, peer);
      if (num !== undefined) await forgetHoldings(database, num, markOf(mark));
    },
    async holders(id, { now, limit, random, except = [] }) {
      const excepted = JSON.stringify(except);
      const read = async ({ complete, from, to }: Arc, wanted: number): Promise<readonly Candidate[]> => {
        const place = [Buffer.from(id, 'hex'), Number(!complete), from, to] as const;
        const rows = database.all<{ name: string; address: string }>(HOLDERS, ...place, now, excepted, wanted);
        return rows.map(({ name, address }) => ({ peer: name, address, complete }));
      };
      return sampleHolders(read, { limit, random });
    },
    async completeAmong(id, peers) {
      const rows = database.all<{ name: string }>(COMPLETE, Buffer.from(id, 'hex'), JSON.stringify(peers));
      return rows.map(({ name }) => name);
    },
    async holdingsOf(peer, request) {
      const queryName = `holdings ${peer}`;
      const [after = ''] = positionOf(request, queryName) ?? [];
      const limit = checkLimit(request.limit);
      const num = peerNumber(database, peer) ?? 0;
      const found = holdingsAfter(database, num, { after: Buffer.from(String(after), 'hex'), limit: limit + 1 });
      const rowOf = (stored: StoredHolding): HoldingRow => ({ id: idOf(stored), peer, complete: stored.partial === 0 });
      return pageOf(found, { limit, queryName, rowOf, positionOf: (stored) => [idOf(stored)] });
    },
  };
}

/** A number greater than all that came before: tells newer holdings of a peer from older ones, whatever the clocks say. */
export function nextMark(database: EmbeddedDatabase): number {
  const sql = "UPDATE counters SET value = value + 1 WHERE name = 'mark' RETURNING value";
  return database.get<{ value: number }>(sql)?.value ?? 0;
}

/** Forgets the holdings of a peer that were set before a mark, in slices. */
export async function forgetHoldings(database: EmbeddedDatabase, num: number, mark: number): Promise<void> {
  let after = Buffer.alloc(0);
  for (;;) {
    const end = database.get<Pick<StoredHolding, 'file'>>(SLICE_END, num, after, SLICE - 1);
    const last = end === undefined ? null : Buffer.from(end.file);
    database.run(FORGET, num, after, mark, last);
    if (last === null) return;
    after = last;
    await nextTurn();
  }
}

function holdingsAfter(
  database: EmbeddedDatabase,
  num: number,
  { after, limit }: { readonly after: Buffer; readonly limit: number },
): readonly StoredHolding[] {
  const sql = 'SELECT file, partial, spot FROM holdings WHERE peer = ? AND file > ? ORDER BY file LIMIT ?';
  return database.all<StoredHolding>(sql, num, after, limit);
}

function knownPeer(database: EmbeddedDatabase, name: string): { readonly num: number; readonly mark: number } {
  const peer = database.get<{ num: number; mark: number }>('SELECT num, mark FROM peers WHERE name = ?', name);
  if (peer === undefined) throw new ShoalError('not_found', `there is no peer '${name}'`);
  return peer;
}

function peerNumber(database: EmbeddedDatabase, name: string): number | undefined {
  return database.get<{ num: number }>('SELECT num FROM peers WHERE name = ?', name)?.num;
}

function idOf({ file }: StoredHolding): string {
  return Buffer.from(file).toString('hex');
}

function markOf(mark: string): number {
  if (/^[1-9][0-9]{0,15}$/.test(mark)) return Number(mark);
  throw new ShoalError('invalid', `'${mark}' is not a mark that this index gave`);
}
