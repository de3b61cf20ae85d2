import type { Progress } from '../../../proto/gen/shoal/control/v1/Progress.js';
import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

const id = (n: number) => n.toString(16).padStart(64, '0');
const HALF: Progress = {
  ...{ phase: 'PHASE_HANDING_OVER', doneBytes: 300, totalBytes: 600 },
  ...{ doneFiles: 1, totalFiles: 3 },
};

test('drain tells that everything is elsewhere', async () => {
  cli.server.drained = { peer: 'peer-1', state: 'draining', files: 3, bytes: 600 };
  cli.server.progress = [HALF];
  const { exitCode, stdout, stderr } = await cli.run(['drain', '--progress', 'json']);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stderr)).toMatchObject({
    ...{ phase: 'handing over', doneBytes: 300, totalBytes: 600 },
    files: { done: 1, total: 3 },
  });
  expect(stdout.split('\n')).toEqual([
    'peer:       peer-1',
    'state:      draining',
    'elsewhere:  3 files, 600 B',
    'only here:  nothing',
    '',
  ]);
  expect(JSON.parse((await cli.run(['drain', '-o', 'json'])).stdout)).toEqual({
    ...{ peer: 'peer-1', state: 'draining', files: 3, bytes: 600, leftFiles: 0, leftBytes: 0, left: [] },
  });
});

test.each([
  ['unavailable', 'no_peer', 5],
  ['exhausted', 'no_space', 9],
])('drain that ends as %s tells what is left, and exits accordingly', async (code, why, expected) => {
  const left = Array.from({ length: 12 }, (_, n) => ({ id: id(n), size: 50, why }));
  cli.server.drained = {
    ...{ peer: 'peer-1', state: 'draining', files: 13, bytes: 700, leftFiles: 12, leftBytes: 600, left },
    problem: { code, message: '12 files are only on this peer', hint: 'do something' },
  };
  const { exitCode, stdout, stderr } = await cli.run(['drain']);
  expect(exitCode).toBe(expected);
  expect(stdout).toContain('elsewhere:  1 file, 100 B\nonly here:  12 files, 600 B\n');
  expect(stdout).toContain(`left:       ${id(0)}  50 B  ${why.replace('_', ' ')}\n`);
  expect(stdout.match(/^left:/gm)).toHaveLength(10);
  expect(stderr).toBe('shoal: 12 files are only on this peer\nhint: do something\n');
  const json = JSON.parse((await cli.run(['drain', '-o', 'json'])).stdout);
  expect(json).toMatchObject({ leftFiles: 12, left });
  expect((await cli.run(['drain', '-o', 'name'])).stdout).toBe(left.map((file) => `${file.id}\n`).join(''));
});

test('drain that is given up tells how far it is, and that the peer goes on', async () => {
  cli.server.drained = undefined;
  cli.server.progress = [HALF];
  let giveUp = () => {};
  const { exitCode, stdout, stderr } = await cli.run(['drain', '--progress', 'json'], {
    onStart: (interrupt) => {
      giveUp = interrupt;
    },
    onStderr: (text) => {
      if (text.includes('handing over')) giveUp();
    },
  });
  expect([exitCode, stdout]).toEqual([130, '']);
  expect(stderr.split('\n').slice(1)).toEqual([
    '2 of 3 files are on no other peer yet; this one goes on draining',
    'shoal: interrupted',
    '',
  ]);
});

test('drain --undo takes it back', async () => {
  const { exitCode, stdout } = await cli.run(['drain', '--undo']);
  expect([exitCode, stdout]).toEqual([0, 'peer:   peer-1\nstate:  live\n']);
  expect(cli.server.calls.map(({ method, request }) => [method, request])).toEqual([['Drain', { undo: true }]]);
});
