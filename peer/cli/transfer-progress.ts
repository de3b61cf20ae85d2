import type { Progress__Output } from '../../proto/gen/shoal/control/v1/Progress.js';
import type { ProgressSample } from './progress.js';

const PHASE_WORDS: Readonly<Record<Progress__Output['phase'], string>> = {
  PHASE_UNSPECIFIED: 'working',
  PHASE_STORING: 'storing',
  PHASE_REPLICATING: 'replicating',
  PHASE_FETCHING: 'fetching',
  PHASE_WRITING: 'writing',
  PHASE_WAITING: 'waiting',
  PHASE_HANDING_OVER: 'handing over',
};

/** What the daemon tells of a transfer, for a progress view. */
export function progressSample(progress: Progress__Output): ProgressSample {
  return {
    phase: PHASE_WORDS[progress.phase],
    doneBytes: progress.doneBytes,
    totalBytes: progress.totalBytes,
    peers: progress.peers,
    detail: progress.detail,
    ...(progress.totalFiles > 0 && { files: { done: progress.doneFiles, total: progress.totalFiles } }),
  };
}
