import { ShoalError, toShoalError } from '../../common/errors.js';
import { isFileId } from '../../common/names.js';
import type { VerifyRequest__Output } from '../../proto/gen/shoal/control/v1/VerifyRequest.js';
import type { VerifyResponse } from '../../proto/gen/shoal/control/v1/VerifyResponse.js';
import type { ChunkStore } from '../chunk-store.js';
import { isPublic } from '../records.js';
import type { Retriever } from '../retrieve.js';
import type { CallEdge, Caller, EventSink } from './call.js';
import { named } from './files.js';
import type { ControlHandlers } from './handlers.js';

interface Deps {
  readonly retriever: Pick<Retriever, 'locate'>;
  readonly store: Pick<ChunkStore, 'get'>;
}

/** The call that reads what is held of a file and checks it. */
export function verifyHandlers(edge: CallEdge, deps: Deps): Pick<ControlHandlers, 'Verify'> {
  return {
    Verify: edge.events('Verify', async ({ ref }: VerifyRequest__Output, caller, sink: EventSink<VerifyResponse>) => {
      const id = await idOf(deps, named(ref), caller);
      const file = deps.store.get(id);
      if (file === undefined) {
        throw new ShoalError('not_found', `nothing of '${ref}' is on this peer`, {
          hint: 'run this on a peer that holds it; shoal stat REF lists them',
        });
      }
      const { chunks, damaged } = await file.verify(caller.signal, (doneBytes, totalBytes) => {
        sink.sendProgress({ progress: { phase: 'PHASE_STORING', doneBytes, totalBytes, peers: 0 } });
      });
      await sink.send({ done: { id, chunks, damaged: damaged.length } });
    }),
  };
}

async function idOf({ retriever, store }: Deps, ref: string, { onBehalf, signal }: Caller): Promise<string> {
  try {
    return (await retriever.locate(ref, { onBehalf }, signal)).file.id;
  } catch (thrown) {
    const error = toShoalError(thrown);
    // What everybody may read can be verified here without asking.
    const isAway = error.code === 'unavailable' || error.code === 'timeout';
    if (isAway && isFileId(ref) && isPublic(store.get(ref)?.records ?? [])) return ref;
    throw error;
  }
}
