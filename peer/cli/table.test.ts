import { renderFacts, renderTable } from './table.js';

const COLUMNS = [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'OWNER' }] as const;

test('aligns columns, numbers at the right, wide characters as two', () => {
  const text = renderTable(
    COLUMNS,
    [
      ['日本.bin', '5 B', 'ann'],
      ['a', '1.5 MiB', 'bob'],
    ],
    { hasColor: false, columns: undefined },
  );
  expect(text).toBe('NAME         SIZE  OWNER\n日本.bin      5 B  ann\na         1.5 MiB  bob\n');
});

test('makes the head bold in colour, and only then', () => {
  expect(renderTable(COLUMNS, [], { hasColor: true, columns: undefined })).toBe(
    '\u001b[1mNAME  SIZE  OWNER\u001b[0m\n',
  );
});

test('lets no cell break its line', () => {
  expect(renderTable([{ title: 'A' }], [['x\ny\u001b[31m']], { hasColor: false, columns: undefined })).toBe(
    'A\nx\\u{a}y\\u{1b}[31m\n',
  );
});

test('puts facts under each other', () => {
  expect(
    renderFacts([
      ['id', 'abc'],
      ['owner', 'ann\n'],
    ]),
  ).toBe('id:     abc\nowner:  ann\\u{a}\n');
});

describe('in a terminal', () => {
  const columns = [{ title: 'NAME', isElastic: true }, { title: 'SIZE' }, { title: 'TAGS', isElastic: true }] as const;
  const lines = (rows: readonly (readonly string[])[], width: number) =>
    renderTable(columns, rows, { hasColor: false, columns: width }).split('\n');

  test('cuts the widest elastic cells until all fit', () => {
    const rows = [
      ['n'.repeat(1000), '5 B', 'k=v'],
      ['short', '5 B', 't'.repeat(25)],
    ];
    expect(lines(rows, 60)).toEqual([
      `NAME${' '.repeat(23)}  SIZE  TAGS`,
      `${'n'.repeat(26)}…  5 B   k=v`,
      `short${' '.repeat(22)}  5 B   ${'t'.repeat(25)}`,
      '',
    ]);
  });

  test('counts wide characters as two, and cuts none in half', () => {
    expect(lines([['日'.repeat(20), '5 B', '']], 26)[1]).toBe(`${'日'.repeat(6)}…   5 B`);
  });

  test('leaves what fits as it is, and cuts no further than can be read', () => {
    expect(lines([['name', '5 B', 'k=v']], 60)[1]).toBe('name  5 B   k=v');
    expect(lines([['n'.repeat(50), '5 B', 'k=v']], 5)[1]).toBe(`${'n'.repeat(11)}…  5 B   k=v`);
  });
});
