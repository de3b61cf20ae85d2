import { basename } from 'node:path';
import type { BenchEnvironment } from './environment.js';
import { type MeasuredCommand, runMeasured } from './measured-command.js';
import type { Nginx } from './nginx.js';
import { usageOf } from './process-usage.js';
import type { TwoSides } from './shoal-transfer.js';
import { withCopy } from './work-file.js';

/** What people use where they have no Shoal, with the same bytes, in the same run. */

/** A file sent by nginx and received by curl. */
export interface Download {
  readonly seconds: number;
  readonly cpuSeconds: TwoSides;
  readonly peakBytes: TwoSides;
}

/** nginx to `curl -o`. The file lies in the folder that nginx serves. */
export async function download(bench: BenchEnvironment, nginx: Nginx, source: string): Promise<Download> {
  return await withCopy(bench, source, async (target) => {
    const before = usageOf(nginx.pid);
    const url = `${nginx.url}/${basename(source)}`;
    const curl = await runMeasured(['curl', '--silent', '--show-error', '--fail', '-o', target, url], bench);
    const after = usageOf(nginx.pid);
    return {
      seconds: curl.seconds,
      cpuSeconds: { sender: after.cpuSeconds - before.cpuSeconds, receiver: curl.cpuSeconds },
      peakBytes: { sender: after.peakBytes, receiver: curl.peakBytes },
    };
  });
}

/** A plain copy that is on the disk when it is over. */
export async function copyDurably(bench: BenchEnvironment, source: string): Promise<MeasuredCommand> {
  return await withCopy(bench, source, (target) =>
    runMeasured(['dd', `if=${source}`, `of=${target}`, 'bs=1M', 'conv=fdatasync', 'status=none'], bench),
  );
}

/** Reads the file and computes its SHA-256, as OpenSSL does it: nothing that does so can be faster on one core. */
export async function hashOnly(bench: BenchEnvironment, source: string): Promise<MeasuredCommand> {
  return await runMeasured(['openssl', 'dgst', '-sha256', source], bench);
}
