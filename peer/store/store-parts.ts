import { KeyedLanes } from '../../common/lane.js';
import type { Logger } from '../../common/log.js';
import type { Hasher } from '../hasher.js';
import { readBootId } from './boot-id.js';
import { FdCache } from './fd-cache.js';
import { Folders } from './folders.js';
import type { HeldFileDeps } from './held-file.js';
import { InfoCache } from './info-cache.js';
import { Ingester } from './ingest.js';
import { NewFiles } from './new-files.js';
import { ReadPace } from './read-pace.js';
import { RedoLog } from './redo-log.js';
import { SmallWriter } from './small-writer.js';
import { diskFreeBytes, Space } from './space.js';
import { StorePaths } from './store-paths.js';
import { Syncer } from './syncer.js';
import { WriteSlots } from './write-combiner.js';

const OPEN_FILES = 256;
/**
 * Writes go to memory first, so one keeps up with the network, in larger pieces for what it makes wait. More of them take
 * the cores from the event loop: it waited for one as long as it ran.
 */
const WRITES_AT_ONCE = 1;
/** Of a log; there are at most three. */
const REDO_BYTES = 64 * 1024 * 1024;
/** For manifests and records of files that are in use. */
const INFO_BYTES = 8 * 1024 * 1024;

/** What a store consists of, put together; nothing of it has looked at the disk yet. `dir` is an absolute path. */
export function buildStoreParts(
  deps: {
    readonly log: Logger;
    readonly hasher: Hasher;
    /** Fires when the store closes. */
    readonly closing: AbortSignal;
    readonly onEvent: HeldFileDeps['onEvent'];
  },
  options: { readonly dir: string; readonly quotaBytes: number; readonly reserveBytes: number },
) {
  const { log, hasher, closing, onEvent } = deps;
  const paths = new StorePaths(options.dir);
  const syncer = new Syncer();
  const folders = new Folders({ paths, syncer });
  const space: Space = new Space(
    {
      log,
      diskFreeBytes: () => diskFreeBytes(options.dir),
      reclaim: () => redo.clear(),
      freed: () => redo.tryAgain(),
    },
    options,
  );
  const shared = { log, hasher, paths, syncer, space, boot: readBootId(), closing };
  const redo: RedoLog = new RedoLog(shared, { logBytes: REDO_BYTES });
  const fileDeps: HeldFileDeps = {
    ...shared,
    redo,
    writer: new SmallWriter({ hasher }),
    fds: new FdCache({ log }, { capacity: OPEN_FILES }),
    pace: new ReadPace(),
    slots: new WriteSlots(WRITES_AT_ONCE),
    infos: new InfoCache({ capacityBytes: INFO_BYTES }),
    changes: new KeyedLanes(),
    onEvent,
  };
  const newFiles = new NewFiles({ ...fileDeps, folders, space });
  return { paths, folders, space, redo, fileDeps, newFiles, ingester: new Ingester(shared) };
}
