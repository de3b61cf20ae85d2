import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const HEAP_GROWTH = join(import.meta.dirname, '../dist/common/heap-growth.js');

/** The most that a process takes for its heap, in MiB, that keeps 40 MiB and makes garbage that lives for a while. */
function peakMiB(before: string): number {
  const script = `
    ${before}
    const kept = Array.from({ length: 400_000 }, (_, i) => ({ i, text: String(i) }));
    let passing = [];
    let peak = 0;
    for (let i = 0; i < 20_000_000; i += 1) {
      passing.push({ i });
      if (passing.length === 1_000_000) passing = [];
      if (i % 100_000 === 0) peak = Math.max(peak, process.memoryUsage().heapTotal);
    }
    console.log(kept.length > 0 && Math.round(peak / 2 ** 20));`;
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
}

test('a heap that may grow less takes less for the same work', () => {
  const growing = (percent: number) =>
    peakMiB(`import { setHeapGrowth } from ${JSON.stringify(HEAP_GROWTH)}; setHeapGrowth(${percent});`);
  expect(growing(40)).toBeLessThan(0.8 * growing(300));
});
