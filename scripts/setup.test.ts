import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requireNode } from './setup.mjs';
import { makeClone, run } from './testing/clone.js';

// Each runs the compiler, some of them three times.
import.meta.jest.setTimeout(60_000);

describe('set-up', () => {
  let clone: string;
  const setUp = () => run(process.execPath, [join(clone, 'scripts/setup.mjs')]);
  const shoal = () => run(join(clone, 'node_modules/.bin/shoal'), []);

  beforeEach(async () => {
    clone = await makeClone('#!/usr/bin/env node\nconsole.log("first" as string);\n');
  });

  afterEach(() => rm(clone, { recursive: true, force: true }));

  test('makes what is missing, then has nothing to do or say', async () => {
    expect(await setUp()).toEqual({
      code: 0,
      out: '',
      err: 'set-up: generating gRPC types ...\nset-up: building ...\n',
    });
    expect(await shoal()).toMatchObject({ code: 0, out: 'first\n' });
    expect(await readFile(join(clone, 'proto/gen/g/Hello.ts'), 'utf8')).toContain("'at': (number)");
    expect(await setUp()).toEqual({ code: 0, out: '', err: '' });
  });

  test('builds again when a source changed, and forgets what is gone', async () => {
    await writeFile(join(clone, 'peer/gone.ts'), 'export const gone = true;\n');
    await setUp();
    await rm(join(clone, 'peer/gone.ts'));
    await writeFile(join(clone, 'peer/cli.ts'), '#!/usr/bin/env node\nconsole.log("second");\n');
    expect(await setUp()).toMatchObject({ code: 0, err: 'set-up: building ...\n' });
    expect(await shoal()).toMatchObject({ code: 0, out: 'second\n' });
    await expect(access(join(clone, 'dist/peer/gone.js'))).rejects.toThrow('ENOENT');
  });

  test('works once when two begin together', async () => {
    const results = await Promise.all([setUp(), setUp()]);
    expect(results.map((result) => result.code)).toEqual([0, 0]);
    expect(
      results
        .map((result) => result.err)
        .join('')
        .match(/building/g),
    ).toHaveLength(1);
    expect(await shoal()).toMatchObject({ code: 0, out: 'first\n' });
  });

  test('is not held up by one that was killed', async () => {
    const dead = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(dead, 'close');
    await writeFile(join(clone, '.setup.lock'), String(dead.pid));
    expect(await setUp()).toMatchObject({ code: 0 });
  });

  test('says what failed and keeps the build that works', async () => {
    await setUp();
    await writeFile(join(clone, 'peer/cli.ts'), 'console.log(;\n');
    const result = await setUp();
    expect(result.code).toBe(1);
    expect(result.err).toContain('peer/cli.ts(1,13): error TS');
    expect(result.err).toMatch(/set-up: failed \(exit code \d\): node .*tsc/);
    expect(await shoal()).toMatchObject({ code: 0, out: 'first\n' });
  });
});

test.each(['18.20.4', '20.18.3', '8.0.0'])('Node %s is refused by name', (version) => {
  expect(() => requireNode(version)).toThrow(`Shoal needs Node 20.19 or newer, and this is Node ${version}`);
});

test.each(['20.19.0', '22.1.0', '24.0.0'])('Node %s will do', (version) => {
  expect(() => requireNode(version)).not.toThrow();
});
