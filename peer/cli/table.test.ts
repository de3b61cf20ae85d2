import { renderFacts, renderTable } from './table.js';

const COLUMNS = [{ title: 'NAME' }, { title: 'SIZE', align: 'right' }, { title: 'OWNER' }] as const;

test('aligns columns, numbers at the right, wide characters as two', () => {
  const text = renderTable(
    COLUMNS,
    [
      ['日本.bin', '5 B', 'ann'],
      ['a', '1.5 MiB', 'bob'],
    ],
    { hasColor: false },
  );
  expect(text).toBe('NAME         SIZE  OWNER\n日本.bin      5 B  ann\na         1.5 MiB  bob\n');
});

test('makes the head bold in colour, and only then', () => {
  expect(renderTable(COLUMNS, [], { hasColor: true })).toBe('\u001b[1mNAME  SIZE  OWNER\u001b[0m\n');
});

test('lets no cell break its line', () => {
  expect(renderTable([{ title: 'A' }], [['x\ny\u001b[31m']], { hasColor: false })).toBe('A\nx\\u{a}y\\u{1b}[31m\n');
});

test('puts facts under each other', () => {
  expect(
    renderFacts([
      ['id', 'abc'],
      ['owner', 'ann\n'],
    ]),
  ).toBe('id:     abc\nowner:  ann\\u{a}\n');
});
