import { Http2Code, ProtocolError } from './frames.js';
import { Http2Stream } from './http2-stream.js';
import { StreamTable } from './stream-table.js';

function stream(id: number): Http2Stream {
  const deps = {
    flush: () => undefined,
    acknowledge: () => undefined,
    reset: () => undefined,
    closed: () => undefined,
  };
  return new Http2Stream(deps, { id, sendWindow: 0 });
}

function codeOf(attempt: () => unknown): number | undefined {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ProtocolError) return error.code;
    throw error;
  }
  return undefined;
}

it('numbers the streams of a client 1, 3, 5', () => {
  const table = new StreamTable('client');
  expect(table.lastId).toBe(0);
  expect([table.takeId(), table.takeId(), table.takeId()]).toEqual([1, 3, 5]);
  expect(table.lastId).toBe(5);
});

it('lets only growing odd numbers open a stream, and only on a server', () => {
  const table = new StreamTable('server');
  expect([3, 1, 3, 2, 4, 0, 7].map((id) => table.isOpenedBy(id))).toEqual([
    true,
    false,
    false,
    false,
    false,
    false,
    true,
  ]);
  expect(new StreamTable('client').isOpenedBy(1)).toBe(false);
});

it('tells what is over from what never was', () => {
  const table = new StreamTable('server');
  table.isOpenedBy(5);
  const five = stream(5);
  table.add(five);
  expect(table.find(5)).toBe(five);
  expect(table.find(3)).toBeUndefined();
  table.delete(five);
  expect(table.find(5)).toBeUndefined();
  for (const id of [0, 2, 7]) expect(codeOf(() => table.find(id))).toBe(Http2Code.protocolError);
});

it('refuses what comes after the end of a stream', () => {
  const table = new StreamTable('client');
  const one = stream(table.takeId());
  table.add(one);
  expect(table.findOpen(1)).toBe(one);
  one.receivedEnd();
  expect(codeOf(() => table.findOpen(1))).toBe(Http2Code.streamClosed);
  expect(table.find(1)).toBe(one);
});
