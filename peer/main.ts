import { constants } from 'node:os';
import { ShoalError } from '../common/errors.js';
import { setHeapGrowth } from '../common/heap-growth.js';
import { createLogger } from '../common/log.js';
import { VERSION } from '../common/version.js';
import { readConfig } from './config.js';
import { startDaemon } from './daemon.js';

/** Small, since a peer lives beside the application that it works for; the price is a few percent of its time under full load. */
const HEAP_GROWTH_PERCENT = 40;

/**
 * The peer, from the environment to its end: SIGTERM or SIGINT makes it hand over if it does not come back, leave the
 * swarm and finish its streams, within SHOAL_HAND_OVER_SECONDS and SHOAL_DRAIN_SECONDS, and the promise resolves; a second signal ends the process at once. Rejects with `invalid` when
 * the environment is wrong, and with what happened when it cannot start.
 */
export async function main(env: NodeJS.ProcessEnv): Promise<void> {
  setHeapGrowth(HEAP_GROWTH_PERCENT);
  const config = readConfig(env);
  const log = createLogger({ name: config.peerName, level: config.logLevel });
  log.info({ version: VERSION, node: process.version }, 'starting');
  const signalled = firstSignal();
  const starting = new AbortController();
  void signalled.then((signal) => starting.abort(new ShoalError('cancelled', `${signal} while starting`)));
  const daemon = await startDaemon(config, { log, signal: starting.signal });
  const signal = await signalled;
  log.info({ signal, drainSeconds: config.drainSeconds }, 'leaving');
  void firstSignal().then((second) => process.exit(128 + constants.signals[second]));
  await daemon.leave({ graceMs: config.drainSeconds * 1000, handOverMs: config.handOverSeconds * 1000 });
  log.info('stopped');
}

/** Resolves at the first signal from now on. */
function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
