import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/*
 * The token bucket of the program that shapes links, which is Python: driven here with a clock of its own. Where there is
 * no Python 3 there is no such shaper either.
 */

const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0;
const SCRIPT = join(import.meta.dirname, 'userland-shaper.py');

/** What the bucket lets pass: frames of these sizes put in at once, then one look each millisecond. */
const DRIVER = `
import importlib.machinery, importlib.util, json, sys
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("shaper", sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("shaper", loader))
loader.exec_module(module)
options = json.loads(sys.argv[2])
bucket = module.Bucket(options["rate"], options["burst"], options["limit"])
for number, size in enumerate(options["sizes"]):
    bucket.put(bytes([number % 256]) * size)
passed = []
for ms in range(options["ms"]):
    while (frame := bucket.take(ms / 1000)) is not None:
        passed.append([ms, len(frame), frame[0]])
print(json.dumps({"passed": passed, "next": bucket.seconds_to_next()}))
`;

function drive(options: { rate: number; burst: number; limit: number; sizes: readonly number[]; ms: number }): {
  readonly passed: readonly (readonly [ms: number, bytes: number, number: number])[];
  readonly next: number | null;
} {
  const { stdout, stderr } = spawnSync('python3', ['-c', DRIVER, SCRIPT, JSON.stringify(options)], {
    encoding: 'utf8',
  });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as ReturnType<typeof drive>;
}

(HAS_PYTHON ? describe : describe.skip)('the token bucket of the userland shaper', () => {
  it('lets a burst pass at once, and then what the rate allows, in order', () => {
    const { passed, next } = drive({ rate: 100_000, burst: 3000, limit: 1e6, sizes: Array(20).fill(1000), ms: 100 });
    let bytes = 0;
    for (const [ms, size] of passed) {
      bytes += size;
      expect(bytes).toBeLessThanOrEqual(3000 + 100 * ms);
    }
    expect(passed.map(([, , number]) => number)).toEqual(passed.map((_, at) => at));
    expect(passed.filter(([ms]) => ms === 0)).toHaveLength(3);
    // 3,000 bytes and 99 ms at 100 bytes a millisecond.
    expect(passed).toHaveLength(12);
    expect(next).toBeCloseTo(0.001, 3);
  });

  it('drops what waits beyond the limit', () => {
    const { passed, next } = drive({ rate: 1e6, burst: 1000, limit: 5000, sizes: Array(20).fill(1000), ms: 1000 });
    expect(passed.map(([, , number]) => number)).toEqual([0, 1, 2, 3, 4]);
    expect(next).toBeNull();
  });
});
