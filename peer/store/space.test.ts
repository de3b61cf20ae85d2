import fc from 'fast-check';
import { createLogger } from '../../common/log.js';
import { type Reservation, Space } from './space.js';

let lines: string[] = [];
beforeEach(() => {
  lines = [];
});

function spaceOf(options: { quotaBytes?: number; reserveBytes?: number; diskFreeBytes?: () => number }): Space {
  const log = createLogger({ name: 'test', level: 'info' }, { write: (line) => lines.push(line) });
  return new Space(
    { log, diskFreeBytes: options.diskFreeBytes ?? (() => 1_000_000) },
    { quotaBytes: options.quotaBytes ?? 0, reserveBytes: options.reserveBytes ?? 0 },
  );
}

describe('space', () => {
  it('is what is left of the quota, or of the disk', () => {
    expect(spaceOf({ quotaBytes: 10 }).freeBytes).toBe(10);
    expect(spaceOf({ quotaBytes: 10, diskFreeBytes: () => 7, reserveBytes: 2 }).freeBytes).toBe(5);
    expect(spaceOf({ diskFreeBytes: () => 7, reserveBytes: 9 }).freeBytes).toBe(0);
  });

  it('on the disk is not counted twice once bytes have landed there', () => {
    let diskFreeBytes = 100;
    const space = spaceOf({ diskFreeBytes: () => diskFreeBytes });
    const reservation = space.reserve(60, 'a');
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

  it('that runs out is logged once, until something fits again', () => {
    const space = spaceOf({ quotaBytes: 100 });
    for (let attempt = 0; attempt < 3; attempt += 1) expect(() => space.reserve(101, 'big')).toThrow('big needs');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 40, error: { code: 'exhausted' } });
    const small = space.reserve(60, 'small');
    expect(() => small.grow(50)).toThrow('small needs');
    expect(lines).toHaveLength(2);
  });

  it('says which limit was met, and what to do', () => {
    const disk = spaceOf({ quotaBytes: 2_500_000, reserveBytes: 10_000 });
    disk.reserve(990_000, 'a');
    expect(() => disk.reserve(2e12, 'big.bin')).toThrow(
      'big.bin needs 2.00 TB, but only 0 bytes are left on the disk, of which 10.00 kB stay reserved',
    );
    const quota = spaceOf({ quotaBytes: 2_500 });
    quota.reserve(1_000, 'a');
    expect(() => quota.reserve(1_501, 'big.bin')).toThrow(
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

  it('adds up after any history, and never promises more than there is', () => {
    const change = fc.tuple(
      fc.constantFrom('reserve', 'grow', 'land', 'release'),
      fc.nat({ max: 60 }),
      fc.nat({ max: 5 }),
    );
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const space = spaceOf({ quotaBytes: 100 });
        const held: Reservation[] = [];
        for (const [kind, bytes, which] of changes) {
          const { freeBytes } = space;
          const reservation = held[which % Math.max(1, held.length)];
          if (kind === 'land') reservation?.land(bytes);
          else if (kind === 'release') reservation?.release();
          else {
            const act = (): unknown =>
              kind === 'reserve' ? held.push(space.reserve(bytes, 'x')) : reservation?.grow(bytes);
            if (bytes > freeBytes && (kind === 'reserve' || reservation)) expect(act).toThrow();
            else act();
          }
          expect(space.usedBytes).toBe(held.reduce((sum, each) => sum + each.bytes, 0));
          expect(space.usedBytes).toBeLessThanOrEqual(100);
        }
        for (const each of held) each.release();
        expect(space).toMatchObject({ usedBytes: 0, freeBytes: 100 });
      }),
    );
  });
});
