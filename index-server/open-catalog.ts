import { ShoalError } from '../common/errors.js';
import type { Catalog } from './catalog.js';

/**
 * The catalog in `store`, open: `embedded:PATH` for a file on this machine, `mongodb://...` or `mongodb+srv://...` for a
 * MongoDB. Throws `invalid` for anything else, and `unavailable` when the store cannot be reached or used.
 */
export async function openCatalog(store: string): Promise<Catalog> {
  const catalog = await catalogIn(store);
  await catalog.open();
  return catalog;
}

/** The same, not open yet, for a program that goes on trying. Only the driver that is used is loaded. */
export async function catalogIn(store: string): Promise<Catalog> {
  const path = /^embedded:(.+)$/s.exec(store)?.[1];
  if (path !== undefined) {
    const { embeddedCatalog } = await import('./embedded-catalog.js');
    return embeddedCatalog({}, { path });
  }
  if (/^mongodb(\+srv)?:\/\/./.test(store)) {
    const { mongoCatalog } = await import('./mongo-catalog.js');
    return mongoCatalog({ uri: store });
  }
  // Not shown as it is: an address carries a password.
  throw new ShoalError('invalid', `'${store.split(':', 1)[0]}:...' is not a store`, {
    hint: 'use embedded:PATH, or mongodb://HOST/DATABASE',
  });
}
