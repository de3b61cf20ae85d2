import { readFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';

/** What figures taken here depend on, in one line: cores, memory, the file system of `folder`, kernel, Node. */
export async function describeMachine(folder: string): Promise<string> {
  const cores = cpus();
  const model = cores[0]?.model.trim() ?? 'unknown processor';
  const gibibytes = (totalmem() / 2 ** 30).toFixed(0);
  const { type, device } = mountOf(await realpath(folder), readFileSync('/proc/self/mounts', 'utf8'));
  return [
    `${cores.length} cores (${model}${hashExtension()})`,
    `${gibibytes} GiB of memory`,
    `${type} on ${device}`,
    `Linux ${release()}`,
    `Node ${process.versions.node}`,
  ].join(', ');
}

/** The mount that a path lies on, of those in the text of a /proc/self/mounts (fstab(5)): the longest that fits. */
export function mountOf(path: string, mounts: string): { readonly type: string; readonly device: string } {
  let best = { point: '', type: 'unknown file system', device: 'unknown device' };
  for (const line of mounts.split('\n')) {
    const [device, point, type] = line.split(' ').map(unescapeOctal);
    if (device === undefined || point === undefined || type === undefined) continue;
    const isAbove = path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`);
    // Of several on one point the last covers the others.
    if (isAbove && point.length >= best.point.length) best = { point, type, device };
  }
  return { type: best.type, device: best.device };
}

function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** SHA-256 is several times faster where the processor has instructions for it, which decides the speed of a put. */
function hashExtension(): string {
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? [];
  return flags.includes('sha_ni') || flags.includes('sha2') ? ', SHA instructions' : ', no SHA instructions';
}
