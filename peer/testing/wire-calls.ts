import type { ShoalError } from '../../common/errors.js';
import { createLogger } from '../../common/log.js';
import { type RefusalReason, Refusals } from '../tls/refusals.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import { BufferPool } from '../wire/buffer-pool.js';
import { BULK_SETTING } from '../wire/bulk-setting.js';
import { CallDialer, type CallDialerOptions } from '../wire/call-dialer.js';
import { CallServer, type CallServerOptions } from '../wire/call-server.js';
import type { IncomingCall } from '../wire/incoming-call.js';
import type { OutgoingCall } from '../wire/outgoing-call.js';
import { waitFor } from './wait-for.js';

/*
 * Calls of the bulk transport with nothing of the swarm in them: bytes go there, bytes come back.
 */

/** Settings that suit most tests: nobody is asked for a sign of life. */
const WIRE: CallServerOptions = {
  windowBytes: 1 << 20,
  maxFrameBytes: 1 << 20,
  extraSettings: [BULK_SETTING],
  keepaliveMs: 60_000,
  keepaliveTimeoutMs: 60_000,
  helloMs: 60_000,
};

/** A dialer with buffers of its own, with TLS if it has an identity. */
export function newDialer(options: Partial<CallDialerOptions> = {}, identity?: TlsIdentity): CallDialer {
  const buffers = new BufferPool({ keepBytes: 1 << 24 });
  return new CallDialer(
    { buffers, identity },
    { ...WIRE, maxIdle: 8, maxMessageBytes: 8 << 20, maxHeldBytes: 1 << 26, ...options },
  );
}

type CallServerDeps = ConstructorParameters<typeof CallServer>[0];

/**
 * A server on a free port that leaves all calls to `onCall`, and has nothing for strangers unless `otherwise` is given. It
 * speaks TLS if it has an identity.
 */
export async function startCallServer(
  onCall: (call: IncomingCall) => void,
  options: Partial<CallServerOptions> & Partial<Pick<CallServerDeps, 'otherwise' | 'identity'>> = {},
): Promise<{
  readonly server: CallServer;
  readonly port: number;
  readonly address: string;
  /** Why connections were refused, in order. */
  readonly refused: readonly RefusalReason[];
}> {
  const { otherwise = (socket) => socket.destroy(), identity, ...wire } = options;
  const log = createLogger({ name: 'test', level: 'silent' });
  const refused: RefusalReason[] = [];
  const buffers = new BufferPool({ keepBytes: 1 << 24 });
  const refusals = new Refusals({ log, count: (reason) => refused.push(reason), now: () => 0 });
  const server = new CallServer({ onCall, otherwise, buffers, identity, refusals, log }, { ...WIRE, ...wire });
  const port = await server.listen('127.0.0.1', 0);
  return { server, port, address: `127.0.0.1:${port}`, refused };
}

/** A call whose messages are collected. */
export class TestCall {
  readonly messages: Buffer[] = [];
  readonly #call: OutgoingCall;
  /** How it ended, in the order in which that was told. One is right. */
  readonly ends: (ShoalError | undefined)[] = [];

  constructor(dialer: CallDialer, address: string, path = '/test.Echo/Echo') {
    this.#call = dialer.open(address, {
      path,
      authorization: 'Bearer some-ticket',
      listener: {
        onMessage: (message) => this.messages.push(message),
        onEnd: (error) => this.ends.push(error),
      },
    });
  }

  send(...messages: readonly (Buffer | string)[]): void {
    for (const message of messages) this.#call.send(Buffer.from(message));
  }

  sendEnd(): void {
    this.#call.sendEnd();
  }

  close(why?: 'silent'): void {
    this.#call.close(why);
  }

  /** Resolves when so many messages have come. */
  async received(count: number): Promise<readonly Buffer[]> {
    await waitFor(`${count} messages`, () => this.messages.length >= count);
    return this.messages;
  }

  /** How the call ends: undefined for success. */
  async ended(): Promise<ShoalError | undefined> {
    await waitFor('the end of the call', () => this.ends.length > 0);
    return this.ends[0];
  }
}
