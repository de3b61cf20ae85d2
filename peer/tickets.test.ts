import type { Signer } from '../index-server/signer.js';
import { claimsFor, newSigner } from './testing/signatures.js';
import { TicketVerifier } from './tickets.js';

const NOW = Date.parse('2026-01-02T03:04:05Z');
const ID = 'ab'.repeat(32);
const MINUTE = 60_000;

let signer: Signer;
let stranger: Signer;
beforeAll(async () => {
  signer = await newSigner();
  stranger = await newSigner();
});

const verifierOf = (...signers: Signer[]) => {
  const verifier = new TicketVerifier({ clockToleranceSeconds: 30 });
  verifier.setKeys(signers.map((each) => each.publicJwk));
  return verifier;
};
const readTicket = async (by: Signer = signer) =>
  (await by.ticket({ sub: 'u-ann', name: 'ann', act: 'read', file: ID }, NOW)).token;

describe('a ticket', () => {
  test('of the index passes and says who may do what', async () => {
    const claims = await verifierOf(signer).verifyTicket(await readTicket(), { nowMs: NOW, cutOff: false });
    expect(claims).toEqual({ sub: 'u-ann', name: 'ann', act: 'read', file: ID, exp: NOW / 1000 + 600 });
  });

  test('is refused after its expiry, a little clock difference aside', async () => {
    const ticket = await readTicket();
    const at = (nowMs: number) => verifierOf(signer).verifyTicket(ticket, { nowMs, cutOff: false });
    await expect(at(NOW + 10 * MINUTE + 20_000)).resolves.toMatchObject({ act: 'read' });
    await expect(at(NOW + 11 * MINUTE)).rejects.toMatchObject({ code: 'unauthenticated', message: /expired/ });
  });

  test('is honoured for an hour longer while the index is away', async () => {
    const ticket = await readTicket();
    const at = (nowMs: number) => verifierOf(signer).verifyTicket(ticket, { nowMs, cutOff: true });
    await expect(at(NOW + 69 * MINUTE)).resolves.toMatchObject({ act: 'read' });
    await expect(at(NOW + 71 * MINUTE)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test.each([
    ['of another index', async () => readTicket(stranger)],
    ['that was changed', async () => (await readTicket()).replace(/\.[^.]{4}/, '.AAAA')],
    [
      'that is a peer token for the index',
      async () => (await signer.peerToken({ name: 'p', incarnation: 'x' }, NOW)).token,
    ],
    ['that is a record', async () => signer.record(claimsFor(ID))],
    ['that is no JWS', async () => 'nonsense'],
    ['that nobody signed', async () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`],
  ])('%s is unauthenticated', async (_what, make) => {
    const ticket = await make();
    const verified = verifierOf(signer).verifyTicket(ticket, { nowMs: NOW, cutOff: true });
    await expect(verified).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  test('passes by any of the keys that the index has, and by none that it no longer has', async () => {
    const ticket = await readTicket();
    const verifier = verifierOf(stranger, signer);
    await expect(verifier.verifyTicket(ticket, { nowMs: NOW, cutOff: false })).resolves.toBeDefined();
    verifier.setKeys([stranger.publicJwk]);
    await expect(verifier.verifyTicket(ticket, { nowMs: NOW, cutOff: false })).rejects.toBeDefined();
  });
});

describe('a record', () => {
  test('of the index passes', async () => {
    const record = await signer.record(claimsFor(ID));
    await expect(verifierOf(signer).verifyRecord(record)).resolves.toEqual(claimsFor(ID));
  });

  test.each([
    ['of another index', async () => stranger.record(claimsFor(ID))],
    ['that is a ticket', async () => readTicket()],
    ['that is no JWS', async () => ''],
  ])('%s is corrupt', async (_what, make) => {
    await expect(verifierOf(signer).verifyRecord(await make())).rejects.toMatchObject({ code: 'corrupt' });
  });
});
