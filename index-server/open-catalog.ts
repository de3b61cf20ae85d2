import { ShoalError } from '../common/errors.js';
import type { WritePace } from './catalog/embedded-database.js';
import type { Catalog } from './catalog.js';

/** The catalog in `store`, open. Throws like {@link catalogIn}, and like `open()`. */
export async function openCatalog(store: string): Promise<Catalog> {
  const catalog = await catalogIn(store);
  await catalog.open();
  return catalog;
}

/**
 * The embedded catalog at `path`, open, for a program that fills it while nobody reads: it takes records in long
 * transactions, where a server lets those who ask have their turn in between.
 */
export async function openToFill(path: string): Promise<Catalog> {
  const { FILLING } = await import('./catalog/embedded-database.js');
  const catalog = await embeddedIn(path, FILLING);
  await catalog.open();
  return catalog;
}

/**
 * The catalog in `store`, not open yet, for a program that goes on trying: `embedded:PATH` for a file on this machine,
 * `mongodb://...` or `mongodb+srv://...` for a MongoDB. Throws `invalid` for anything else.
 */
export async function catalogIn(store: string): Promise<Catalog> {
  const path = /^embedded:(.+)$/s.exec(store)?.[1];
  if (path !== undefined) {
    const { SERVING } = await import('./catalog/embedded-database.js');
    return embeddedIn(path, SERVING);
  }
  if (/^mongodb(\+srv)?:\/\/./.test(store)) return mongoAt(store);
  // Not shown as it is: an address may carry a password.
  throw new ShoalError('invalid', `'${store.split(':', 1)[0]}:...' is not a store`, {
    hint: 'use embedded:PATH, or mongodb://HOST/DATABASE',
  });
}

// Only the driver that is used is loaded.

async function embeddedIn(path: string, pace: WritePace): Promise<Catalog> {
  const { EmbeddedDatabase } = await import('./catalog/embedded-database.js');
  const { LogSync } = await import('./catalog/log-sync.js');
  const { embeddedCatalog } = await import('./embedded-catalog.js');
  const logSync = new LogSync(`${path}-wal`);
  return embeddedCatalog(new EmbeddedDatabase({ logSync }, { path, pace }));
}

async function mongoAt(uri: string): Promise<Catalog> {
  const { MongoStore } = await import('./catalog/mongo-store.js');
  const { mongoCatalog } = await import('./mongo-catalog.js');
  return mongoCatalog(new MongoStore({ uri }));
}
