import fc from 'fast-check';
import { MessageReader, messagePrefix } from './grpc-messages.js';

function message(content: Buffer): Buffer {
  return Buffer.concat([messagePrefix(content.length), content]);
}

function reader(onMessage: (message: Buffer) => void, maxBytes = 1000): MessageReader {
  return new MessageReader({ allocate: (bytes) => Buffer.alloc(bytes), onMessage }, { maxBytes });
}

it('lays a message out as gRPC wants it', () => {
  expect(message(Buffer.from('abc')).toString('hex')).toBe('0000000003616263');
});

it('finds the same messages however the bytes are cut', () => {
  const anyMessages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
  fc.assert(
    fc.property(anyMessages, fc.array(fc.integer({ min: 1, max: 400 })), (contents, sizes) => {
      const found: Buffer[] = [];
      const messages = reader((one) => found.push(one));
      const wire = Buffer.concat(contents.map((content) => message(Buffer.from(content))));
      let at = 0;
      for (const size of [...sizes, wire.length]) {
        const piece = Buffer.from(wire.subarray(at, at + size));
        messages.push(piece);
        // What was pushed may be used for something else at once.
        piece.fill(0xee);
        at += size;
      }
      expect(found).toEqual(contents.map((content) => Buffer.from(content)));
      expect(messages.isBetweenMessages).toBe(true);
    }),
  );
});

it('knows when it is within a message', () => {
  const messages = reader(() => undefined);
  const bytes = message(Buffer.from('ab'));
  const states = [...bytes].map((byte) => {
    messages.push(Buffer.from([byte]));
    return messages.isBetweenMessages;
  });
  expect(states).toEqual([false, false, false, false, false, false, true]);
});

it('puts a message where it is told to', () => {
  const place = Buffer.alloc(3);
  const found: Buffer[] = [];
  const messages = new MessageReader(
    { allocate: () => place, onMessage: (one) => found.push(one) },
    { maxBytes: 1000 },
  );
  messages.push(message(Buffer.from('abc')));
  expect(found[0]).toBe(place);
  expect(place.toString()).toBe('abc');
});

it('refuses what is compressed', () => {
  expect(() => reader(() => undefined).push(Buffer.from([1, 0, 0, 0, 0]))).toThrow(
    expect.objectContaining({ code: 'invalid', message: expect.stringContaining('compressed') }),
  );
});

it('refuses a message that is too large, before it has come', () => {
  const found: Buffer[] = [];
  reader((one) => found.push(one)).push(message(Buffer.alloc(1000)));
  expect(found).toHaveLength(1);
  expect(() => reader(() => undefined).push(messagePrefix(1001))).toThrow(
    expect.objectContaining({ code: 'too_large', message: expect.stringContaining('1001') }),
  );
  expect(() => reader(() => undefined).push(messagePrefix(0xffff_ffff))).toThrow(
    expect.objectContaining({ code: 'too_large' }),
  );
});

it('passes on what its listener throws', () => {
  const messages = reader(() => {
    throw new Error('no more');
  });
  expect(() => messages.push(message(Buffer.alloc(0)))).toThrow('no more');
});
