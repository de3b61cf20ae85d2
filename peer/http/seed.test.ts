import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startPeer, startSwarm, type TestPeer } from '../testing/harness.js';
import { waitFor } from '../testing/wait-for.js';
import { ask, jsonOf } from './testing/exchange.js';

const PASSWORD = 'correct horse';

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let near: TestPeer;
let far: TestPeer;

beforeAll(async () => {
  swarm = await startSwarm(2);
  [near, far] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(async () => {
  await swarm.remove();
});

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** POSTs JSON, or a text as it is. */
async function post(peer: TestPeer, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const answer = await ask({
    port: peer.daemon.httpPort,
    method: 'POST',
    path,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: answer.status, body: jsonOf(answer) };
}

async function login(peer: TestPeer, username: string): Promise<void> {
  const reply = await post(peer, '/clogin', { username, password: PASSWORD, url: peer.daemon.address });
  expect(reply).toMatchObject({ status: 200, body: { result: true } });
}

async function share(peer: TestPeer, name: string, content: string | Buffer): Promise<void> {
  const path = join(peer.config.shareDir, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}

async function shared(peer: TestPeer, name: string): Promise<Buffer> {
  return await readFile(join(peer.config.shareDir, name));
}

/** What a metric of a peer stands at. */
async function metric(peer: TestPeer, series: string): Promise<number> {
  const text = (await ask({ port: peer.daemon.httpPort, path: '/metrics' })).body.toString();
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

/** A session of the user, begun at the index itself. */
async function sessionOf(username: string): Promise<string> {
  const response = await fetch(`${swarm.index.url}/api/v1/sessions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password: PASSWORD }),
  });
  return ((await response.json()) as { token: string }).token;
}

describe('/clogin', () => {
  it('registers a new user, and logs in a known one, without a url too', async () => {
    const body = { username: 'login-new', password: PASSWORD, url: near.daemon.address };
    const registered = await post(near, '/clogin', body);
    expect(registered).toEqual({ status: 200, body: { message: expect.any(String), result: true } });
    expect(await post(near, '/clogin', body)).toMatchObject({ status: 200, body: { result: true } });
    const { url: _, ...without } = body;
    expect(await post(far, '/clogin', without)).toMatchObject({ status: 200, body: { result: true } });
  });

  it('keeps the session where only the owner of the data folder can read it', async () => {
    await login(near, 'login-kept');
    const { mode } = await stat(join(near.config.dataDir, 'seed-sessions.json'));
    expect(mode & 0o777).toBe(0o600);
  });

  it('is 401 with a wrong password', async () => {
    await login(near, 'login-wrong');
    const reply = await post(near, '/clogin', { username: 'login-wrong', password: 'wrong horse' });
    expect(reply).toEqual({ status: 401, body: { message: expect.any(String), result: false } });
  });

  it.each([
    [{ username: 'login-x', password: PASSWORD }, 'url'],
    [{ username: 'login-x', password: PASSWORD, url: 'evil.example:80' }, 'evil.example:80'],
    [{ username: 'login-x', password: PASSWORD, url: 'http://127.0.0.1' }, 'url'],
    [{ username: 'login-x', password: PASSWORD, url: 5 }, 'url'],
    [{ username: 'login-x', password: 'short', url: 'ADDRESS' }, 'password'],
    [{ username: 'no spaces', password: PASSWORD, url: 'ADDRESS' }, 'username'],
    [{ username: '', password: PASSWORD, url: 'ADDRESS' }, 'username'],
    [{ password: PASSWORD }, 'username'],
    [{ username: 'login-x' }, 'password'],
    [{ username: ['login-x'], password: PASSWORD }, 'username'],
    [{}, 'username is missing; password is missing'],
    [[], 'the body must be a JSON object'],
    ['null', 'the body must be a JSON object'],
    ['"x"', 'the body must be a JSON object'],
    ['{"username":', 'JSON'],
    ['', 'username'],
  ])('is 400 with %j, naming %s', async (body, named) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body).replace('ADDRESS', near.daemon.address);
    const reply = await post(near, '/clogin', text);
    expect(reply).toEqual({ status: 400, body: { message: expect.stringContaining(named), result: false } });
  });

  it('is 400 when the body is not sent as JSON', async () => {
    const headers = { 'Content-Type': 'text/plain' };
    expect(await post(near, '/clogin', '{}', headers)).toMatchObject({ status: 400, body: { result: false } });
  });

  it('refuses a token that is not of the user it names', async () => {
    await login(near, 'login-a');
    await login(near, 'login-b');
    const headers = { Authorization: `Bearer ${await sessionOf('login-a')}` };
    const reply = await post(near, '/clogin', { username: 'login-b', password: PASSWORD }, headers);
    expect(reply).toMatchObject({ status: 403, body: { result: false } });
    expect(await post(near, '/clogin', { username: 'login-a', password: PASSWORD }, headers)).toMatchObject({
      status: 200,
    });
    const unknown = await post(
      near,
      '/clogin',
      { username: 'login-a', password: PASSWORD },
      { Authorization: 'Bearer x' },
    );
    expect(unknown).toMatchObject({ status: 401, body: { result: false, code: 'unauthenticated' } });
  });
});

describe('/cindex', () => {
  it('publishes files of the share folder and uploads each to another peer', async () => {
    const content = randomBytes(300_000);
    await share(near, 'idx/data one.bin', content);
    await share(near, 'idx-empty', '');
    await login(near, 'idx');
    const calls = 'shoal_peer_grpc_calls_total{method="Upload",code="ok"}';
    const before = await metric(far, calls);
    const files = ['idx/data one.bin', 'idx-empty', 'missing.bin', 'idx-empty'];
    const reply = await post(near, '/cindex', { username: 'idx', files });
    expect(reply).toEqual({
      status: 200,
      body: {
        message: expect.any(String),
        files: ['idx/data one.bin', 'idx-empty'],
        operation: [
          `idx/data one.bin: uploaded to peer-2 (${far.daemon.address})`,
          `idx-empty: uploaded to peer-2 (${far.daemon.address})`,
          "missing.bin: 'missing.bin' is not in the share folder",
        ],
      },
    });
    expect((await metric(far, calls)) - before).toBe(2);
    await near.stop();
    try {
      const headers = { Authorization: `Bearer ${await sessionOf('idx')}` };
      const got = await ask({ port: far.daemon.httpPort, path: '/files/idx/idx/data%20one.bin', headers });
      expect(got.body.equals(content)).toBe(true);
    } finally {
      await near.start();
    }
  });

  it('names as new only what is new, and keeps what the owner said about a file', async () => {
    await share(near, 'again', 'one');
    await login(near, 'idx-again');
    const body = { username: 'idx-again', files: ['again'] };
    expect((await post(near, '/cindex', body)).body['files']).toEqual(['again']);
    const headers = { Authorization: `Bearer ${await sessionOf('idx-again')}`, 'Content-Type': 'application/json' };
    const patch = { tags: { keep: 'me' }, visibility: 'private' };
    const url = `${swarm.index.url}/api/v1/files/again`;
    await fetch(url, { method: 'PATCH', headers, body: JSON.stringify(patch) });
    const same = await post(near, '/cindex', body);
    expect(same.body).toMatchObject({ files: [], operation: [expect.stringContaining('uploaded')] });
    await share(near, 'again', 'two');
    expect((await post(near, '/cindex', body)).body['files']).toEqual(['again']);
    await expect((await fetch(url, { headers })).json()).resolves.toMatchObject({ ...patch, version: 2 });
  });

  it('never leaves the share folder', async () => {
    await writeFile(join(near.config.dataDir, 'secret'), 'secret');
    await symlink(join(near.config.dataDir, 'secret'), join(near.config.shareDir, 'link-out'));
    await login(near, 'idx-out');
    const names = ['../secret', join(near.config.dataDir, 'secret'), 'a\0b', 'link-out', '.', 'idx'];
    const { status, body } = await post(near, '/cindex', { username: 'idx-out', files: names });
    expect([status, body['files']]).toEqual([200, []]);
    const operation = body['operation'] as string[];
    expect(operation).toHaveLength(names.length);
    for (const line of operation.slice(0, 3)) expect(line).toContain('the name');
    expect(operation[3]).toContain('leads out');
    const found = await ask({ port: near.daemon.httpPort, path: '/files/idx-out/link-out' });
    expect(found.status).toBe(404);
  });

  it('publishes the others when an element is no name', async () => {
    await writeFile(join(near.config.shareDir, 'idx-good'), 'good');
    await login(near, 'idx-bad');
    const files = ['', 'x'.repeat(1025), 'idx-good'];
    const { status, body } = await post(near, '/cindex', { username: 'idx-bad', files });
    expect([status, body['files']]).toEqual([200, ['idx-good']]);
    expect(body['operation']).toEqual([
      expect.stringContaining("the name '' is empty"),
      expect.stringContaining('has 1025 bytes; at most 1024 are allowed'),
      expect.stringContaining('idx-good: uploaded'),
    ]);
  });

  it('uploads to itself when it is alone', async () => {
    const alone = await startSwarm(1);
    try {
      const [only] = alone.peers as [TestPeer];
      await share(only, 'lonely', 'content');
      await login(only, 'lonely');
      const { body } = await post(only, '/cindex', { username: 'lonely', files: ['lonely'] });
      expect(body).toMatchObject({
        files: ['lonely'],
        operation: [`lonely: uploaded to this peer (${only.daemon.address})`],
      });
      expect(await metric(only, 'shoal_peer_grpc_calls_total{method="Upload",code="ok"}')).toBe(1);
    } finally {
      await alone.remove();
    }
  });

  it('tries another peer when one does not answer', async () => {
    // In the swarm as long as this takes, and where nobody answers: one that is killed is gone when its lease is over.
    const lost = await startPeer(swarm.index, 'peer-lost', { SHOAL_ADVERTISE_ADDRESS: '127.0.0.1:1' });
    try {
      await waitFor('peer-1 knows of it', async () => (await metric(near, 'shoal_peer_live_peers')) === 3);
      await share(near, 'tried-1', '1');
      await share(near, 'tried-2', '2');
      await login(near, 'idx-tried');
      const { body } = await post(near, '/cindex', { username: 'idx-tried', files: ['tried-1', 'tried-2'] });
      expect(body).toMatchObject({ files: ['tried-1', 'tried-2'] });
      for (const line of body['operation'] as string[]) expect(line).toContain('uploaded to peer-2');
      expect((body['operation'] as string[]).join()).toContain('peer-lost');
    } finally {
      await lost.remove();
    }
  });

  it('is 404 for a user who is unknown or logged out', async () => {
    const files = ['x'];
    const failed = { status: 404, body: { message: expect.any(String), result: false } };
    expect(await post(near, '/cindex', { username: 'nobody-here', files })).toEqual(failed);
    await login(near, 'idx-gone');
    await post(near, '/clogout', { username: 'idx-gone' });
    expect(await post(near, '/cindex', { username: 'idx-gone', files })).toEqual(failed);
    // Ended at the index, behind this peer's back.
    await login(near, 'idx-gone');
    const headers = { Authorization: `Bearer ${await sessionOf('idx-gone')}`, 'Content-Type': 'application/json' };
    const passwords = { currentPassword: PASSWORD, newPassword: `${PASSWORD} 2` };
    const changed = await fetch(`${swarm.index.url}/api/v1/account/password`, {
      method: 'PUT',
      headers,
      body: JSON.stringify(passwords),
    });
    expect(changed.status).toBe(204);
    expect(await post(near, '/cindex', { username: 'idx-gone', files })).toEqual(failed);
  });

  it('acts for a user whose token is sent, who need not have logged in here', async () => {
    await login(near, 'idx-token');
    const headers = { Authorization: `Bearer ${await sessionOf('idx-token')}` };
    await share(far, 'by-token', 'content');
    const reply = await post(far, '/cindex', { username: 'idx-token', files: ['by-token'] }, headers);
    expect(reply).toMatchObject({ status: 200, body: { files: ['by-token'] } });
    const other = await post(far, '/cindex', { username: 'idx-other', files: ['by-token'] }, headers);
    expect(other).toMatchObject({ status: 403, body: { result: false } });
  });

  it.each([
    [{ username: 'idx' }, 'files'],
    [{ files: [] }, 'username'],
    [{ username: 'idx', files: 'a' }, 'files'],
    [{ username: 'idx', files: ['a', 1] }, 'files[1] must be a string'],
    [{ username: 5, files: [] }, 'username'],
  ])('is 400 with %j, naming %s', async (body, named) => {
    const reply = await post(near, '/cindex', body);
    expect(reply).toEqual({ status: 400, body: { message: expect.stringContaining(named), result: false } });
  });
});

describe('a body that is too large', () => {
  it('is 413, and the answer arrives', async () => {
    const reply = await post(near, '/csearch', `{"files":["${'a'.repeat(5 * 1024 * 1024)}"]}`);
    expect(reply).toEqual({ status: 413, body: { message: expect.any(String), result: false } });
  });
});

describe('a list that is too long', () => {
  it.each(['/cindex', '/csearch'])('is 400 at %s', async (path) => {
    const reply = await post(near, path, { username: 'idx', files: Array(1001).fill('a') });
    expect(reply).toEqual({ status: 400, body: { message: expect.stringContaining('files'), result: false } });
  });
});

describe('/csearch', () => {
  beforeAll(async () => {
    await login(near, 'src');
    await share(near, 'src/big file.bin', Buffer.alloc(3_000_001, 7));
    await share(near, 'src-small', 'small');
    const files = ['src/big file.bin', 'src-small'];
    expect(await post(near, '/cindex', { username: 'src', files })).toMatchObject({ body: { files } });
  });

  it('downloads what it finds from where it was found, into the share folder', async () => {
    const third = await startPeer(swarm.index, 'peer-3');
    try {
      const names = ['src/big file.bin', 'src-small', 'not-there'];
      const { status, body } = await post(third, '/csearch', { files: names });
      expect(status).toBe(200);
      expect(body).toEqual({
        message: expect.any(String),
        files: ['src/big file.bin', 'src-small'].map((filename) => ({
          filename,
          peer: 'src',
          url: near.daemon.address,
        })),
        operation: [
          'not-there: not found',
          `src/big file.bin: downloaded from ${near.daemon.address} (3000001 bytes)`,
          `src-small: downloaded from ${near.daemon.address} (5 bytes)`,
        ],
      });
      expect((await shared(third, 'src/big file.bin')).equals(Buffer.alloc(3_000_001, 7))).toBe(true);
      expect((await shared(third, 'src-small')).toString()).toBe('small');
      expect(await metric(near, 'shoal_peer_grpc_calls_total{method="Download",code="ok"}')).toBeGreaterThanOrEqual(2);

      const again = await post(third, '/csearch', { files: ['src-small'] });
      expect(again.body['operation']).toEqual(['src-small: already here']);
    } finally {
      await third.remove();
    }
  });

  it('never replaces a file that differs', async () => {
    await share(far, 'src-small', 'mine');
    const { body } = await post(far, '/csearch', { files: ['src-small'] });
    expect(body['operation']).toEqual([expect.stringMatching(/^src-small: not downloaded: .*another file/)]);
    expect((await shared(far, 'src-small')).toString()).toBe('mine');
    expect(await readdir(far.config.shareDir)).not.toContainEqual(expect.stringContaining('.part'));
  });

  it('says by name what is not found', async () => {
    const { status, body } = await post(near, '/csearch', { files: ['nowhere', '../etc/passwd'] });
    expect(status).toBe(200);
    expect(body).toMatchObject({ files: [], operation: ['nowhere: not found', '../etc/passwd: not found'] });
  });

  it('acts for the user it names, who may read what is shared with them', async () => {
    await login(near, 'src-reader');
    const headers = { Authorization: `Bearer ${await sessionOf('src')}`, 'Content-Type': 'application/json' };
    await share(near, 'src-private', 'for the reader');
    await post(near, '/cindex', { username: 'src', files: ['src-private'] });
    await fetch(`${swarm.index.url}/api/v1/files/src-private`, {
      method: 'PATCH',
      headers,
      body: JSON.stringify({ visibility: 'private', addReaders: ['src-reader'] }),
    });
    expect((await post(far, '/csearch', { files: ['src-private'] })).body['files']).toEqual([]);
    await login(far, 'src-reader');
    const { body } = await post(far, '/csearch', { username: 'src-reader', files: ['src-private'] });
    expect(body['operation']).toEqual([expect.stringContaining('downloaded from')]);
    expect((await shared(far, 'src-private')).toString()).toBe('for the reader');
    const unknown = await post(far, '/csearch', { username: 'nobody-here', files: ['src-private'] });
    expect(unknown).toEqual({ status: 404, body: { message: expect.any(String), result: false } });
  });

  it.each([
    [{}, 'files'],
    [{ files: null }, 'files'],
    [{ files: [{}] }, 'files[0]'],
    [{ files: [], username: 1 }, 'username'],
    ['{', 'JSON'],
  ])('is 400 with %j, naming %s', async (body, named) => {
    const reply = await post(near, '/csearch', body);
    expect(reply).toEqual({ status: 400, body: { message: expect.stringContaining(named), result: false } });
  });
});

describe('/clogout', () => {
  it('ends the session, after which the files are no longer found', async () => {
    await login(near, 'out');
    await share(near, 'out-file', 'content');
    await post(near, '/cindex', { username: 'out', files: ['out-file'] });
    expect((await post(far, '/csearch', { files: ['out-file'] })).body['files']).toHaveLength(1);
    const reply = await post(near, '/clogout', { username: 'out' });
    expect(reply).toEqual({ status: 200, body: { message: expect.any(String), result: true } });
    expect((await post(far, '/csearch', { files: ['out-file'] })).body['files']).toEqual([]);
    expect((await post(near, '/clogout', { username: 'out' })).status).toBe(404);
  });

  it('is 404 for an unknown user and 400 for none', async () => {
    const unknown = await post(near, '/clogout', { username: 'nobody-here' });
    expect(unknown).toEqual({ status: 404, body: { message: expect.any(String), result: false } });
    expect(await post(near, '/clogout', {})).toMatchObject({ status: 400, body: { result: false } });
  });
});

describe('the four routes', () => {
  it('go on after the peer was restarted', async () => {
    await login(near, 'restarted');
    await near.stop();
    await near.start();
    expect(await post(near, '/clogout', { username: 'restarted' })).toMatchObject({ status: 200 });
  });

  it('are 503, in their own form, while the index is away', async () => {
    await login(near, 'away');
    await swarm.index.stop();
    try {
      for (const [path, body] of [
        ['/clogin', { username: 'away', password: PASSWORD }],
        ['/cindex', { username: 'away', files: ['x'] }],
        ['/csearch', { files: ['x'] }],
        ['/clogout', { username: 'away' }],
      ] as const) {
        const reply = await post(near, path, body);
        expect(reply).toEqual({ status: 503, body: { message: expect.any(String), result: false } });
      }
      expect((await ask({ port: near.daemon.httpPort, path: '/readyz' })).status).toBe(200);
    } finally {
      await swarm.index.start();
    }
  });
});
