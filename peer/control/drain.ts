import type { DrainRequest__Output } from '../../proto/gen/shoal/control/v1/DrainRequest.js';
import type { DrainResponse } from '../../proto/gen/shoal/control/v1/DrainResponse.js';
import { type Drain, failureOf } from '../drain.js';
import type { HandOverOutcome } from '../hand-over.js';
import type { Membership } from '../membership.js';
import type { CallEdge, Caller, EventSink } from './call.js';
import type { ControlHandlers } from './handlers.js';

/** Files that are told one by one. */
const LEFT_TOLD = 1000;

interface Deps {
  readonly drain: Pick<Drain, 'run' | 'undo'>;
  readonly membership: Pick<Membership, 'peerName'>;
}

/** The call that takes this peer out of work. */
export function drainHandlers(edge: CallEdge, deps: Deps): Pick<ControlHandlers, 'Drain'> {
  return {
    Drain: edge.events('Drain', async ({ undo }: DrainRequest__Output, caller, sink: EventSink<DrainResponse>) => {
      const peer = deps.membership.peerName;
      if (!undo) {
        const outcome = await drained(deps, caller, sink);
        await sink.send({ done: { peer, state: 'draining', ...doneOf(outcome) } });
        return;
      }
      deps.drain.undo();
      await sink.send({ done: { peer, state: 'live' } });
    }),
  };
}

function drained({ drain }: Deps, { signal }: Caller, sink: EventSink<DrainResponse>): Promise<HandOverOutcome> {
  const none = { doneBytes: 0, totalBytes: 0, peers: 0 };
  return drain.run(
    {
      onProgress: ({ files, bytes, safeFiles, safeBytes }) =>
        sink.sendProgress({
          progress: {
            ...{ phase: 'PHASE_HANDING_OVER', doneBytes: safeBytes, totalBytes: bytes, peers: 0 },
            ...{ doneFiles: safeFiles, totalFiles: files },
          },
        }),
      onWaiting: (detail) => sink.sendProgress({ progress: { phase: 'PHASE_WAITING', ...none, detail } }),
    },
    signal,
  );
}

function doneOf({ files, bytes, safeBytes, left }: HandOverOutcome) {
  const failure = failureOf(left);
  return {
    files,
    bytes,
    leftFiles: left.length,
    leftBytes: bytes - safeBytes,
    left: left.slice(0, LEFT_TOLD).map(({ id, size, state }) => ({ id, size, why: state })),
    ...(failure && { problem: { code: failure.code, message: failure.message, hint: failure.hint ?? '' } }),
  };
}
