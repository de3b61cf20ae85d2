import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';

/*
 * Metainfo of one file for BitTorrent clients, and the answers of a tracker, in the bencoding of BEP 3
 * (https://www.bittorrent.org/beps/bep_0003.html) with compact peers (BEP 23).
 */

/** What can be bencoded. Keys of dictionaries are sorted when written. */
export type Bencodable = number | string | Buffer | readonly Bencodable[] | { readonly [key: string]: Bencodable };

/** Throws a RangeError for a number that is not whole. */
export function bencode(value: Bencodable): Buffer {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} cannot be bencoded`);
    return Buffer.from(`i${value}e`);
  }
  if (typeof value === 'string') return bencode(Buffer.from(value));
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  if (isList(value)) return Buffer.concat([Buffer.from('l'), ...value.map(bencode), Buffer.from('e')]);
  // BEP 3: sorted as raw strings, not by what people call alphabetical.
  const keys = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const entries = keys.flatMap((key) => [bencode(key), bencode(value[key] as Bencodable)]);
  return Buffer.concat([Buffer.from('d'), ...entries, Buffer.from('e')]);
}

/** Metainfo of a file, whose pieces are read one after the other. */
export async function makeTorrent(
  path: string,
  { pieceBytes, tracker }: { readonly pieceBytes: number; readonly tracker: string },
): Promise<Buffer> {
  const file = await open(path);
  try {
    const digests: Buffer[] = [];
    const piece = Buffer.allocUnsafe(pieceBytes);
    let length = 0;
    for (let read = await readFull(file, piece); read > 0; read = await readFull(file, piece)) {
      digests.push(createHash('sha1').update(piece.subarray(0, read)).digest());
      length += read;
    }
    const info = { name: basename(path), length, 'piece length': pieceBytes, pieces: Buffer.concat(digests) };
    return bencode({ announce: tracker, info });
  } finally {
    await file.close();
  }
}

/** What a tracker answers: who else is there, to be asked again after `intervalSeconds`. */
export function trackerAnswer(
  peers: readonly { readonly address: string; readonly port: number }[],
  intervalSeconds: number,
): Buffer {
  const compact = peers.map(({ address, port }) => {
    const bytes = Buffer.alloc(6);
    for (const [at, part] of address.split('.').entries()) bytes[at] = Number(part);
    bytes.writeUInt16BE(port, 4);
    return bytes;
  });
  return bencode({ interval: intervalSeconds, 'min interval': intervalSeconds, peers: Buffer.concat(compact) });
}

function isList(value: Bencodable): value is readonly Bencodable[] {
  return Array.isArray(value);
}

async function readFull(
  file: { read(target: Buffer, offset: number, length: number): Promise<{ bytesRead: number }> },
  target: Buffer,
): Promise<number> {
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await file.read(target, filled, target.length - filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
