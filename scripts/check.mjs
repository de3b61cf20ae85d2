// `npm run check [STEP ...]`: everything about the code that can be known without running it. Two steps run at a time;
// a step that passes says one line, one that fails says all it has to say. Last line: `N passed, N failed`.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { root, setUp } from './setup.mjs';

const STEPS = {
  types: { does: 'types agree', commands: [['tsc', '-p', '.']] },
  lint: { does: 'promises are awaited, imports stay in bounds', commands: [['eslint', '.', '--max-warnings', '0']] },
  format: { does: 'format and rules', commands: [['biome', 'ci', '--colors=off', '--error-on-warnings', '.']] },
  proto: {
    does: 'the gRPC contract',
    commands: [
      ['buf', 'lint'],
      ['buf', 'format', '--diff', '--exit-code'],
    ],
  },
  unused: { does: 'no dead code, no idle dependency', commands: [['knip', '--no-progress']] },
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(STEPS);
const unknown = wanted.filter((name) => !Object.hasOwn(STEPS, name));
if (unknown.length > 0) {
  console.error(`check: no step is called ${unknown.join(', ')}. Steps: ${Object.keys(STEPS).join(', ')}`);
  process.exit(2);
}

setUp({ isBuildWanted: false });

const waiting = [...wanted];
let failed = 0;
await Promise.all([work(), work()]);
console.log(`${wanted.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

async function work() {
  for (let name = waiting.shift(); name; name = waiting.shift()) {
    const { does, commands } = STEPS[name];
    const start = performance.now();
    let result = { isOk: true, output: '' };
    for (const command of commands) if (result.isOk) result = await runTool(command);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${result.isOk ? 'ok    ' : 'FAILED'} ${name.padEnd(6)}  ${does} (${seconds} s)`);
    if (result.isOk) continue;
    failed += 1;
    console.log(result.output.trimEnd());
  }
}

function runTool([tool, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(join(root, 'node_modules/.bin', tool), args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => resolve({ isOk: false, output: `${tool} did not start: ${error.message}` }));
    child.on('close', (code) => resolve({ isOk: code === 0, output: `${[tool, ...args].join(' ')}\n${output}` }));
  });
}
