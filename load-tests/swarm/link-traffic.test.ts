import fc from 'fast-check';
import { linkUse, parseNetDev, parseShapedBytes, type Reading } from './link-traffic.js';

const NET_DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       1       0    0    0    0     0          0         0        2       0    0    0    0     0       0          0
    p0:2156      16    0    0    0     0          0         0     1980      23    0    0    0     0       0          0
   p10:    7      16    0    0    0     0          0         0     8      23    0    0    0     0       0          0
`;

describe('the counters of cards', () => {
  it('are read by name: what the hub receives is what the node sent', () => {
    expect(parseNetDev(NET_DEV, ['p10', 'p0'])).toEqual([
      { sentBytes: 7, receivedBytes: 8 },
      { sentBytes: 2156, receivedBytes: 1980 },
    ]);
  });

  it('must be there', () => {
    expect(() => parseNetDev(NET_DEV, ['p1'])).toThrow('no card p1');
  });
});

describe('the counter of a shaper', () => {
  it('is that of the discipline at the root', () => {
    const json = '[{"kind":"htb","root":true,"bytes":1500},{"kind":"bfifo","parent":"1:1","bytes":9}]';
    expect(parseShapedBytes(json)).toBe(1500);
  });

  it('must be there', () => {
    expect(() => parseShapedBytes('[]')).toThrow('no shaper');
  });
});

describe('the use of links', () => {
  /** Two nodes at 8 Mbit/s, which is 1,000 bytes a millisecond. */
  const reading = (atMs: number, sent: number, received: number): Reading => ({
    atMs,
    nodes: [
      { sentBytes: sent, receivedBytes: 0 },
      { sentBytes: 0, receivedBytes: received },
    ],
  });

  it('is told for equal slices of time, whenever the counters were read', () => {
    const use = linkUse([reading(0, 0, 0), reading(150, 150_000, 75_000), reading(200, 150_000, 100_000)], [8, 8], 2);
    expect(use.map(({ firstUplink, downlinks }) => [firstUplink, downlinks])).toEqual([
      [1, 0.5],
      [0.5, 0.5],
    ]);
  });

  it('adds up to all that was sent', () => {
    const steps = fc.array(fc.record({ ms: fc.integer({ min: 1, max: 500 }), bytes: fc.nat(100_000) }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 20 }), (history, slices) => {
        const readings = [reading(0, 0, 0)];
        for (const { ms, bytes } of history) {
          const last = readings.at(-1) as Reading;
          readings.push(reading(last.atMs + ms, (last.nodes[0]?.sentBytes ?? 0) + bytes, 0));
        }
        const last = readings.at(-1) as Reading;
        const use = linkUse(readings, [8, 8], slices);
        const sum = use.reduce((total, { firstUplink }) => total + firstUplink * (last.atMs / slices) * 1000, 0);
        expect(sum).toBeCloseTo(last.nodes[0]?.sentBytes ?? Number.NaN, 3);
      }),
    );
  });

  it('of a run that has not begun is not told', () => {
    expect(linkUse([reading(5, 0, 0)], [8, 8], 10)).toEqual([]);
  });
});
