import type { CommandContext } from '../command-context.js';
import { formatSize } from '../format.js';
import { renderTable } from '../table.js';

/** Lists the peers of the swarm. */
export async function listPeers(context: CommandContext): Promise<void> {
  const client = await context.connect();
  const answer = await client.call('ListPeers', {});
  const peers = answer.peers.map(({ name, address, state, files, bytesUsed, bytesFree, version }) => ({
    name,
    address,
    state,
    files,
    bytesUsed,
    bytesFree,
    version,
  }));
  await context.report({
    json: { peers },
    items: peers,
    names: peers.map((peer) => peer.name),
    table: (style) =>
      renderTable(
        [
          { title: 'NAME' },
          { title: 'ADDRESS' },
          { title: 'STATE' },
          { title: 'FILES', align: 'right' },
          { title: 'USED', align: 'right' },
          { title: 'FREE', align: 'right' },
          { title: 'VERSION' },
        ],
        peers.map((peer) => [
          peer.name,
          peer.address,
          peer.state,
          String(peer.files),
          formatSize(peer.bytesUsed),
          formatSize(peer.bytesFree),
          peer.version,
        ]),
        style,
      ),
  });
}

/** Has our peer call another one, and tells how long it took. */
export async function pingPeer(context: CommandContext, peer: string): Promise<void> {
  const client = await context.connect();
  const { address, connectMs, roundTripMs, version } = await client.call('PingPeer', { peer });
  await context.report({
    json: { peer, address, connectMs, roundTripMs, version },
    names: [peer],
    table: () =>
      `${peer} ${address}: connected in ${connectMs.toFixed(1)} ms, round trip ${roundTripMs.toFixed(1)} ms, version ${version}\n`,
  });
}
