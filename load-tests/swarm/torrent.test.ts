import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bencode, makeTorrent, trackerAnswer } from './torrent.js';

describe('bencoding', () => {
  it.each([
    [3, 'i3e'],
    [-3, 'i-3e'],
    ['spam', '4:spam'],
    ['ü', '2:ü'],
    [['spam', 42], 'l4:spami42ee'],
    [{ cow: 'moo', Ant: 1, b: [] }, 'd3:Anti1e1:ble3:cow3:mooe'],
  ])('of %j is %s', (value, text) => {
    expect(bencode(value).toString()).toBe(text);
  });

  it('knows whole numbers only', () => {
    expect(() => bencode(1.5)).toThrow(RangeError);
  });
});

describe('a torrent', () => {
  it('has the digest of every piece, the short last one too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'shoal-torrent-'));
    try {
      const content = Buffer.from('0123456789');
      await writeFile(join(folder, 'f.bin'), content);
      const torrent = await makeTorrent(join(folder, 'f.bin'), { pieceBytes: 4, tracker: 'http://t/' });
      const pieces = [0, 4, 8].map((at) =>
        createHash('sha1')
          .update(content.subarray(at, at + 4))
          .digest(),
      );
      const info = { length: 10, name: 'f.bin', 'piece length': 4, pieces: Buffer.concat(pieces) };
      expect(torrent.equals(bencode({ announce: 'http://t/', info }))).toBe(true);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a tracker’s answer', () => {
  it('packs addresses into six bytes', () => {
    const answer = trackerAnswer([{ address: '10.77.0.2', port: 6881 }], 1);
    const packed = Buffer.from([10, 77, 0, 2, 0x1a, 0xe1]);
    expect(answer.equals(bencode({ interval: 1, 'min interval': 1, peers: packed }))).toBe(true);
  });
});
