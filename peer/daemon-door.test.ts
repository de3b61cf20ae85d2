import { randomBytes } from 'node:crypto';
import { startSwarm, type TestPeer } from './testing/harness.js';
import { waitFor } from './testing/wait-for.js';

/* What the HTTP door of a peer that has a file says of it the moment after the index was told otherwise, under load. */

const READERS = 8;

let swarm: Awaited<ReturnType<typeof startSwarm>>;
let a: TestPeer;
let b: TestPeer;
beforeAll(async () => {
  swarm = await startSwarm(2);
  [a, b] = swarm.peers as [TestPeer, TestPeer];
}, 30_000);
afterAll(() => swarm.remove(), 30_000);

async function get(peer: TestPeer, ref: string, session?: string) {
  const headers = session === undefined ? undefined : { Authorization: `Bearer ${session}` };
  const response = await fetch(`${peer.url}/files/${ref}`, { ...(headers && { headers }) });
  return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
}

async function put(peer: TestPeer, name: string, content: Buffer, headers: Record<string, string> = {}) {
  const response = await fetch(`${peer.url}/files/${name}`, { method: 'PUT', body: content, headers });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

async function sessionOf(username: string): Promise<string> {
  const answer = await fetch(`${swarm.index.url}/api/v1/accounts`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password: `${username}-password` }),
  });
  return ((await answer.json()) as { token: string }).token;
}

/**
 * Has many read these files again and again at one peer, until `change` is over; then what each of them gets that asks
 * from now on, one answer of each reader for each reference.
 */
async function afterwards(peer: TestPeer, refs: readonly string[], change: () => Promise<unknown>) {
  let isOver = false;
  let reads = 0;
  const readers = Array.from({ length: READERS }, async () => {
    while (!isOver) {
      for (const ref of refs) await get(peer, ref);
      reads += 1;
    }
    return Promise.all(refs.map((ref) => get(peer, ref)));
  });
  await waitFor('all readers read', async () => reads >= READERS);
  await change();
  isOver = true;
  return (await Promise.all(readers)).flat();
}

describe('the door of a peer that has the file', () => {
  test('does not give it out after its removal was acknowledged, by name or by id', async () => {
    const content = randomBytes(10_000);
    const id = await put(a, 'doomed', content);
    expect((await get(b, 'doomed')).body.equals(content)).toBe(true);
    await put(a, 'kept', content.subarray(1));
    const answers = await afterwards(b, ['doomed', id, 'kept'], () => a.user.client.call('Remove', { ref: 'doomed' }));
    expect(answers.map(({ status }) => status)).toEqual(Array(READERS).fill([404, 404, 200]).flat());
  });

  test('gives the new version as soon as it is published', async () => {
    const [old, fresh] = [randomBytes(10_000), randomBytes(10_000)];
    await put(a, 'renewed', old);
    const answers = await afterwards(b, ['renewed'], () => put(a, 'renewed', fresh));
    expect(answers.every(({ body }) => body.equals(fresh))).toBe(true);
  });

  test('gives it to nobody else once it is private', async () => {
    const ann = await sessionOf('ann');
    const id = await put(a, 'open', randomBytes(10_000), { Authorization: `Bearer ${ann}` });
    const answers = await afterwards(b, ['ann/open', id], async () => {
      const answer = await fetch(`${swarm.index.url}/api/v1/files/open`, {
        method: 'PATCH',
        headers: { Authorization: `Bearer ${ann}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({ visibility: 'private' }),
      });
      expect(answer.status).toBe(200);
    });
    expect(answers.map(({ status }) => status)).toEqual(Array(2 * READERS).fill(404));
    expect((await get(b, 'ann/open', ann)).status).toBe(200);
  });

  test('gives a private file to its owner alone, whoever asks at the same time', async () => {
    const [carl, dora] = [await sessionOf('carl'), await sessionOf('dora')];
    const content = randomBytes(10_000);
    const owner = { Authorization: `Bearer ${carl}`, 'Shoal-Visibility': 'private' };
    const id = await put(b, 'diary', content, owner);
    const callers = [carl, dora, undefined, 'made-up'];
    const asked = Array.from({ length: 5 * callers.length }, (_, i) => callers[i % callers.length]);
    const refs = ['carl/diary', id];
    const answers = await Promise.all(asked.flatMap((caller) => refs.map((ref) => get(b, ref, caller))));
    answers.forEach(({ status, body }, i) => {
      const caller = asked[Math.floor(i / refs.length)];
      expect([caller, status]).toEqual([caller, caller === carl ? 200 : caller === 'made-up' ? 401 : 404]);
      if (caller !== carl) expect(body.includes(content.subarray(0, 100))).toBe(false);
    });
  });
});
