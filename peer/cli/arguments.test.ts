import { collectTag, parseSeconds, parseTagChanges, parseWhole } from './arguments.js';

test.each(['0', '-1', '', ' ', 'x', '1e9', 'Infinity', 'NaN'])("takes no '%s' for seconds", (text) => {
  expect(() => parseSeconds(text)).toThrow('a number of seconds');
});

test('takes fractions of a second', () => {
  expect(parseSeconds('0.25')).toBe(0.25);
});

test.each(['0', '11', '1.5', '-1', '', '0x5', '1e1'])("takes no '%s' for a whole number from 1 to 10", (text) => {
  expect(() => parseWhole(1, 10)(text)).toThrow('a whole number from 1 to 10');
});

test('collects tags, the last of a key winning, and lets values hold anything', () => {
  expect(collectTag('url=http://x/?a=b', collectTag('k=', collectTag('url=old')))).toEqual({
    url: 'http://x/?a=b',
    k: '',
  });
});

test('tells setting from taking away', () => {
  expect(parseTagChanges(['a=1', 'b-', 'c=x-'])).toEqual({ set: { a: '1', c: 'x-' }, unset: ['b'] });
});

test.each([['a'], ['=x'], ['-'], ['']])("takes no '%s' for a change of tags", (change) => {
  expect(() => parseTagChanges([change])).toThrow('KEY=VALUE');
});

test('refuses to set and take away one key', () => {
  expect(() => parseTagChanges(['a=1', 'a-'])).toThrow("tag 'a' is both");
});

test('is not confused by keys that objects have', () => {
  expect(parseTagChanges(['toString-', '__proto__=x'])).toEqual({
    set: Object.fromEntries([['__proto__', 'x']]),
    unset: ['toString'],
  });
});
