import type { MessageTypeDefinition } from '@grpc/proto-loader';
import fc from 'fast-check';
import { loadProto, PEER_PROTO } from '../proto.js';
import { finishChunkFrame, newChunkFrame, readChunkPart } from './chunk-codec.js';

const general = loadProto(PEER_PROTO)['shoal.peer.v1.ExchangeResponse'] as MessageTypeDefinition<object, object>;
const uint32 = fc.oneof(fc.nat({ max: 300 }), fc.integer({ min: 0, max: 0xffff_ffff }));
const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));

function encode(index: number, offset: number, data: Buffer): Buffer {
  const frame = newChunkFrame(data.length, { take: (bytes) => Buffer.alloc(bytes) });
  data.copy(frame.data);
  return finishChunkFrame(frame, index, offset);
}

describe('the codec of chunks', () => {
  it('writes what the general codec reads', () => {
    fc.assert(
      fc.property(uint32, uint32, bytes, (index, offset, data) => {
        expect(general.deserialize(encode(index, offset, data))).toMatchObject({ chunk: { index, offset, data } });
      }),
    );
  });

  it('reads what the general codec writes', () => {
    fc.assert(
      fc.property(uint32, uint32, bytes, (index, offset, data) => {
        fc.pre(data.length > 0);
        expect(readChunkPart(general.serialize({ chunk: { index, offset, data } }))).toEqual({ index, offset, data });
      }),
    );
  });

  it('leaves every other message, and every broken one, to the general codec', () => {
    expect(readChunkPart(general.serialize({ have: { chunks: [1, 2] } }))).toBeUndefined();
    expect(readChunkPart(general.serialize({ bye: { reason: 'x' } }))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (array) => {
        const part = readChunkPart(Buffer.from(array));
        if (part !== undefined) expect(part.data.length).toBeLessThanOrEqual(array.length);
      }),
    );
  });

  it('refuses a message that was cut short', () => {
    const message = encode(70_000, 5, Buffer.from('some bytes'));
    for (let end = 0; end < message.length; end += 1) expect(readChunkPart(message.subarray(0, end))).toBeUndefined();
  });
});
