/*
 * How names are found by words. A word of a name is a run of letters, marks and digits, in lower case and compatibility
 * form; besides, inside a run a word begins wherever letters and digits meet, so that `llama7b` is found by `7b` as
 * `llama-7b` is. A name is found by a text when each word of the text begins some word of the name.
 *
 * An index can only look up what is equal, so a name is filed under its *grams*: every beginning, up to 12 characters,
 * of every word. The gram of a longer word of a text finds too much; `hasWords` tells.
 */

/** Characters (code points) of the longest gram. */
const GRAM_MAX = 12;
/** Words that begin inside one run; more (as in a hex digest) would swell the index and help nobody. */
const INNER_WORDS_MAX = 4;

/** The words of a text, each once, in the order in which they come. Empty when it has neither letters nor digits. */
export function wordsOf(text: string): readonly string[] {
  const folded = text.normalize('NFKC').toLowerCase().normalize('NFKC').replaceAll('ς', 'σ');
  return [...new Set(folded.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [])];
}

/** The gram under which a name with a word beginning with `word` is filed. */
export function gramOf(word: string): string {
  return characters(word, GRAM_MAX).join('');
}

/** All grams of a name, each once. */
export function gramsOf(name: string): ReadonlySet<string> {
  const grams = new Set<string>();
  for (const word of nameWordsOf(name)) {
    let gram = '';
    for (const character of characters(word, GRAM_MAX)) {
      gram += character;
      grams.add(gram);
    }
  }
  return grams;
}

/** Whether each of `words` begins some word of the name. */
export function hasWords(name: string, words: readonly string[]): boolean {
  const own = nameWordsOf(name);
  return words.every((word) => own.some((candidate) => candidate.startsWith(word)));
}

/** Whether {@link gramOf} says less than the word, so that what it finds must be looked at with {@link hasWords}. */
export function isCut(word: string): boolean {
  return gramOf(word).length < word.length;
}

function nameWordsOf(name: string): readonly string[] {
  return wordsOf(name).flatMap((run) => {
    const starts = [...run.matchAll(/(?<=\p{N})(?=\p{L})|(?<=[\p{L}\p{M}])(?=\p{N})/gu)].slice(0, INNER_WORDS_MAX);
    return [run, ...starts.map(({ index }) => run.slice(index))];
  });
}

function characters(word: string, limit: number): readonly string[] {
  // Twice as many units as characters are enough, and a run may be a thousand long.
  return [...word.slice(0, 2 * limit)].slice(0, limit);
}
