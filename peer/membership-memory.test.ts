import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../common/log.js';
import { MembershipMemory } from './membership-memory.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shoal-'));
});
afterEach(() => rm(folder, { recursive: true }));

const known = {
  keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'x', kid: 'k' } as const],
  swarmToken: 'token',
  peers: [{ name: 'peer-2', address: 'a:1' }],
};
const memory = () =>
  new MembershipMemory({ log: createLogger({ name: 'test', level: 'silent' }) }, { path: join(folder, 'swarm.json') });

test('what was saved is there for the next process, for its owner alone', async () => {
  expect(await memory().load()).toBeUndefined();
  await memory().save({ ...known, swarmToken: 'older' });
  await memory().save(known);
  expect(await memory().load()).toEqual(known);
  expect((await stat(join(folder, 'swarm.json'))).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(['swarm.json']);
});

test('a damaged file is as good as none', async () => {
  await writeFile(join(folder, 'swarm.json'), '{"keys":[');
  expect(await memory().load()).toBeUndefined();
});
