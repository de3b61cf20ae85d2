import { once } from 'node:events';
import { setHeapGrowth } from '../common/heap-growth.js';
import { createLogger } from '../common/log.js';
import { VERSION } from '../common/version.js';
import { readConfig } from './config.js';
import { catalogIn } from './open-catalog.js';
import { loadKubeConfig } from './pods/kubernetes-http.js';
import { KubernetesPlaces } from './pods/kubernetes-places.js';
import { KubernetesSlices } from './pods/kubernetes-slices.js';
import { runIndex } from './server.js';
import { openSigner } from './signer.js';

/** Large: requests wait for a look at everything, and with thousands of peers there is much of that. */
const HEAP_GROWTH_PERCENT = 300;
const WATCHING = { watchSeconds: 240, timeoutMs: 15_000 };
/** A peer that ends waits for it. */
const PLACE_MS = 5_000;

/**
 * The index server, from the environment to its end: configuration, key, store, HTTP; SIGTERM or SIGINT closes it in
 * reverse, and the promise resolves. Rejects with `invalid` when the environment is wrong, and with what happened when
 * it cannot start.
 */
export async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(env);
  setHeapGrowth(HEAP_GROWTH_PERCENT);
  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
  const log = createLogger({ name: 'index', level: config.logLevel });
  log.info({ version: VERSION, node: process.version }, 'starting');
  const signer = await openSigner(config.signingKeyFile);
  const catalog = await catalogIn(config.store);
  const slices = config.podWatch && new KubernetesSlices({ load: loadKubeConfig }, { ...config.podWatch, ...WATCHING });
  const places =
    config.peerSet && new KubernetesPlaces({ load: loadKubeConfig, log }, { ...config.peerSet, timeoutMs: PLACE_MS });
  const index = await runIndex(config, { catalog, signer, slices, places, log, now: Date.now, random: Math.random });
  try {
    await Promise.race([stopped, index.ready.then(() => stopped)]);
  } finally {
    await index.close();
  }
}
