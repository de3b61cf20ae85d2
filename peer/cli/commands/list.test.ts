import { CliHarness } from '../../testing/cli-harness.js';

let cli: CliHarness;

beforeEach(async () => {
  cli = await CliHarness.start();
});
afterEach(() => cli.stop());

const PUBLISHED_AT = '2026-01-02T03:04:05.000Z';

test('lists a page as a table and says how to go on', async () => {
  cli.server.catalogue.add('models/日本.bin', 'x'.repeat(1536), { lang: 'ja', a: 'b' });
  cli.server.catalogue.add('models/b', 'yy');
  cli.server.catalogue.add('models/c', 'z');
  const { exitCode, stdout, stderr } = await cli.run(['ls', 'models/']);
  expect(exitCode).toBe(0);
  expect(stdout.split('\n')).toEqual([
    'NAME                SIZE  OWNER  VISIBILITY  PUBLISHED                 TAGS',
    `models/日本.bin  1.5 KiB  shoal  public      ${PUBLISHED_AT}  a=b, lang=ja`,
    `models/b             2 B  shoal  public      ${PUBLISHED_AT}`,
    '',
  ]);
  expect(stderr).toBe('more: shoal ls models/ --page 2\n');
  expect((await cli.run(['ls', 'models/', '--page', '2', '-o', 'name'])).stdout).toBe('models/c\n');
});

test('fits the table to a terminal, and to nothing else', async () => {
  const name = `models/${'x'.repeat(300)}`;
  cli.server.catalogue.add(name, 'x', { k: 'v'.repeat(200) });
  cli.server.catalogue.add('short', 'x');
  const lines = (await cli.run(['ls'], { isTerminal: true, env: { NO_COLOR: '1' } })).stdout.split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBe(100);
  expect(lines[1]).toMatch(/^models\/x+… .* k=v+…$/);
  expect((await cli.run(['ls'])).stdout).toContain(`${name} `);
  expect((await cli.run(['ls', '-o', 'name'], { isTerminal: true })).stdout).toBe(`${name}\nshort\n`);
});

test('has the shape promised in JSON, a line each in jsonl', async () => {
  const a = cli.server.catalogue.add('a', 'x', { k: 'v' });
  for (const name of ['b', 'c']) cli.server.catalogue.add(name, name);
  const file = {
    id: a.entry.id,
    name: 'a',
    owner: 'shoal',
    size: 1,
    tags: { k: 'v' },
    visibility: 'public',
    publishedAt: PUBLISHED_AT,
  };
  const page = await cli.run(['ls', '--limit', '1', '-o', 'json']);
  expect(JSON.parse(page.stdout)).toEqual({ files: [file], nextPage: '1' });
  expect(page.stderr).toBe('');
  const last = JSON.parse((await cli.run(['ls', '--page', '2', '-o', 'json'])).stdout) as { nextPage: unknown };
  expect(last.nextPage).toBeNull();
  const lines = (await cli.run(['ls', '-o', 'jsonl'])).stdout.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([file, expect.objectContaining({ name: 'b' })]);
});

test('passes filters on and repeats them, quoted, in how to go on', async () => {
  for (const name of ["it's a", "it's b"]) cli.server.catalogue.add(name, 'x', { k: 'v w' });
  const { stdout, stderr } = await cli.run([
    'ls',
    "it's",
    '--tag',
    'k=v w',
    '--owner',
    'shoal',
    '--limit',
    '1',
    '-o',
    'name',
  ]);
  expect(stdout).toBe("it's a\n");
  expect(stderr).toBe("more: shoal ls 'it'\\''s' --tag 'k=v w' --owner shoal --limit 1 --page 1\n");
  expect(cli.server.calls[0]?.request).toEqual({
    prefix: "it's",
    tags: ['k=v w'],
    owner: 'shoal',
    limit: 1,
    page: '',
  });
});

test('says that there is nothing, and prints nothing', async () => {
  expect(await cli.run(['ls'])).toEqual({ exitCode: 0, stdout: '', stderr: 'no files\n' });
  expect(JSON.parse((await cli.run(['ls', '-o', 'json'])).stdout)).toEqual({ files: [], nextPage: null });
});

test('finds by several words', async () => {
  cli.server.catalogue.add('big model', 'x');
  cli.server.catalogue.add('small model', 'x');
  expect((await cli.run(['find', 'mod', 'big', '-o', 'name'])).stdout).toBe('big model\n');
  expect(cli.server.calls[0]?.request).toEqual({ text: 'mod big', limit: 0, page: '' });
  expect((await cli.run(['find', 'model', '--limit', '1'])).stderr).toBe('more: shoal find model --limit 1 --page 1\n');
});

test('lets no name and no tag move the cursor of a terminal', async () => {
  cli.server.catalogue.add('a\u001b[2J', 'x', { k: '\u009b31m' });
  for (const format of ['table', 'json', 'jsonl', 'name']) {
    const { stdout } = await cli.run(['ls', '-o', format], { isTerminal: true });
    expect(stdout.replaceAll('\u001b[1m', '').replaceAll('\u001b[0m', '')).not.toMatch(/[^\P{Cc}\n]/u);
  }
});
