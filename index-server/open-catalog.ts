import { ShoalError } from '../common/errors.js';
import type { Catalog } from './catalog.js';

/** The catalog in `store`, open. Throws like {@link catalogIn}, and like `open()`. */
export async function openCatalog(store: string): Promise<Catalog> {
  const catalog = await catalogIn(store);
  await catalog.open();
  return catalog;
}

/**
 * The catalog in `store`, not open yet, for a program that goes on trying: `embedded:PATH` for a file on this machine,
 * `mongodb://...` or `mongodb+srv://...` for a MongoDB. Throws `invalid` for anything else.
 */
export async function catalogIn(store: string): Promise<Catalog> {
  const path = /^embedded:(.+)$/s.exec(store)?.[1];
  if (path !== undefined) return embeddedIn(path);
  if (/^mongodb(\+srv)?:\/\/./.test(store)) return mongoAt(store);
  // Not shown as it is: an address may carry a password.
  throw new ShoalError('invalid', `'${store.split(':', 1)[0]}:...' is not a store`, {
    hint: 'use embedded:PATH, or mongodb://HOST/DATABASE',
  });
}

// Only the driver that is used is loaded.

async function embeddedIn(path: string): Promise<Catalog> {
  const { EmbeddedDatabase } = await import('./catalog/embedded-database.js');
  const { LogSync } = await import('./catalog/log-sync.js');
  const { embeddedCatalog } = await import('./embedded-catalog.js');
  return embeddedCatalog(new EmbeddedDatabase({ logSync: new LogSync(`${path}-wal`) }, { path }));
}

async function mongoAt(uri: string): Promise<Catalog> {
  const { MongoStore } = await import('./catalog/mongo-store.js');
  const { mongoCatalog } = await import('./mongo-catalog.js');
  return mongoCatalog(new MongoStore({ uri }));
}
