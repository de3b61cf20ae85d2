import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { footprintOf } from '../store/footprint.js';
import { isLive, startPeer, startSwarm, type TestPeer } from '../testing/harness.js';
import { waitFor } from '../testing/wait-for.js';
import { type Answer, ask, jsonOf, type Question } from './testing/exchange.js';

const MIB = 1024 * 1024;
let swarm: Awaited<ReturnType<typeof startSwarm>>;
let near: TestPeer;
let far: TestPeer;

beforeAll(async () => {
  swarm = await startSwarm(2, { SHOAL_QUOTA_BYTES: '64Mi' });
  [near, far] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(async () => {
  await swarm.remove();
});

async function to(peer: TestPeer, question: Omit<Question, 'port'>): Promise<Answer> {
  return await ask({ port: peer.daemon.httpPort, ...question });
}

async function put(path: string, body: Question['body'], headers: Record<string, string> = {}): Promise<Answer> {
  return await to(near, { method: 'PUT', path: `/files/${path}`, headers, ...(body !== undefined && { body }) });
}

async function usedBytes(peer: TestPeer): Promise<number> {
  return (await peer.user.client.call('Status', {})).bytesUsed;
}

/** A session of a new user. */
async function sessionOf(username: string): Promise<string> {
  const answer = await near.user.client.call('Register', { username, password: `${username}-password` });
  return answer.session;
}

function digestOf(content: Buffer): string {
  return `sha-256=:${createHash('sha256').update(content).digest('base64')}:`;
}

describe('PUT of a file', () => {
  it.each([
    ['empty', 0],
    ['one', 1],
    ['folder/with space/ü%.bin', 65_537],
    ['large.bin', 5 * MIB + 3],
    ['x'.repeat(1024), 10],
  ])('publishes %s, for everybody to get', async (name, size) => {
    const content = randomBytes(size);
    const path = name.split('/').map(encodeURIComponent).join('/');
    const answer = await put(path, content, { 'Content-Length': String(size), 'Content-Digest': digestOf(content) });
    expect(answer.status).toBe(201);
    const { id } = jsonOf(answer) as { id: string };
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(jsonOf(answer)).toEqual({ id, name, size, sha256 });
    expect(answer.headers).toMatchObject({ location: `/files/${id}`, etag: `"${id}"` });
    for (const ref of [path, id, `shoal/${path}`, encodeURIComponent(name)]) {
      const got = await to(far, { path: `/files/${ref}` });
      expect([ref, got.status, got.body.equals(content)]).toEqual([ref, 200, true]);
      expect(got.headers['repr-digest']).toBe(digestOf(content));
    }
  });

  it('takes a body of unknown length', async () => {
    const content = randomBytes(MIB + 1);
    const answer = await put('streamed', Readable.from([content.subarray(0, 7), content.subarray(7)]));
    expect(answer.status).toBe(201);
    expect((await to(near, { path: '/files/streamed' })).body.equals(content)).toBe(true);
  });

  it('makes a new version of a name that is taken, which every get sees from then on', async () => {
    const first = jsonOf(await put('versioned', 'one'));
    expect((await to(far, { path: '/files/versioned' })).body.toString()).toBe('one');
    await put('versioned', 'two');
    expect((await to(far, { path: '/files/versioned' })).body.toString()).toBe('two');
    expect((await to(far, { path: `/files/${String(first['id'])}` })).body.toString()).toBe('one');
  });

  it('carries tags, visibility and readers', async () => {
    const [owner, friend, stranger] = await Promise.all(['put-owner', 'put-friend', 'put-stranger'].map(sessionOf));
    const headers = {
      Authorization: `Bearer ${owner}`,
      'Shoal-Tag': 'team=ml, note=a%2Cb',
      'Shoal-Share': 'put-friend',
    };
    const { id } = jsonOf(await put('shared/file', 'for friends', headers)) as { id: string };
    const stat = await fetch(`${swarm.index.url}/api/v1/files/${id}`, {
      headers: { Authorization: `Bearer ${owner}` },
    });
    await expect(stat.json()).resolves.toMatchObject({
      owner: 'put-owner',
      tags: { team: 'ml', note: 'a,b' },
      visibility: 'private',
      readers: ['put-friend'],
    });
    const read = async (session: string | undefined) => {
      const asWho = session === undefined ? {} : { Authorization: `Bearer ${session}` };
      return (await to(far, { path: `/files/${id}`, headers: asWho })).status;
    };
    expect(await Promise.all([owner, friend, stranger, undefined].map(read))).toEqual([200, 200, 404, 404]);

    await fetch(`${swarm.index.url}/api/v1/files/${id}`, {
      method: 'PATCH',
      headers: { Authorization: `Bearer ${owner}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ removeReaders: ['put-friend'] }),
    });
    expect(await read(friend)).toBe(404);
  });

  it('is refused without a good session, and reads no body', async () => {
    const headers = { Authorization: 'Bearer nobody', 'Content-Length': String(32 * MIB), Expect: '100-continue' };
    const answer = await put('x', randomBytes(32 * MIB), headers);
    expect([answer.status, answer.wasAskedForBody]).toEqual([401, false]);
  });

  it('is refused before its body is sent when there is no room', async () => {
    const before = await usedBytes(near);
    const headers = { 'Content-Length': String(65 * MIB), Expect: '100-continue' };
    const answer = await put('too-large', Buffer.alloc(65 * MIB), headers);
    expect([answer.status, answer.wasAskedForBody, jsonOf(answer)['code']]).toEqual([507, false, 'exhausted']);
    const streamed = await put('too-large', Readable.from(Array.from({ length: 65 }, () => Buffer.alloc(MIB, 1))));
    expect([streamed.status, jsonOf(streamed)['code']]).toEqual([507, 'exhausted']);
    expect(await usedBytes(near)).toBe(before);
  });

  it('asks for the body when it will be taken', async () => {
    const answer = await put('expected', 'body', { 'Content-Length': '4', Expect: '100-continue' });
    expect([answer.status, answer.wasAskedForBody]).toEqual([201, true]);
  });

  it.each([
    ['a//b', {}, 400],
    ['a/../b', {}, 400],
    ['a%00b', {}, 400],
    ['%ff', {}, 400],
    ['', {}, 400],
    ['x'.repeat(1025), {}, 400],
    ['ab'.repeat(32), {}, 400],
    ['f', { 'Shoal-Tag': 'novalue' }, 400],
    ['f', { 'Shoal-Visibility': 'secret' }, 400],
    ['f', { 'Shoal-Share': 'not a user' }, 400],
    ['f', { 'Content-Range': 'bytes 0-1/2' }, 400],
    ['f', { 'Content-Digest': 'sha-256=:AAAA:' }, 400],
    ['f', { 'Content-Encoding': 'gzip' }, 415],
  ])('is refused as %s with %o: %d', async (path, headers, status) => {
    const answer = await put(path, 'body', { ...headers, Expect: '100-continue', 'Content-Length': '4' });
    expect([answer.status, answer.wasAskedForBody]).toEqual([status, false]);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect((await to(near, { path: '/files/f' })).status).toBe(404);
  });

  it('keeps nothing of a body that is not what its digest says', async () => {
    const before = await usedBytes(near);
    const answer = await put('wrong', randomBytes(100_000), { 'Repr-Digest': digestOf(randomBytes(3)) });
    expect([answer.status, jsonOf(answer)['code']]).toEqual([400, 'invalid']);
    expect((await to(near, { path: '/files/wrong' })).status).toBe(404);
    expect(await usedBytes(near)).toBe(before);
  });

  it.each(['Content-Length: 1000', 'Transfer-Encoding: chunked'])(
    'keeps nothing of a body that is cut off: %s',
    async (length) => {
      const before = await usedBytes(near);
      const socket = connect(near.daemon.httpPort, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(`PUT /files/cut HTTP/1.1\r\nHost: localhost\r\n${length}\r\n\r\n5\r\nhello\r\n`);
      socket.end();
      await once(socket.resume(), 'close');
      expect((await to(near, { path: '/files/cut' })).status).toBe(404);
      await waitFor('what came of it is gone', async () => (await usedBytes(near)) === before);
    },
  );

  it('writes only where its preconditions hold', async () => {
    const free = { 'If-None-Match': '*' };
    const first = jsonOf(await put('guarded', 'one', free));
    const taken = await put('guarded', 'two', free);
    expect([taken.status, jsonOf(taken)['code']]).toEqual([412, 'conflict']);
    expect((await put('guarded', 'two', { 'If-Match': '"other"' })).status).toBe(412);
    expect((await put('guarded', 'two', { 'If-Match': `"${String(first['id'])}"` })).status).toBe(201);
    expect((await put('unknown', 'one', { 'If-Match': '*' })).status).toBe(412);
    // Somebody else's file of that name does not take it from me.
    const headers = { ...free, Authorization: `Bearer ${await sessionOf('put-other')}` };
    expect((await put('guarded', 'mine', headers)).status).toBe(201);
  });

  it('gives a free name to one of many who want it at once, and keeps nothing of the others', async () => {
    const before = await Promise.all([near, far].map(usedBytes));
    const contents = Array.from({ length: 8 }, () => randomBytes(50_000));
    const headers = { 'If-None-Match': '*' };
    const answers = await Promise.all(
      contents.map((body, i) => to(i % 2 === 0 ? near : far, { method: 'PUT', path: '/files/wanted', headers, body })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(412)]);
    const winner = contents[answers.findIndex(({ status }) => status === 201)];
    expect((await to(near, { path: '/files/wanted' })).body.equals(winner ?? Buffer.alloc(0))).toBe(true);
    await waitFor('the others are gone', async () => {
      const [atNear = 0, atFar = 0] = await Promise.all([near, far].map(usedBytes));
      // The winner's bytes are at its own peer, and at the other only if that is where they were asked for.
      return atNear + atFar - (before[0] ?? 0) - (before[1] ?? 0) <= 2 * footprintOf(50_000);
    });
  });

  it('counts what it takes', async () => {
    const peer = await startPeer(swarm.index, 'peer-counted');
    try {
      await isLive(peer);
      await to(peer, { method: 'PUT', path: '/files/counted', body: randomBytes(1234) });
      const text = (await to(peer, { path: '/metrics' })).body.toString();
      expect(text).toContain('shoal_peer_received_bytes_total{kind="http"} 1234');
      expect(text).toContain('shoal_peer_http_requests_total{route="/files/{ref}",method="PUT",code="201"} 1');
    } finally {
      await peer.remove();
    }
  });
});
