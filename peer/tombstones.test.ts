import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import type { Signer } from '../index-server/signer.js';
import { claimsFor, newSigner } from './testing/signatures.js';
import { waitFor } from './testing/wait-for.js';
import { TicketVerifier } from './tickets.js';
import { Tombstones } from './tombstones.js';

const NOW = Date.parse('2026-02-01T00:00:00Z');

let dir: string;
let signer: Signer;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-tombstones-'));
  signer = await newSigner();
});
afterEach(() => rm(dir, { recursive: true }));

const tombstone = (name: string, publishedAt = '2026-01-31T00:00:00.000Z') =>
  signer.record(claimsFor('a'.repeat(64), { kind: 'tombstone', name, publishedAt }));

/** The tombstones in the folder, as after a start. */
async function start(now = NOW) {
  const given: string[] = [];
  const script: { failure?: ShoalError } = {};
  const verifier = new TicketVerifier({ clockToleranceSeconds: 0 });
  verifier.setKeys([signer.publicJwk]);
  const tombstones = new Tombstones(
    {
      index: {
        restore: async (_auth, _name, records) => {
          if (script.failure !== undefined) throw script.failure;
          given.push(...records);
          return { restored: records.length, refused: 0 };
        },
      },
      membership: { auth: () => ({ bearer: 'token' }), peerName: 'me' },
      verifier,
      log: createLogger({ name: 'test', level: 'silent' }),
      now: () => now,
    },
    { dir },
  );
  await tombstones.open();
  return { tombstones, given, script };
}

const nothing = async () => undefined;

test('are kept before what they are the proof for is done, and over a restart', async () => {
  const { tombstones } = await start();
  const record = await tombstone('a');
  const onDisk = await tombstones.keepFor([record], () => readFile(join(dir, 'tombstones'), 'utf8'));
  expect(onDisk).toContain(record);
  const again = await start();
  again.tombstones.joined('store-1');
  await waitFor('they are given', () => again.given.length > 0);
  expect(again.given).toEqual([record]);
  await again.tombstones.stop();
});

test('are given once to each store, as soon as the index takes them', async () => {
  const first = await start();
  const record = await tombstone('a');
  await first.tombstones.keepFor([record], nothing);
  first.script.failure = new ShoalError('unavailable', 'away');
  first.tombstones.joined('store-1');
  await first.tombstones.stop();
  expect(first.given).toEqual([]);

  const second = await start();
  second.script.failure = new ShoalError('unavailable', 'away');
  second.tombstones.joined('store-1');
  delete second.script.failure;
  await waitFor('they are given', () => {
    second.tombstones.settle();
    return second.given.length > 0;
  });
  await second.tombstones.stop();
  second.tombstones.joined('store-1');
  await second.tombstones.stop();
  expect(second.given).toEqual([record]);

  const third = await start();
  third.tombstones.joined('store-1');
  await third.tombstones.stop();
  expect(third.given).toEqual([]);
  third.tombstones.joined('store-2');
  await waitFor('they are given to the new one', () => third.given.length > 0);
  await third.tombstones.stop();
});

test('are none that the index did not sign, and no records', async () => {
  const { tombstones } = await start();
  const stranger = await (await newSigner()).record(claimsFor('a'.repeat(64), { kind: 'tombstone' }));
  const record = await signer.record(claimsFor('a'.repeat(64)));
  expect(await tombstones.keepFor([stranger, record, 'nonsense'], async () => 'done')).toBe('done');
  tombstones.joined('store-1');
  const good = await tombstone('good');
  await tombstones.keepFor([good], nothing);
  const again = await start();
  again.tombstones.joined('store-2');
  await waitFor('they are given', () => again.given.length > 0);
  expect(again.given).toEqual([good]);
  await Promise.all([tombstones.stop(), again.tombstones.stop()]);
});

test('that are too old go, and so does what a crash left of a line', async () => {
  const { tombstones } = await start();
  const [old, young] = [await tombstone('old', '2025-12-01T00:00:00.000Z'), await tombstone('young')];
  await tombstones.keepFor([old, young], nothing);
  await appendFile(join(dir, 'tombstones'), young.slice(0, 50));
  const again = await start();
  const late = await tombstone('late');
  await again.tombstones.keepFor([late], nothing);
  const last = await start();
  last.tombstones.joined('store-1');
  await waitFor('they are given', () => last.given.length > 0);
  expect(last.given).toEqual([young, late]);
  await last.tombstones.stop();
});
