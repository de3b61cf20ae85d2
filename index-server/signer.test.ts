import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import type { RecordClaims } from './api/statements.js';
import { openSigner, Signer } from './signer.js';

const NOW = Date.UTC(2031, 0, 1);
const ID = 'ab'.repeat(32);
const CLAIMS: RecordClaims = {
  kind: 'record',
  id: ID,
  ownerId: 'u1',
  owner: 'ann',
  name: 'models/a.bin',
  version: 3,
  size: 10,
  sha256: 'cd'.repeat(32),
  chunkSize: 65536,
  chunks: 1,
  tags: { a: 'b' },
  visibility: 'private',
  readers: ['u2'],
  replicas: 2,
  publishedAt: new Date(NOW).toISOString(),
};

function newPem(type: 'ed25519' | 'x25519' = 'ed25519'): string {
  const { privateKey } = type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

describe('a signer', () => {
  let signer: Signer;
  beforeAll(async () => {
    signer = await Signer.fromPem(newPem());
  });

  test('signs records that it knows again, the same way every time', async () => {
    const record = await signer.record(CLAIMS);
    expect(await signer.record(CLAIMS)).toBe(record);
    expect(await signer.verifyRecord(record)).toEqual(CLAIMS);
  });

  test('refuses records of another key, and anything that is not a record', async () => {
    const other = await Signer.fromPem(newPem());
    const ticket = await signer.ticket({ sub: 'u1', name: 'ann', act: 'read', file: ID }, NOW);
    for (const text of [await other.record(CLAIMS), ticket.token, '', 'a.b.c', `${await signer.record(CLAIMS)}x`]) {
      await expect(signer.verifyRecord(text)).rejects.toMatchObject({ code: 'invalid' });
    }
  });

  test('makes tickets that anyone with the public key can check', async () => {
    const { token, expiresAt } = await signer.ticket({ sub: 'u1', name: 'ann', act: 'read', file: ID }, NOW);
    expect(expiresAt).toBe(NOW + 600_000);
    const keys = createLocalJWKSet({ keys: [signer.publicJwk] });
    const { payload } = await jwtVerify(token, keys, { audience: 'shoal-peer', currentDate: new Date(NOW) });
    expect(payload).toMatchObject({ sub: 'u1', name: 'ann', act: 'read', file: ID });
    expect(decodeProtectedHeader(token).kid).toBe(signer.publicJwk.kid);
  });

  test('takes its own tickets back until they expire, and no other token for one', async () => {
    const { token } = await signer.ticket({ sub: 'u1', name: 'ann', act: 'publish' }, NOW);
    expect(await signer.verifyTicket(token, NOW + 599_000)).toMatchObject({ sub: 'u1', act: 'publish' });
    await expect(signer.verifyTicket(token, NOW + 601_000)).rejects.toMatchObject({
      code: 'unauthenticated',
      message: 'the token has expired',
    });
    const { token: peerToken } = await signer.peerToken({ name: 'p1', incarnation: 'i1' }, NOW);
    await expect(signer.verifyTicket(peerToken, NOW)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('knows peer tokens, and takes neither tickets nor records for one', async () => {
    const { token, expiresAt } = await signer.peerToken({ name: 'p1', incarnation: 'i1' }, NOW);
    expect(await signer.verifyPeerToken(token, NOW)).toEqual({ peer: { name: 'p1', incarnation: 'i1' }, expiresAt });
    const swarm = await signer.ticket({ sub: 'peer:p1', name: 'p1', act: 'peer' }, NOW);
    for (const text of [swarm.token, await signer.record(CLAIMS), 'x.y.z']) {
      await expect(signer.verifyPeerToken(text, NOW)).rejects.toMatchObject({ code: 'unauthenticated' });
    }
  });

  test.each([
    ['x25519 key', newPem('x25519')],
    ['text', 'hello'],
    ['empty file', ''],
  ])('refuses an %s', async (_what, pem) => {
    await expect(Signer.fromPem(pem)).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('the key file', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shoal-signer-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('is made on the first start, readable by its owner alone, and stays', async () => {
    const path = join(folder, 'deep', 'key.pem');
    const first = await openSigner(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await openSigner(path)).publicJwk).toEqual(first.publicJwk);
  });

  test('is one, however many servers start at once', async () => {
    const path = join(folder, 'key.pem');
    const signers = await Promise.all(Array.from({ length: 8 }, () => openSigner(path)));
    expect(new Set(signers.map((signer) => signer.publicJwk.kid)).size).toBe(1);
    expect(await readdir(folder)).toEqual(['key.pem']);
  });

  test('is left alone when it holds something else', async () => {
    const path = join(folder, 'key.pem');
    await writeFile(path, 'not a key');
    await expect(openSigner(path)).rejects.toMatchObject({ code: 'invalid' });
    expect(await readFile(path, 'utf8')).toBe('not a key');
  });

  test('that cannot be written or read is told by its path', async () => {
    await writeFile(join(folder, 'file'), '');
    const path = join(folder, 'file', 'key.pem');
    await expect(openSigner(path)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(path) });
  });
});
