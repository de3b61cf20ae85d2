import { Http2Code, ProtocolError } from './frames.js';
import { decodeHuffman } from './huffman.js';

/*
 * Header compression, RFC 7541, without a dynamic table: this side announces a table of size 0, so no other may refer to
 * one, and itself sends every header as it is. A conversation has a handful of headers and then gigabytes.
 */

/** Names (lower case) and values, in order. */
export type Headers = readonly (readonly [name: string, value: string])[];

/** RFC 7541 appendix A; entry 1 is the first. */
const STATIC_TABLE: Headers = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map((status) => [':status', status] as const),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    ...['accept-language', 'accept-ranges', 'accept', 'access-control-allow-origin', 'age', 'allow', 'authorization'],
    ...['cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-length'],
    ...['content-location', 'content-range', 'content-type', 'cookie', 'date', 'etag', 'expect', 'expires', 'from'],
    ...['host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified'],
    ...['link', 'location', 'max-forwards', 'proxy-authenticate', 'proxy-authorization', 'range', 'referer', 'refresh'],
    ...['retry-after', 'server', 'set-cookie', 'strict-transport-security', 'transfer-encoding', 'user-agent', 'vary'],
    ...['via', 'www-authenticate'],
  ].map((name) => [name, ''] as const),
];

const LITERAL_NEVER_INDEXED = 0x10;
const HUFFMAN = 0x80;
const MAX_INTEGER_BYTES = 4;

/** A header block in which every header is a literal that no proxy may index: one of them is a ticket. */
export function encodeHeaders(headers: Headers): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of headers) {
    parts.push(Buffer.from([LITERAL_NEVER_INDEXED]));
    for (const text of [name, value]) {
      const bytes = Buffer.from(text, 'latin1');
      parts.push(encodeInteger(bytes.length, 7), bytes);
    }
  }
  return Buffer.concat(parts);
}

/** Reads a header block. Throws {@link ProtocolError} (COMPRESSION_ERROR) for one that needs a dynamic table or is none. */
export function decodeHeaders(block: Buffer): Headers {
  const reader = new BlockReader(block);
  const headers: (readonly [string, string])[] = [];
  while (!reader.isAtEnd) {
    const first = reader.peek();
    if ((first & 0x80) !== 0) {
      headers.push(staticEntry(reader.integer(7)));
    } else if ((first & 0xe0) === 0x20) {
      const size = reader.integer(5);
      if (size !== 0) throw new ProtocolError(`a header table of ${size} bytes`, Http2Code.compressionError);
    } else {
      // With incremental indexing (01), without (0000), never indexed (0001): with a table of size 0 they are the same.
      const index = reader.integer((first & 0x40) === 0 ? 4 : 6);
      const name = index === 0 ? reader.string() : staticEntry(index)[0];
      headers.push([name, reader.string()]);
    }
  }
  return headers;
}

/** The value of a header; the first one when it comes more than once. */
export function headerValue(headers: Headers, name: string): string | undefined {
  return headers.find(([candidate]) => candidate === name)?.[1];
}

function staticEntry(index: number): readonly [string, string] {
  const entry = STATIC_TABLE[index - 1];
  if (entry === undefined) throw new ProtocolError(`header ${index} of no table`, Http2Code.compressionError);
  return entry;
}

/** RFC 7541 section 5.1, the bits before the prefix being 0. */
function encodeInteger(value: number, prefixBits: number): Buffer {
  const most = 2 ** prefixBits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

class BlockReader {
  readonly #block: Buffer;
  #at = 0;

  constructor(block: Buffer) {
    this.#block = block;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#block.length;
  }

  peek(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw new ProtocolError('a header block that was cut off', Http2Code.compressionError);
    return byte;
  }

  integer(prefixBits: number): number {
    const most = 2 ** prefixBits - 1;
    let value = this.#next() & most;
    if (value < most) return value;
    for (let i = 0, scale = 1; i < MAX_INTEGER_BYTES; i += 1, scale *= 128) {
      const byte = this.#next();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new ProtocolError('a number in a header block that is too large', Http2Code.compressionError);
  }

  string(): string {
    const isHuffman = (this.peek() & HUFFMAN) !== 0;
    const length = this.integer(7);
    const bytes = this.#block.subarray(this.#at, this.#at + length);
    if (bytes.length < length) throw new ProtocolError('a header that was cut off', Http2Code.compressionError);
    this.#at += length;
    return (isHuffman ? decodeHuffman(bytes) : bytes).toString('latin1');
  }

  #next(): number {
    const byte = this.peek();
    this.#at += 1;
    return byte;
  }
}
