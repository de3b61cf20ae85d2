import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '../../common/errors.js';
import { ShareFolder } from './share-folder.js';

const NEVER = new AbortController().signal;
let root: string;
let dir: string;
let share: ShareFolder;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'shoal-share-'));
  dir = join(root, 'share');
  share = new ShareFolder({ dir });
  await share.prepare();
  await mkdir(join(root, 'outside'));
  await writeFile(join(root, 'outside', 'secret'), 'secret');
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

function expectedOf(text: string) {
  return { size: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') };
}

async function* pieces(...texts: string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

async function read(name: string): Promise<string> {
  const handle = await share.open(name);
  try {
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

describe('reading from the share folder', () => {
  it('opens files in it, in folders, and behind links that stay inside', async () => {
    await mkdir(join(dir, 'sub'));
    await writeFile(join(dir, 'sub', 'nä me'), 'inside');
    await symlink('sub', join(dir, 'link'));
    await expect(read('sub/nä me')).resolves.toBe('inside');
    await expect(read('link/nä me')).resolves.toBe('inside');
  });

  it.each(['../outside/secret', '/etc/passwd', 'a/../../outside/secret', 'a\0b', '', '.', 'sub//x', 'x/'])(
    'refuses the name %j',
    async (name) => {
      await expect(share.open(name)).rejects.toMatchObject({ code: 'invalid' });
    },
  );

  it('refuses links that lead out', async () => {
    await symlink(join(root, 'outside', 'secret'), join(dir, 'absolute'));
    await symlink('../outside', join(dir, 'folder'));
    await expect(share.open('absolute')).rejects.toMatchObject({ code: 'denied' });
    await expect(share.open('folder/secret')).rejects.toMatchObject({ code: 'denied' });
  });

  it('finds nothing but regular files', async () => {
    await mkdir(join(dir, 'sub'));
    await symlink('nowhere', join(dir, 'dangling'));
    await symlink('loop', join(dir, 'loop'));
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    for (const name of ['missing', 'missing/x', 'sub', 'dangling', 'loop', 'pipe']) {
      await expect(share.open(name)).rejects.toMatchObject({ code: 'not_found' });
    }
    await expect(share.open('x'.repeat(300))).rejects.toMatchObject({ code: 'invalid' });
  });

  it('follows the folder itself where it is a link', async () => {
    await writeFile(join(dir, 'a'), 'inside');
    await symlink(dir, join(root, 'alias'));
    const handle = await new ShareFolder({ dir: join(root, 'alias') }).open('a');
    await expect(handle.readFile('utf8')).resolves.toBe('inside');
    await handle.close();
  });
});

describe('receiving into the share folder', () => {
  const receive = (name: string, text: string, ...sent: string[]) =>
    share.receive(name, pieces(...(sent.length === 0 ? [text] : sent)), { expected: expectedOf(text), signal: NEVER });

  it('makes the file in one step, with its folders', async () => {
    await expect(receive('new/deep/file', 'hello', 'he', 'llo')).resolves.toBe('saved');
    await expect(readFile(join(dir, 'new/deep/file'), 'utf8')).resolves.toBe('hello');
    await expect(readdir(dir)).resolves.toEqual(['new']);
  });

  it('takes an empty file', async () => {
    await expect(receive('empty', '')).resolves.toBe('saved');
    await expect(readFile(join(dir, 'empty'), 'utf8')).resolves.toBe('');
  });

  it('leaves what is there, and says whether it is the same', async () => {
    await writeFile(join(dir, 'a'), 'mine');
    await expect(receive('a', 'mine')).resolves.toBe('already here');
    await expect(receive('a', 'theirs')).resolves.toBe('differs');
    await expect(readFile(join(dir, 'a'), 'utf8')).resolves.toBe('mine');
    await mkdir(join(dir, 'folder'));
    await expect(receive('folder', 'theirs')).resolves.toBe('differs');
    await symlink('nowhere', join(dir, 'dangling'));
    await expect(receive('dangling', 'theirs')).resolves.toBe('differs');
    await expect(readdir(dir)).resolves.toEqual(['a', 'dangling', 'folder']);
  });

  it.each([['hellO'], ['hell'], ['hello', '!']])('keeps nothing of wrong bytes: %s', async (...sent) => {
    await expect(receive('a', 'hello', ...sent)).rejects.toMatchObject({ code: 'corrupt' });
    await expect(readdir(dir)).resolves.toEqual([]);
  });

  it('keeps nothing of a download that broke off or was given up', async () => {
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.from('he');
      throw new Error('gone');
    }
    const expected = expectedOf('hello');
    await expect(share.receive('a', broken(), { expected, signal: NEVER })).rejects.toThrow('gone');
    const signal = AbortSignal.abort(new ShoalError('cancelled', 'the client went away'));
    await expect(share.receive('a', pieces('hello'), { expected, signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    await expect(readdir(dir)).resolves.toEqual([]);
  });

  it('never writes through a link that leads out', async () => {
    await symlink(join(root, 'outside'), join(dir, 'folder'));
    await expect(receive('folder/new', 'x')).rejects.toMatchObject({ code: 'denied' });
    await expect(receive('folder/deep/new', 'x')).rejects.toMatchObject({ code: 'denied' });
    await expect(readdir(join(root, 'outside'))).resolves.toEqual(['secret']);
  });

  it('refuses names that lead out', async () => {
    await expect(receive('../x', 'x')).rejects.toMatchObject({ code: 'invalid' });
    await expect(readdir(root)).resolves.toEqual(['outside', 'share']);
  });

  it('removes what an interrupted download left when it is prepared again', async () => {
    await writeFile(join(dir, '.shoal-1.part'), 'half');
    await writeFile(join(dir, 'mine.part'), 'mine');
    await share.prepare();
    await expect(readdir(dir)).resolves.toEqual(['mine.part']);
  });
});
