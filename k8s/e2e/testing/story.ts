import { diagnose } from '../../diagnostics.mjs';
import { restarts } from './cluster.js';
import { Release } from './release.js';

/** Where the stories happen that leave a release as they found it. */
const SHARED_NAMESPACE = 'e2e-shared';

/**
 * A test in a namespace. When it fails, the report begins with what the namespace looked like at that moment.
 *
 * @param namespaces those to show
 */
export function story(title: string, namespaces: readonly string[], tell: () => Promise<void>): void {
  test(title, () => explained(title, namespaces, tell));
}

async function explained(title: string, namespaces: readonly string[], tell: () => Promise<void>): Promise<void> {
  try {
    await tell();
  } catch (error) {
    for (const namespace of namespaces) console.error(`${title}\n${await diagnose(namespace)}`);
    throw error;
  }
}

/** How every file ends: whatever happened, no program fell over. Pods that a story deleted come back with no restarts. */
export function noContainerRestarted(namespaces: readonly string[]): void {
  story('no container has restarted', namespaces, async () => {
    expect((await Promise.all(namespaces.map(restarts))).flat()).toEqual([]);
  });
}

/** The release that stories share: the chart with its defaults. Installs it for the first of them. */
export const shared = new Release(SHARED_NAMESPACE);

/** Call before the first story of a file that uses {@link shared}. */
export async function ensureShared(): Promise<void> {
  await explained('installing the release that stories share', [shared.namespace], async () => {
    const installed = await shared.tryHelm('status', shared.name);
    if (installed.code !== 0) await shared.install();
    await shared.waitForPeers(3);
  });
}
