import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

test('stat tells all about a file', async () => {
  const { entry, sha256 } = cli.server.catalogue.add('dir/a', 'x'.repeat(70_000), { k: 'v' });
  expect(JSON.parse((await cli.run(['stat', 'dir/a', '-o', 'json'])).stdout)).toEqual({
    id: entry.id,
    name: 'dir/a',
    owner: 'shoal',
    size: 70_000,
    sha256,
    chunkSize: 65_536,
    chunks: 2,
    tags: { k: 'v' },
    visibility: 'public',
    replicas: 2,
    publishedAt: entry.publishedAt,
    version: 1,
    readers: [],
    holders: [
      { peer: 'peer-1', address: '127.0.0.1:4999', complete: true },
      { peer: 'peer-2', address: '127.0.0.1:4998', complete: false },
    ],
  });
  expect((await cli.run(['stat', 'shoal/dir/a', '-o', 'name'])).stdout).toBe('dir/a\n');
  expect((await cli.run(['stat', entry.id])).stdout.split('\n')).toEqual([
    'name:        dir/a',
    `id:          ${entry.id}`,
    'owner:       shoal',
    'size:        68.4 KiB (70000 bytes)',
    'visibility:  public',
    `published:   ${entry.publishedAt}`,
    'tags:        k=v',
    `sha256:      ${sha256}`,
    'version:     1',
    'chunks:      2 of 64.0 KiB',
    'replicas:    2 wanted',
    'readers:     -',
    'holder:      peer-1 127.0.0.1:4999',
    'holder:      peer-2 127.0.0.1:4998 (in part)',
    '',
  ]);
});

test('verify tells how many chunks were read', async () => {
  const { entry } = cli.server.catalogue.add('a', 'x'.repeat(70_000));
  cli.server.progress = [{ phase: 'PHASE_STORING', doneBytes: 1, totalBytes: 2 }];
  const { exitCode, stdout, stderr } = await cli.run(['verify', 'a', '--progress', 'json']);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stderr)).toMatchObject({ phase: 'verifying', doneBytes: 1, totalBytes: 2 });
  expect(stdout).toBe(`id:       ${entry.id}\nread:     2 chunks\ndamaged:  0 chunks\n`);
});

test('verify exits with 6 when chunks are damaged, and still tells which file', async () => {
  const file = cli.server.catalogue.add('a', 'x');
  file.damagedChunks = 1;
  const { exitCode, stdout, stderr } = await cli.run(['verify', 'a', '-o', 'json']);
  expect(exitCode).toBe(6);
  expect(JSON.parse(stdout)).toEqual({ id: file.entry.id, chunks: 1, damaged: 1 });
  expect(stderr).toBe(
    "shoal: 1 chunk of a did not match on this peer's disk\nhint: they are forgotten; fetch them again with: shoal get a\n",
  );
});

test('verify says when this peer holds nothing', async () => {
  cli.server.catalogue.add('a', '');
  expect((await cli.run(['verify', 'a'])).stderr).toBe('this peer holds nothing of the file\n');
});

test('rm removes', async () => {
  cli.server.catalogue.add('a', 'x');
  expect(await cli.run(['rm', 'a'])).toEqual({ exitCode: 0, stdout: '', stderr: 'removed a (1 version)\n' });
  expect(cli.server.catalogue.files).toEqual([]);
  cli.server.catalogue.add('a', 'x');
  expect(JSON.parse((await cli.run(['rm', 'a', '-o', 'json'])).stdout)).toEqual({ ref: 'a', removed: 1 });
  expect((await cli.run(['rm', 'a'])).exitCode).toBe(3);
});

test('tag sets and takes away', async () => {
  cli.server.catalogue.add('a', 'x', { old: '1', kept: '2' });
  const { stdout } = await cli.run(['tag', 'a', 'new=3', 'old-', '-o', 'json']);
  expect(JSON.parse(stdout)).toMatchObject({ name: 'a', tags: { kept: '2', new: '3' } });
  expect((await cli.run(['tag', 'a', 'x=y'])).stdout).toContain('tags:        kept=2, new=3, x=y\n');
});

test('share changes who may read', async () => {
  cli.server.catalogue.add('a', 'x');
  const shared = await cli.run([
    'share',
    'a',
    '--visibility',
    'private',
    '--share',
    'ann',
    '--share',
    'bob',
    '-o',
    'json',
  ]);
  expect(JSON.parse(shared.stdout)).toMatchObject({ name: 'a', visibility: 'private', readers: ['ann', 'bob'] });
  expect(shared.stderr).toBe('');
  expect((await cli.run(['share', 'a', '--unshare', 'ann'])).stdout).toContain('readers:     bob\n');
});

test('share says that sharing a public file changes nothing', async () => {
  cli.server.catalogue.add('a', 'x');
  expect((await cli.run(['share', 'a', '--share', 'ann'])).stderr).toContain('a is public, so everybody may read it');
});
