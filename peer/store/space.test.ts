import fc from 'fast-check';
import { createLogger } from '../../common/log.js';
import { type Loan, type Reservation, Space } from './space.js';

let lines: string[] = [];
beforeEach(() => {
  lines = [];
});

function spaceOf(options: {
  quotaBytes?: number;
  reserveBytes?: number;
  diskFreeBytes?: () => number;
  reclaim?: () => Promise<void>;
  freed?: () => void;
}): Space {
  const log = createLogger({ name: 'test', level: 'info' }, { write: (line) => lines.push(line) });
  return new Space(
    {
      log,
      diskFreeBytes: options.diskFreeBytes ?? (() => 1_000_000),
      reclaim: options.reclaim ?? (async () => {}),
      freed: options.freed ?? (() => {}),
    },
    { quotaBytes: options.quotaBytes ?? 0, reserveBytes: options.reserveBytes ?? 0 },
  );
}

describe('space', () => {
  it('is what is left of the quota, or of the disk', () => {
    expect(spaceOf({ quotaBytes: 10 }).freeBytes).toBe(10);
    expect(spaceOf({ quotaBytes: 10, diskFreeBytes: () => 7, reserveBytes: 2 }).freeBytes).toBe(5);
    expect(spaceOf({ diskFreeBytes: () => 7, reserveBytes: 9 }).freeBytes).toBe(0);
  });

  it('on the disk is not counted twice once bytes have landed there', async () => {
    let diskFreeBytes = 100;
    const space = spaceOf({ diskFreeBytes: () => diskFreeBytes });
    const reservation = await space.reserve(60, 'a');
    expect(space.freeBytes).toBe(40);
    diskFreeBytes -= 25;
    reservation.land(25);
    expect(space.freeBytes).toBe(40);
    reservation.land(1000);
    diskFreeBytes -= 35;
    expect(space.freeBytes).toBe(40);
    reservation.release();
    diskFreeBytes += 60;
    expect(space.freeBytes).toBe(100);
    expect(space.usedBytes).toBe(0);
  });

  it('that runs out is logged once, until something fits again', async () => {
    const space = spaceOf({ quotaBytes: 100 });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await expect(space.reserve(101, 'big')).rejects.toThrow('big needs');
    }
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 40, error: { code: 'exhausted' } });
    const small = await space.reserve(60, 'small');
    await expect(small.grow(50)).rejects.toThrow('small needs');
    expect(lines).toHaveLength(2);
  });

  it('says which limit was met, and what to do', async () => {
    const disk = spaceOf({ quotaBytes: 2_500_000, reserveBytes: 10_000 });
    await disk.reserve(990_000, 'a');
    await expect(disk.reserve(2e12, 'big.bin')).rejects.toThrow(
      'big.bin needs 2.00 TB, but only 0 bytes are left on the disk, of which 10.00 kB stay reserved',
    );
    const quota = spaceOf({ quotaBytes: 2_500 });
    await quota.reserve(1_000, 'a');
    await expect(quota.reserve(1_501, 'big.bin')).rejects.toThrow(
      'big.bin needs 1.50 kB, but only 1.50 kB are left of the quota of 2.50 kB, of which 1.00 kB are used',
    );
  });

  it('of what was there before may exceed the quota', () => {
    const space = spaceOf({ quotaBytes: 10 });
    const old = space.adopt(25, 25, 'a');
    expect(space).toMatchObject({ usedBytes: 25, freeBytes: 0 });
    old.release();
    expect(space.freeBytes).toBe(10);
  });

  it('that was on the disk and is given back is told of', async () => {
    let told = 0;
    const space = spaceOf({ freed: () => (told += 1) });
    const [landed, empty] = [await space.reserve(10, 'a'), await space.reserve(10, 'b')];
    landed.land(1);
    for (const each of [empty, landed, landed]) each.release();
    expect(told).toBe(1);
  });

  it('is lent until a file needs it, and not while it is being taken back', async () => {
    const loans: Loan[] = [];
    const space = spaceOf({
      quotaBytes: 100,
      reclaim: async () => {
        expect(space.lend(1)).toBeUndefined();
        for (const loan of loans.splice(0)) loan.release();
      },
    });
    const loan = space.lend(50);
    if (loan !== undefined) loans.push(loan);
    expect(space).toMatchObject({ usedBytes: 0, freeBytes: 100, lendableBytes: 50 });
    expect([loan?.grow(51), loan?.grow(10)]).toEqual([false, true]);
    await space.reserve(40, 'fits beside it');
    expect(loans).toHaveLength(1);
    const two = await Promise.all([space.reserve(30, 'a'), space.reserve(30, 'b')]);
    expect(loans).toHaveLength(0);
    expect(space).toMatchObject({ usedBytes: 100, freeBytes: 0, lendableBytes: 0 });
    for (const each of two) each.release();
    expect(space.lendableBytes).toBe(60);
  });

  it('that is lent on the disk counts as free, unless it is kept', async () => {
    let diskFreeBytes = 100;
    const space = spaceOf({ diskFreeBytes: () => diskFreeBytes, reclaim: async () => loan?.keep() });
    const loan = space.lend(70);
    expect(space).toMatchObject({ freeBytes: 100, lendableBytes: 30 });
    diskFreeBytes -= 70;
    loan?.landAll();
    expect(space).toMatchObject({ freeBytes: 100, lendableBytes: 30 });
    await expect(space.reserve(40, 'a')).rejects.toThrow('only 30 bytes are left');
    expect(space).toMatchObject({ usedBytes: 70, freeBytes: 30, lendableBytes: 30 });
    const old = space.adoptLoan(50);
    expect(space).toMatchObject({ usedBytes: 70, lendableBytes: 30, freeBytes: 80 });
    old.release();
    expect(space.freeBytes).toBe(30);
    loan?.release();
    diskFreeBytes += 70;
    expect(space).toMatchObject({ usedBytes: 0, freeBytes: 100, lendableBytes: 100 });
  });

  it('adds up after any history, and never promises more than there is', async () => {
    const change = fc.tuple(
      fc.constantFrom('reserve', 'grow', 'land', 'release', 'lend', 'repay', 'keep', 'release kept'),
      fc.nat({ max: 60 }),
      fc.nat({ max: 5 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 60 }), async (changes) => {
        let loan: Loan | undefined;
        let lentBytes = 0;
        const kept: Loan[] = [];
        const repay = (): void => {
          loan?.release();
          loan = undefined;
          lentBytes = 0;
        };
        const space = spaceOf({ quotaBytes: 100, reclaim: async () => repay() });
        const held: Reservation[] = [];
        for (const [kind, bytes, which] of changes) {
          const { freeBytes, lendableBytes } = space;
          const reservation = held[which % Math.max(1, held.length)];
          if (kind === 'land') reservation?.land(bytes);
          else if (kind === 'release') reservation?.release();
          else if (kind === 'repay') repay();
          else if (kind === 'keep') {
            loan?.keep();
            if (loan !== undefined) kept.push(loan);
            loan = undefined;
            lentBytes = 0;
          } else if (kind === 'release kept') kept.splice(which % Math.max(1, kept.length), 1)[0]?.release();
          else if (kind === 'lend') {
            const lent = loan === undefined ? space.lend(bytes) : loan.grow(bytes);
            if (typeof lent === 'object') loan = lent;
            expect(lent !== undefined && lent !== false).toBe(bytes <= lendableBytes);
            if (lent) lentBytes += bytes;
          } else {
            const act = async (): Promise<unknown> =>
              kind === 'reserve' ? held.push(await space.reserve(bytes, 'x')) : reservation?.grow(bytes);
            if (bytes > freeBytes && (kind === 'reserve' || reservation)) await expect(act()).rejects.toThrow();
            else await act();
          }
          expect(space.usedBytes).toBe([...held, ...kept].reduce((sum, each) => sum + each.bytes, 0));
          expect(space.usedBytes + lentBytes).toBeLessThanOrEqual(100);
        }
        repay();
        for (const each of [...held, ...kept]) each.release();
        expect(space).toMatchObject({ usedBytes: 0, freeBytes: 100 });
      }),
    );
  });
});
