/*
 * Bytes of a file in a message, written without a copy: any protobuf codec would make two
 * (https://protobuf.dev/programming-guides/encoding/).
 */

/** Number of `data` in the proto's GetResponse. */
export const GET_RESPONSE_DATA = 3;
/** Number of `data` in the proto's PutRequest. */
export const PUT_REQUEST_DATA = 2;

const LENGTH_DELIMITED = 2;

/** A message that has nothing but `data`, in parts; undefined for any other, which the general codec can write. */
export function dataField(message: { readonly data?: unknown }, fieldNumber: number): readonly Buffer[] | undefined {
  const { data } = message;
  if (!Buffer.isBuffer(data)) return undefined;
  return [Buffer.from([(fieldNumber << 3) | LENGTH_DELIMITED, ...varint(data.length)]), data];
}

function varint(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}
