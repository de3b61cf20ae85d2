import { readFileSync } from 'node:fs';

/*
 * What a process has used so far, as Linux tells it in /proc (proc_pid_stat(5), proc_pid_status(5)). Peak memory is
 * VmHWM: the most that was resident at any moment since the process started, shared pages of its program included.
 */

/** What a process has used so far. */
export interface ProcessUsage {
  /** Time on any core, of all threads, in user and kernel mode. Counted in steps of 10 ms. */
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

/** USER_HZ: the unit of times in /proc, 100 on every platform that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Places in /proc/PID/stat, counted from the field after the command's name. */
const USER_TIME = 11;
const CHILDREN_USER_TIME = 13;

/** Throws when the process is gone. */
export function usageOf(pid: number): ProcessUsage {
  return {
    cpuSeconds: cpuSecondsIn(readFileSync(`/proc/${pid}/stat`, 'utf8'), USER_TIME),
    peakBytes: peakBytesIn(readFileSync(`/proc/${pid}/status`, 'utf8')),
  };
}

/** CPU time of all children of this process that have ended. */
export function endedChildrenCpuSeconds(): number {
  return cpuSecondsIn(readFileSync('/proc/self/stat', 'utf8'), CHILDREN_USER_TIME);
}

/** Peak memory of a process that may end at any moment: undefined when it has. */
export function peakBytesOf(pid: number): number | undefined {
  try {
    return peakBytesIn(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    // Gone, or a zombie, which has no memory any more.
    return undefined;
  }
}

/** User and kernel time in the text of a /proc/PID/stat, the first of the two at `place`. */
function cpuSecondsIn(stat: string, place: number): number {
  // The command's name stands in brackets and may itself contain brackets and spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[place]) + Number(fields[place + 1])) / TICKS_PER_SECOND;
}

function peakBytesIn(status: string): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error('the process has no memory: it has ended');
  return Number(kibibytes) * 1024;
}
