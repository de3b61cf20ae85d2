import type { StatusResponse__Output } from '../../../proto/gen/shoal/control/v1/StatusResponse.js';
import type { CommandContext } from '../command-context.js';
import { formatDuration, formatSize, plural } from '../format.js';
import { renderFacts } from '../table.js';

/** Tells how the peer beside us is doing, on one screen. */
export async function status(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const answer = await client.call('Status', {});
  await context.report({ json: statusJson(answer), names: [answer.peer], table: () => statusTable(answer) });
}

function statusJson(answer: StatusResponse__Output): Record<string, unknown> {
  return {
    peer: answer.peer,
    address: answer.address,
    version: answer.version,
    state: answer.state,
    indexUrl: answer.indexUrl,
    indexReachable: answer.indexReachable,
    indexError: answer.indexError === '' ? null : answer.indexError,
    uptimeSeconds: answer.uptimeSeconds,
    livePeers: answer.livePeers,
    files: answer.files,
    partialFiles: answer.partialFiles,
    bytesUsed: answer.bytesUsed,
    bytesFree: answer.bytesFree,
    quotaBytes: answer.quotaBytes === 0 ? null : answer.quotaBytes,
    fetches: answer.fetches,
    serving: answer.serving,
    receivedBytes: answer.receivedBytes,
    sentBytes: answer.sentBytes,
  };
}

function statusTable(answer: StatusResponse__Output): string {
  const quota = answer.quotaBytes === 0 ? 'no quota' : `quota ${formatSize(answer.quotaBytes)}`;
  const partial = answer.partialFiles === 0 ? '' : `, ${answer.partialFiles} more in part`;
  const index = answer.indexReachable ? 'reachable' : `NOT reachable: ${answer.indexError || 'no reason known'}`;
  return renderFacts([
    ['peer', `${answer.peer} (${answer.address})`],
    ['state', answer.state],
    ['version', answer.version],
    ['up', formatDuration(answer.uptimeSeconds)],
    ['index', `${answer.indexUrl}, ${index}`],
    ['swarm', plural(answer.livePeers, 'live peer')],
    ['files', `${answer.files}${partial}`],
    ['storage', `${formatSize(answer.bytesUsed)} used, ${formatSize(answer.bytesFree)} free, ${quota}`],
    ['transfers', `${plural(answer.fetches, 'fetch', 'fetches')}, serving ${plural(answer.serving, 'stream')}`],
    ['traffic', `${formatSize(answer.receivedBytes)} received, ${formatSize(answer.sentBytes)} sent`],
  ]);
}
