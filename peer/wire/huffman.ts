import { Http2Code, ProtocolError } from './frames.js';

/*
 * The Huffman code of HPACK, RFC 7541 appendix B. It is canonical (section 5.2): the codes follow from their lengths, the
 * symbols of one length in ascending order.
 */

/** Bits of the code of each byte; the 257th symbol, the end, has 30 and is never sent. */
const CODE_BITS: readonly number[] = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28],
  ...[
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6,
  ],
  ...[12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15],
  ...[5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20],
  ...[
    22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
  ],
  ...[
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22,
  ],
  ...[
    22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26,
  ],
  ...[
    26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27,
  ],
  ...[27, 28, 27, 27, 27, 27, 27, 26, 30],
];
const MAX_BITS = 30;
const END = 256;
/** What is left over at the end of a string: fewer bits than a byte, all of them ones. */
const MAX_PADDING_BITS = 7;

interface Length {
  /** The smallest code with so many bits. */
  readonly first: number;
  readonly symbols: readonly number[];
}

/** The codes by their length in bits. */
const LENGTHS: readonly Length[] = (() => {
  const lengths: Length[] = [];
  let code = 0;
  for (let bits = 0; bits <= MAX_BITS; bits += 1) {
    code *= 2;
    const symbols = CODE_BITS.flatMap((length, symbol) => (length === bits ? [symbol] : []));
    lengths.push({ first: code, symbols });
    code += symbols.length;
  }
  return lengths;
})();

/** Decodes a string. Throws {@link ProtocolError} (COMPRESSION_ERROR) for one that is not coded by the rules. */
export function decodeHuffman(bytes: Buffer): Buffer {
  const decoded: number[] = [];
  let code = 0;
  let bits = 0;
  for (const byte of bytes) {
    for (let shift = 7; shift >= 0; shift -= 1) {
      code = code * 2 + ((byte >> shift) & 1);
      bits += 1;
      const { first, symbols } = LENGTHS[bits] ?? tooLong();
      const symbol = symbols[code - first];
      if (symbol === undefined) continue;
      if (symbol === END) tooLong();
      decoded.push(symbol);
      code = 0;
      bits = 0;
    }
  }
  if (bits > MAX_PADDING_BITS || code !== 2 ** bits - 1) {
    throw new ProtocolError('a header with wrong padding', Http2Code.compressionError);
  }
  return Buffer.from(decoded);
}

function tooLong(): never {
  throw new ProtocolError('a header with a code that does not exist', Http2Code.compressionError);
}
