import { embeddedAccounts } from './catalog/embedded-accounts.js';
import type { EmbeddedDatabase } from './catalog/embedded-database.js';
import { embeddedFinding } from './catalog/embedded-finding.js';
import { embeddedHistoryStore } from './catalog/embedded-history-store.js';
import { embeddedHoldings } from './catalog/embedded-holdings.js';
import { embeddedPeers } from './catalog/embedded-peers.js';
import { publishingOn } from './catalog/publishing.js';
import type { Catalog } from './catalog.js';

const COUNTS = `SELECT
  (SELECT value FROM counters WHERE name = 'files') AS files,
  (SELECT count(*) FROM users) AS users`;

/** They share transactions and syncs. */
const RESTORED_AT_ONCE = 4000;

/** A catalog in one SQLite file, for one index server; not yet open. */
export function embeddedCatalog(database: EmbeddedDatabase): Catalog {
  return {
    open: () => database.open(),
    close: () => database.close(),
    async ping() {
      database.all('SELECT 1');
    },
    async sweep(now, tombstonesBefore) {
      database.run('DELETE FROM sessions WHERE expires_at <= ?', now);
      database.run('DELETE FROM gone_marks WHERE removed_at < ?', tombstonesBefore);
      database.run('DELETE FROM gone_ids WHERE removed_at < ?', tombstonesBefore);
      database.run('DELETE FROM gone_places WHERE removed_at < ?', tombstonesBefore);
    },
    async storeId() {
      const sql = "SELECT value FROM counters WHERE name = 'store'";
      return String(database.get<{ value: number }>(sql)?.value ?? 0);
    },
    async counts() {
      const { files = 0, users = 0 } = database.get<{ files: number; users: number }>(COUNTS) ?? {};
      return { files, users };
    },
    ...embeddedAccounts(database),
    ...publishingOn(embeddedHistoryStore(database), { atOnce: RESTORED_AT_ONCE }),
    ...embeddedFinding(database),
    ...embeddedPeers(database),
    ...embeddedHoldings(database),
  };
}
