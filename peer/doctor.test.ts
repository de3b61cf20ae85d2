import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '../common/errors.js';
import type { Peer } from '../index-server/api/peers.js';
import { Doctor, type DoctorDeps, type Finding } from './doctor.js';
import type { Membership } from './membership.js';

const silent = new ShoalError('unavailable', 'no answer');
const info = (peer: string) => ({ peer, version: '1', draining: false, connectMs: 2, roundTripMs: 1 });

let dir: string;
let index: Server;
let date: Date;
let status: number;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-'));
  [date, status] = [new Date(), 200];
  index = createServer((_request, response) => {
    response.sendDate = false;
    response.writeHead(status, { date: date.toUTCString() }).end('ok');
  });
  await new Promise<void>((resolve) => index.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  index.closeAllConnections();
  index.close();
  await rm(dir, { recursive: true });
});

interface Sick {
  readonly membership?: Partial<Membership>;
  readonly info?: DoctorDeps['peers']['info'];
  readonly peers?: readonly Partial<Peer>[] | ShoalError;
  readonly usage?: Partial<ReturnType<DoctorDeps['store']['usage']>>;
  readonly dirs?: { readonly dataDir?: string; readonly shareDir?: string };
  readonly indexUrl?: string;
  readonly tls?: DoctorDeps['tls'];
}

async function diagnose(sick: Sick = {}): Promise<Record<string, Finding>> {
  const membership = {
    auth: () => ({ bearer: 'token' }),
    state: 'live',
    lastError: undefined,
    livePeerCount: 3,
    peerName: 'me',
    address: 'me:1',
    livePeers: [
      { name: 'p1', address: 'p1:1' },
      { name: 'p2', address: 'p2:1' },
    ],
    ...sick.membership,
  } as unknown as Membership;
  const doctor = new Doctor(
    {
      index: {
        peers: async () => {
          if (sick.peers instanceof ShoalError) throw sick.peers;
          return (sick.peers ?? [{ name: 'p1', version: '1', state: 'live' }]) as Peer[];
        },
      },
      membership,
      peers: { info: sick.info ?? (async (address) => info(address.split(':')[0] ?? '')) },
      store: {
        usage: () => ({
          ...{ usedBytes: 10, freeBytes: 90, quotaBytes: 0, files: 1, partialFiles: 0, unsettledLogs: 0 },
          ...sick.usage,
        }),
      },
      tls: sick.tls,
      fetch,
      now: Date.now,
      random: Math.random,
    },
    {
      indexUrl: sick.indexUrl ?? `http://127.0.0.1:${(index.address() as AddressInfo).port}`,
      dataDir: dir,
      shareDir: dir,
      version: '1',
      timeoutMs: 500,
      ...sick.dirs,
    },
  );
  const findings = await doctor.diagnose(new AbortController().signal);
  for (const { result, hint } of findings) expect(hint === undefined).toBe(result === 'ok');
  return Object.fromEntries(findings.map((finding) => [finding.name, finding]));
}

test('all is well, and nothing is left in the data folder', async () => {
  const findings = await diagnose();
  expect(Object.values(findings).filter(({ result }) => result !== 'ok')).toEqual([]);
  expect(await readdir(dir)).toEqual([]);
});

describe('finds', () => {
  test('a disk that does not take what small files left in the log', async () => {
    const { disk } = await diagnose({ usage: { unsettledLogs: 2 } });
    expect(disk).toMatchObject({ result: 'failed', detail: expect.stringContaining('2 logs of small files') });
  });

  test('an index that does not answer, within its time', async () => {
    index.close();
    const findings = await diagnose({ indexUrl: 'http://127.0.0.1:1' });
    expect(findings['index']).toMatchObject({ result: 'failed', hint: expect.stringContaining('SHOAL_INDEX_URL') });
  });

  test('one failure where the index does not answer, not one for all that depends on it', async () => {
    const findings = await diagnose({
      indexUrl: 'http://127.0.0.1:1',
      membership: { state: 'cut off', lastError: silent },
      peers: silent,
    });
    const failed = Object.values(findings).filter(({ result }) => result === 'failed');
    expect(failed.map(({ name }) => name)).toEqual(['index']);
    for (const name of ['membership', 'clock', 'versions']) {
      expect(findings[name]).toMatchObject({ result: 'warning', detail: 'skipped: the index does not answer' });
    }
  });

  test('what the index refuses while it answers', async () => {
    const findings = await diagnose({ membership: { state: 'cut off', lastError: silent }, peers: silent });
    expect([findings['membership']?.result, findings['versions']?.result]).toEqual(['failed', 'failed']);
  });

  test('an index whose store is away', async () => {
    status = 503;
    expect((await diagnose())['index']).toMatchObject({ result: 'failed', detail: expect.stringContaining('503') });
  });

  test('a peer that is not in the swarm, and why', async () => {
    const lastError = new ShoalError('denied', 'wrong join secret', { hint: 'use the right one' });
    expect((await diagnose({ membership: { state: 'joining', lastError } }))['membership']).toEqual({
      name: 'membership',
      result: 'failed',
      detail: 'not in the swarm yet: wrong join secret',
      hint: 'use the right one',
    });
    expect((await diagnose({ membership: { state: 'cut off' } }))['membership']?.result).toBe('failed');
    expect((await diagnose({ membership: { state: 'draining' } }))['membership']?.result).toBe('warning');
  });

  test.each([
    [-7_000, 'warning', 'ahead of'],
    [90_000, 'failed', 'behind'],
  ])('a clock that differs by %i ms', async (ms, result, words) => {
    date = new Date(Date.now() + ms);
    expect((await diagnose())['clock']).toMatchObject({ result, detail: expect.stringContaining(words) });
  });

  test('an address at which nobody, or somebody else, answers', async () => {
    const nobody = await diagnose({
      info: async () => {
        throw silent;
      },
    });
    expect(nobody['own address']).toMatchObject({ result: 'failed', detail: 'me:1 does not answer: no answer' });
    expect(nobody['other peers']).toMatchObject({ result: 'failed' });
    const other = await diagnose({ info: async () => info('impostor') });
    expect(other['own address']).toMatchObject({ result: 'failed', detail: expect.stringContaining('impostor') });
  });

  test('a peer that cannot be reached, by name', async () => {
    const findings = await diagnose({
      info: async (address) => {
        if (address === 'p2:1') throw silent;
        return info('me');
      },
    });
    expect(findings['other peers']).toMatchObject({ result: 'warning', detail: expect.stringContaining('p2 (p2:1)') });
  });

  test('no more than a sample of a large swarm is called', async () => {
    const livePeers = Array.from({ length: 500 }, (_, i) => ({ name: `p${i}`, address: `p${i}:1` }));
    const called: string[] = [];
    await diagnose({
      membership: { livePeers },
      info: async (address) => {
        called.push(address);
        return info('me');
      },
    });
    expect(called.length).toBeLessThan(20);
    expect(new Set(called).size).toBe(called.length);
  });

  test('peers of another version, those that are gone left out', async () => {
    const peers = ['0', '0', '0', '0', '1'].map((version, i) => ({ name: `p${i}`, version, state: 'live' as const }));
    const findings = await diagnose({ peers: [...peers, { name: 'old', version: '0', state: 'gone' }] });
    expect(findings['versions']).toMatchObject({
      result: 'warning',
      detail: 'this peer runs 1; p0 0, p1 0, p2 0 and 1 more',
    });
  });

  test('a disk that is full, or nearly', async () => {
    expect((await diagnose({ usage: { freeBytes: 0 } }))['space']?.result).toBe('failed');
    expect((await diagnose({ usage: { usedBytes: 99, freeBytes: 1 } }))['space']?.result).toBe('warning');
  });

  test('folders that cannot be used', async () => {
    const missing = join(dir, 'missing');
    const findings = await diagnose({ dirs: { dataDir: missing, shareDir: missing } });
    expect(findings['data folder']?.result).toBe('failed');
    expect(findings['share folder']).toMatchObject({
      result: 'warning',
      hint: expect.stringContaining('SHOAL_SHARE_DIR'),
    });
  });
});
