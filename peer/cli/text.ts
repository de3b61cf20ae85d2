/*
 * Text on its way to a terminal. Names, tags and messages come from other people: what they contain must neither move
 * the cursor nor change how the rest of the line reads.
 */

// Control characters, and those that reverse or hide text (https://trojansource.codes).
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu;
const CONTROL = /\p{Cc}/gu;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
// Wide and fullwidth blocks of UAX #11, coarsely.
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}/u;
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]/u;
const EMOJI_STYLE = '\ufe0f';

/** `text` on one line, with every character that could change how a terminal shows the rest written as `\u{..}`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, escaped);
}

/** `text` with its control characters written as `\u{..}` and all else as it is: for output that programs read. */
export function withoutControls(text: string): string {
  return text.replace(CONTROL, escaped);
}

/** JSON with the control characters that JSON lets through (U+007F to U+009F) as `\u00..`; it means the same. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(
    /[\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** How many columns a terminal needs for `text`: two for wide characters, none for combining ones. */
export function displayWidth(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text)) {
    width += graphemeWidth(segment);
  }
  return width;
}

/** `text` in at most `width` columns, its end replaced by an ellipsis where it needs more. */
export function shortened(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 1;
  for (const { segment } of new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text)) {
    used += graphemeWidth(segment);
    if (used > width) break;
    kept += segment;
  }
  return `${kept}…`;
}

function graphemeWidth(grapheme: string): number {
  if (WIDE.test(grapheme) || grapheme.includes(EMOJI_STYLE)) return 2;
  return ZERO_WIDTH.test(grapheme) ? 0 : 1;
}

function escaped(char: string): string {
  return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`;
}
