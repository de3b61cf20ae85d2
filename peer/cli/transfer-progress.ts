import type { Progress__Output } from '../../proto/gen/shoal/control/v1/Progress.js';
import type { ProgressSample } from './progress.js';

const PHASE_WORDS: Readonly<Record<Progress__Output['phase'], string | undefined>> = {
  PHASE_UNSPECIFIED: undefined,
  PHASE_STORING: 'storing',
  PHASE_REPLICATING: 'replicating',
  PHASE_FETCHING: 'fetching',
  PHASE_WRITING: 'writing',
};

/** What the daemon tells of a transfer, for a progress view; `otherwise` is the word for a phase that it does not name. */
export function progressSample(progress: Progress__Output, otherwise: string): ProgressSample {
  return {
    phase: PHASE_WORDS[progress.phase] ?? otherwise,
    doneBytes: progress.doneBytes,
    totalBytes: progress.totalBytes,
    peers: progress.peers,
  };
}
