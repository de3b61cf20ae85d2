import { Hasher } from '../hasher.js';

/** What a disk says that does not take what is to be synced. */
const IO_ERROR = Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO', errno: -5, syscall: 'fsync' });

/** A hasher on a disk that can be made to fail: then it syncs none of the files that are `bad`. */
export class FailingDisk extends Hasher {
  /** Which paths the disk does not take; it begins well. */
  isBad: (path: string) => boolean = () => false;
  /** What was to be synced, whatever came of it: a list of paths each time. */
  readonly attempts: (readonly string[])[] = [];

  override async sync(job: Parameters<Hasher['sync']>[0], signal: AbortSignal): Promise<void> {
    this.attempts.push(job.paths);
    if (job.paths.some((path) => this.isBad(path))) throw IO_ERROR;
    await super.sync(job, signal);
  }
}
