import { firstByteTable, smallGetsTable } from './door-report.js';

const gets = (title: string, perSecond: number, index?: number) => ({
  ...{ title, perSecond, count: 100, p50: 1, p99: 9, max: 10 },
  cpuSeconds: { server: 0.0001, index, generator: 0.00002 },
});

describe('the report of the HTTP door', () => {
  test('compares each way with nginx in the same round', () => {
    const table = smallGetsTable([
      ...[gets('nginx (sendfile)', 1000), gets('a peer', 500, 0.00005)],
      ...[gets('a peer', 300, 0.00007), gets('nginx (sendfile)', 400)],
    ]);
    expect(table.split('\n').slice(2)).toEqual([
      '| nginx (sendfile) | 700 (400-1000) | 1.00 | 1.0 | 9.0 | 100 | - | 20 |',
      '| a peer | 400 (300-500) | 0.63 (0.50-0.75) | 1.0 | 9.0 | 100 | 60 (50-70) | 20 |',
    ]);
  });

  test('compares with nothing where nginx is not installed', () => {
    expect(
      smallGetsTable([gets('a peer', 500, 0.00005)])
        .split('\n')
        .at(-1),
    ).toBe('| a peer | 500 | - | 1.0 | 9.0 | 100 | 50 | 20 |');
    const first = { readThrough: 0.02, fetched: 0.01, head: 0.001, here: 0.002, nginx: undefined };
    expect(firstByteTable([first])).toContain('| from nginx | - |');
  });

  test('says what of the time to the first byte the fetch took', () => {
    const table = firstByteTable([
      { readThrough: 0.02, fetched: 0.012, head: 0.001, here: 0.002, nginx: 0.0005 },
      { readThrough: 0.03, fetched: 0.016, head: 0.001, here: 0.002, nginx: 0.0005 },
    ]);
    const figures = table
      .split('\n')
      .slice(2)
      .map((line) => line.split('|')[2]?.trim());
    expect(figures).toEqual(['25.0 (20.0-30.0)', '14.0 (12.0-16.0)', '11.0 (8.0-14.0)', '1.0', '2.0', '0.5']);
  });
});
