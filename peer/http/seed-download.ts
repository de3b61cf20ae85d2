import type { z } from 'zod';
import { toShoalError } from '../../common/errors.js';
import type { seedFoundSchema } from '../../index-server/api/original.js';
import type { HttpDoorDeps } from './deps.js';
import { detailOf } from './problem.js';

/** What {@link downloadHits} works with. */
export type DownloadDeps = Pick<HttpDoorDeps, 'index' | 'membership' | 'peers' | 'share' | 'log' | 'metrics'>;

/** One file that a search found. */
export type SeedHit = z.infer<typeof seedFoundSchema>['files'][number];

/**
 * Downloads what a search found, each file through gRPC from the peer whose `url` the search returned, into the share
 * folder. Returns one line for each name that was asked for and not found, and one for each hit; a hit that cannot be
 * downloaded is named with the reason, and the others still go. Throws only when the signal fires.
 */
export async function downloadHits(
  deps: DownloadDeps,
  search: {
    readonly names: readonly string[];
    readonly hits: readonly SeedHit[];
    readonly onBehalf: string | undefined;
  },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = new Set(search.hits.map((hit) => hit.filename));
  const operation = search.names.filter((name) => !found.has(name)).map((name) => `${name}: not found`);
  for (const hit of search.hits) {
    try {
      operation.push(`${hit.filename}: ${await download(deps, hit, search.onBehalf, signal)}`);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toShoalError(thrown);
      if (error.code === 'internal') deps.log.error({ error: thrown }, 'a file could not be downloaded');
      operation.push(`${hit.filename}: not downloaded from ${hit.url}: ${detailOf(error)}`);
    }
  }
  return operation;
}

async function download(
  deps: DownloadDeps,
  { filename, peer: owner, url }: SeedHit,
  onBehalf: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { index, membership, metrics, peers, share } = deps;
  const { file, ticket } = await index.locate(membership.auth(onBehalf), { ref: `${owner}/${filename}` }, signal);
  const expected = { size: file.size, sha256: file.sha256 };
  let outcome = await share.compare(filename, expected, signal);
  if (outcome === undefined) {
    const { data } = await peers.download(url, { ticket, id: file.id }, signal);
    outcome = await share.receive(filename, data, { expected, signal });
  }
  switch (outcome) {
    case 'saved':
      metrics.receivedBytes.inc({ kind: 'download' }, file.size);
      return `downloaded from ${url} (${file.size} bytes)`;
    case 'already here':
      return 'already here';
    case 'differs':
      return `not downloaded: the share folder has another file of this name, other than that of ${owner}`;
  }
}
