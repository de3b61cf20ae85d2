import fc from 'fast-check';
import { gramOf, gramsOf, hasWords, isCut, wordsOf } from './search-words.js';

const names = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.stringMatching(/^[a-zA-Z0-9 ._/-]*$/),
);

describe('wordsOf', () => {
  test.each([
    ['models/Llama-7B.gguf', ['models', 'llama', '7b', 'gguf']],
    ['a a A', ['a']],
    ['Straße ÉTÉ', ['straße', 'été']],
    ['e\u0301t\u00e9', ['été']],
    ['ﬁle Ⅻ ２', ['file', 'xii', '2']],
    ['ΟΔΟΣ οδος', ['οδοσ']],
    ['模型 हिन्दी', ['模型', 'हिन्दी']],
    [' -./', []],
    ['', []],
  ])('finds the words of %j', (text, words) => {
    expect(wordsOf(text)).toEqual(words);
  });

  test('finds the same words in what it found', () => {
    fc.assert(fc.property(names, (text) => expect(wordsOf(wordsOf(text).join(' '))).toEqual(wordsOf(text))));
  });
});

describe('grams', () => {
  test('begin every word, also where letters and digits meet', () => {
    expect([...gramsOf('v10b')]).toEqual(['v', 'v1', 'v10', 'v10b', '1', '10', '10b', 'b']);
  });

  test('count characters, not code units', () => {
    const twoUnits = '\u{20000}';
    expect(gramOf(twoUnits.repeat(13))).toBe(twoUnits.repeat(12));
    expect([isCut(twoUnits.repeat(12)), isCut(twoUnits.repeat(13))]).toEqual([false, true]);
  });

  test('are few, however a name alternates', () => {
    expect(gramsOf('a1'.repeat(512)).size).toBeLessThanOrEqual(5 * 12);
    expect(gramsOf('a1b2c3 '.repeat(146)).size).toBeLessThanOrEqual(146 * 5 * 12);
  });

  test('find a name by any beginning of any of its words', () => {
    const wordOfName = names.chain((name) => {
      const words = wordsOf(name);
      return words.length === 0
        ? fc.constant({ name, word: '' })
        : fc.tuple(fc.constantFrom(...words), fc.nat()).map(([word, cut]) => {
            const characters = [...word];
            return { name, word: characters.slice(0, 1 + (cut % characters.length)).join('') };
          });
    });
    fc.assert(
      fc.property(wordOfName, ({ name, word }) => {
        fc.pre(word !== '');
        const [asked = ''] = wordsOf(word);
        // A lone mark at the end of a beginning may fold differently than inside the word.
        fc.pre(asked === word);
        expect(hasWords(name, [asked])).toBe(true);
        expect(gramsOf(name).has(gramOf(asked))).toBe(true);
      }),
    );
  });

  test('tell, when a word is not cut, exactly what hasWords tells', () => {
    fc.assert(
      fc.property(names, names, (name, text) => {
        for (const word of wordsOf(text).filter((candidate) => !isCut(candidate))) {
          expect(gramsOf(name).has(gramOf(word))).toBe(hasWords(name, [word]));
        }
      }),
    );
  });
});
