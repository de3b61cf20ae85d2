import type { GetResponse } from '../../proto/gen/shoal/control/v1/GetResponse.js';

/** Of GetResponse.data in the proto: field 3, and bytes (https://protobuf.dev/programming-guides/encoding/). */
const DATA_TAG = 0x1a;

/**
 * An event of `Get` as a message in parts. The bytes of a file are left where they lie: the general codec, `serialize`,
 * would copy them twice.
 */
export function getResponseParts(event: GetResponse, serialize: (event: GetResponse) => Buffer): readonly Buffer[] {
  const { data } = event;
  return Buffer.isBuffer(data) ? [Buffer.from([DATA_TAG, ...varint(data.length)]), data] : [serialize(event)];
}

function varint(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}
