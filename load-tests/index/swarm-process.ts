import { setHeapGrowth } from '../../common/heap-growth.js';
import { PeerSwarm } from './peer-swarm.js';
import type { SwarmCommand, SwarmMessage } from './swarm-child.js';

/*
 * The peers of a measurement in a process of their own, so that what they do is not in the way of whoever measures.
 * Commands and answers go over the channel of `fork`; when that closes, the process ends.
 */

const tell = (message: SwarmMessage): void => {
  process.send?.(message);
};
const failed = (error: unknown): void => tell({ kind: 'failed', reason: String(error) });

// Who measures should not have to wait for this process's collections.
setHeapGrowth(300);
let swarm: PeerSwarm | undefined;

process.on('message', (command: SwarmCommand) => {
  if (command.kind === 'start') {
    swarm = new PeerSwarm({ failed }, command.options);
    swarm.start().then((start) => tell({ kind: 'started', start }), failed);
  } else if (swarm !== undefined) {
    tell({ kind: 'figures', figures: swarm.figures() });
  }
});
process.on('disconnect', () => process.exit(0));
