import fc from 'fast-check';
import { displayWidth, printable, safeJson, withoutControls } from './text.js';

test('writes out what would move the cursor or reverse the line', () => {
  expect(printable('a\u001b[2Jb\nc\u009b\u202etxt.exe')).toBe('a\\u{1b}[2Jb\\u{a}c\\u{9b}\\u{202e}txt.exe');
});

test('keeps what belongs to a name when programs read it', () => {
  expect(withoutControls('שלום\u200f \u001b')).toBe('שלום\u200f \\u{1b}');
});

test('never lets a control character through', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(`${printable(text)}${withoutControls(text)}${safeJson(text)}`).not.toMatch(/\p{Cc}/u);
    }),
  );
});

test('writes JSON that reads back the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(JSON.parse(safeJson({ text }))).toEqual({ text });
    }),
  );
});

test.each([
  ['model.bin', 9],
  ['файл', 4],
  ['日本', 4],
  ['한국', 4],
  ['é', 1],
  ['e\u0301', 1],
  ['👩‍👩‍👧', 2],
  ['❤️', 2],
  ['ｆｕｌｌ', 8],
])('needs for %s %d columns', (text, columns) => {
  expect(displayWidth(text)).toBe(columns);
});
