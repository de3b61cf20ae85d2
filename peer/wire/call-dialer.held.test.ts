import { newDialer, startCallServer, TestCall } from '../testing/wire-calls.js';
import type { IncomingCall } from './incoming-call.js';

/* Received bytes that wait for something slow. */

const MIB = 1 << 20;
const MESSAGES = 64;

/** Sends as much as the caller takes. */
async function pour(call: IncomingCall): Promise<void> {
  const message = Buffer.alloc(MIB);
  for (let i = 0; i < MESSAGES; i += 1) {
    if (!call.write(message)) await new Promise((resolve) => call.once('drain', resolve));
  }
  call.end();
}

it('reads nothing more while too much is held, and goes on when it is less', async () => {
  const { server, address } = await startCallServer((call) => void pour(call), { windowBytes: 1 << 28 });
  const full = newDialer({ windowBytes: 1 << 28, maxHeldBytes: MIB });
  const free = newDialer({ windowBytes: 1 << 28, maxHeldBytes: MIB });
  const waiting = new TestCall(full, address);
  await waiting.received(1);
  full.hold(2 * MIB);
  const before = waiting.messages.length;
  // Another caller gets all of its messages: the server had every chance to send these too.
  await new TestCall(free, address).ended();
  expect(waiting.messages.length).toBeLessThanOrEqual(before + 1);
  expect(before).toBeLessThan(MESSAGES);
  full.hold(-2 * MIB);
  expect(await waiting.ended()).toBeUndefined();
  expect(waiting.messages).toHaveLength(MESSAGES);
  full.close();
  free.close();
  await server.leave();
});
