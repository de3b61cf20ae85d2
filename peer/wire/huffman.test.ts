import { Http2Code, ProtocolError } from './frames.js';
import { decodeHuffman } from './huffman.js';

/** Every byte from 0 to 255 in the code of RFC 7541 appendix B, as another implementation (Python's hpack 4) writes it. */
const ALL_BYTES = `
ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabffffffdfffffebfffffecfffffedff
fffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffffd7fffffdbfffffdffffffe3fffffe7fffffebfffffed4fe3f9ffaffc
abf1febfafefe7fdfd2cbb00089969b71d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66dddbf871e5f9cff7ff7fffc3ff9ffe4
5fff4719242cb34e6e9d68a6a3d7dac426defe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ffff53fffd5ffffb3fffeb7fff
daffffb7ffff73fffeeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffffeeffffc3ffff8bffff1ffffe4fffee7fffb1ffff97fffd9ffffc
dffff9fffffbffffdafffeeffff4ffffb7fffee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1fffdfffff7fffff5ffffecffff07fff87fffe
0ffff17fffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff1fffff83ffffe1fffebfffe3ffff3fffff2ffffa3fff
fd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8fffffb7fff97fff8fffffe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2ff
fffd1fffff4ffffffefffffe3fffffc9fffff97fffb3ffffcffffb7fffcdffff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff
5fffffabffffa7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffffabfffff5fffffff7ffffecfffffdbfffffbbfffff7ffffff0ff
fffbbf`;

it('knows the code of every byte', () => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  expect(decodeHuffman(Buffer.from(ALL_BYTES.replaceAll(/\s/g, ''), 'hex'))).toEqual(all);
});

it.each([
  ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
  ['no-cache', 'a8eb10649cbf'],
  ['custom-value', '25a849e95bb8e8b4bf'],
  ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07abe941054d444a8200595040b8166e082a62d1bff'],
  ['307', '640eff'],
  ['', ''],
])("reads '%s', an example of RFC 7541 appendix C", (text, hex) => {
  expect(decodeHuffman(Buffer.from(hex, 'hex')).toString()).toBe(text);
});

it.each([
  ['padding that is not all ones', '1e'],
  ['a whole byte of padding', '1fff'],
  ['nothing but padding of a byte', 'ff'],
  ['the symbol of the end', 'ffffffff'],
  ['half a code', 'fe'],
])('refuses %s', (_what, hex) => {
  let refused: unknown;
  try {
    decodeHuffman(Buffer.from(hex, 'hex'));
  } catch (error) {
    refused = error;
  }
  expect(refused).toBeInstanceOf(ProtocolError);
  expect(refused).toMatchObject({ code: Http2Code.compressionError });
});
