import type { MessageTypeDefinition } from '@grpc/proto-loader';
import fc from 'fast-check';
import { dataField, GET_RESPONSE_DATA, PUT_REQUEST_DATA } from './data-field.js';
import { CONTROL_PROTO, loadProto } from './proto.js';

describe.each([
  ['GetResponse', 'event', GET_RESPONSE_DATA],
  ['PutRequest', 'message', PUT_REQUEST_DATA],
])('of a %s', (name, oneof, fieldNumber) => {
  const general = loadProto(CONTROL_PROTO)[`shoal.control.v1.${name}`] as MessageTypeDefinition<
    object,
    { readonly data?: Buffer; readonly [key: string]: unknown }
  >;

  test('any codec reads the bytes of a file, whatever their number', () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 262_144, 1 << 21), fc.nat(200), (base, more) => {
        const data = Buffer.alloc(base + more, more);
        const message = general.deserialize(Buffer.concat(dataField({ data }, fieldNumber) ?? []));
        expect(message[oneof]).toBe('data');
        expect(message.data?.equals(data)).toBe(true);
      }),
    );
  });

  test('the bytes are not copied', () => {
    const data = Buffer.alloc(1000);
    expect(dataField({ data }, fieldNumber)?.[1]).toBe(data);
  });
});

test('is nothing that other messages have', () => {
  expect(dataField({}, GET_RESPONSE_DATA)).toBeUndefined();
});
