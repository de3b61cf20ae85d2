import type { MessageTypeDefinition } from '@grpc/proto-loader';
import fc from 'fast-check';
import type { GetResponse, GetResponse__Output } from '../../proto/gen/shoal/control/v1/GetResponse.js';
import { CONTROL_PROTO, loadProto } from '../proto.js';
import { getResponseParts } from './get-response.js';

const general = loadProto(CONTROL_PROTO)['shoal.control.v1.GetResponse'] as MessageTypeDefinition<
  GetResponse,
  GetResponse__Output
>;
const read = (event: GetResponse) => general.deserialize(Buffer.concat(getResponseParts(event, general.serialize)));

test('any codec reads the bytes of a file, whatever their number', () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 262_144, 1 << 21), fc.nat(200), (base, more) => {
      const data = Buffer.alloc(base + more, more);
      const answer = read({ data });
      expect(answer.event).toBe('data');
      expect(answer.data?.equals(data)).toBe(true);
    }),
  );
});

test('the bytes of a file are not copied', () => {
  const data = Buffer.alloc(1000);
  expect(getResponseParts({ data }, general.serialize)[1]).toBe(data);
});

test('everything else is a message as ever', () => {
  expect(read({ done: { receivedBytes: 7, peers: 2 } }).done).toMatchObject({ receivedBytes: 7, peers: 2 });
});
