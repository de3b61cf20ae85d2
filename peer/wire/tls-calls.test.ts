import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createSecureContext } from 'node:tls';
import {
  type ChannelCredentials,
  Client,
  credentials,
  Server as GrpcServer,
  Metadata,
  ServerCredentials,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { Authority } from '../../scripts/certificates.mjs';
import { newTls, type TestMaterial, type TestTls } from '../testing/tls.js';
import { waitFor } from '../testing/wait-for.js';
import { newDialer, startCallServer, TestCall } from '../testing/wire-calls.js';
import type { TlsIdentity } from '../tls/tls-identity.js';
import type { CallDialerOptions } from './call-dialer.js';
import type { CallServerOptions } from './call-server.js';
import type { IncomingCall } from './incoming-call.js';

/* Calls over TLS between real ends: who is let in, who is not, and what each is told. */

const ours = new Authority('ours');
const theirs = new Authority('theirs');
const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function tls(material: Partial<TestMaterial> = {}): Promise<TestTls> {
  const made = await newTls({ authority: ours, ...material });
  open.push(() => made.remove());
  return made;
}

const identity = async (material?: Partial<TestMaterial>) => (await tls(material)).identity;

const bytes = (value: Buffer) => value;
const ECHO = {
  path: '/test.Echo/Once',
  ...{ requestStream: false, responseStream: false },
  ...{ requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes },
} as const;

/** A port as a peer has it: calls of peers are echoed here, those of other clients by grpc-js. */
async function serve(ident: TlsIdentity | undefined, options: Partial<CallServerOptions> = {}) {
  const grpc = new GrpcServer();
  grpc.addService(
    { Once: ECHO },
    {
      Once: (call: { readonly request: Buffer }, callback: (error: null, answer: Buffer) => void) =>
        callback(null, call.request),
    },
  );
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());
  const otherwise = (socket: Parameters<typeof injector.injectConnection>[0]) => injector.injectConnection(socket);
  const started = await startCallServer((call) => void echo(call), {
    ...options,
    otherwise,
    ...(ident !== undefined && { identity: ident }),
  });
  open.push(async () => {
    const left = started.server.leave();
    started.server.cut();
    grpc.forceShutdown();
    await left;
  });
  return started;
}

async function echo(call: IncomingCall): Promise<void> {
  try {
    for await (const request of call.requests()) {
      if (!call.write(request)) await once(call, 'drain');
    }
    call.end();
  } catch (error) {
    call.end(error);
  }
}

function dialer(ident: TlsIdentity | undefined, options: Partial<CallDialerOptions> = {}) {
  const made = newDialer(options, ident);
  open.push(() => made.close());
  return made;
}

/** What grpc-js gets for one call: an answer, or its error. */
function stock(address: string, creds: ChannelCredentials): Promise<Buffer | ServiceError> {
  const client = new Client(address, creds);
  open.push(() => client.close());
  const deadline = { deadline: Date.now() + 10_000 };
  return new Promise((resolve) => {
    client.makeUnaryRequest(ECHO.path, bytes, bytes, Buffer.from('hi'), new Metadata(), deadline, (error, answer) =>
      resolve(error ?? (answer as Buffer)),
    );
  });
}

const withCertificate = ({ context }: TlsIdentity) => credentials.createFromSecureContext(context);

describe('peers with certificates of one authority', () => {
  it.each([
    ['at an address', '127.0.0.1'],
    ['by name', 'localhost'],
  ])('call each other %s', async (_how, host) => {
    const { port, refused } = await serve(await identity());
    const call = new TestCall(dialer(await identity()), `${host}:${port}`);
    const messages = [0, 1, 5, 1000, 16_384, 70_000, 0, 2_000_000, 3].map((size) => randomBytes(size));
    call.send(...messages);
    await call.received(messages.length);
    expect(Buffer.concat(call.messages).equals(Buffer.concat(messages))).toBe(true);
    call.close();
    expect(refused).toEqual([]);
  });

  it('speak TLS 1.3, and nothing that somebody in between could read', async () => {
    const { port } = await serve(await identity());
    const seen: Buffer[] = [];
    const between = createServer((client) => {
      const server = connect(port, '127.0.0.1');
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        from.on('data', (data) => seen.push(data));
        from.pipe(to);
        from.on('error', () => to.destroy());
      }
    });
    await once(between.listen(0, '127.0.0.1'), 'listening');
    open.push(() => void between.close());
    const address = `127.0.0.1:${(between.address() as { port: number }).port}`;
    const call = new TestCall(dialer(await identity()), address);
    call.send('a secret that is told');
    await call.received(1);
    call.close();
    const all = Buffer.concat(seen);
    expect(all.includes('a secret')).toBe(false);
    expect(all.includes('some-ticket')).toBe(false);
    // supported_versions of the ServerHello, RFC 8446 section 4.2.1.
    expect(all.includes(Buffer.from([0x00, 0x2b, 0x00, 0x02, 0x03, 0x04]))).toBe(true);
  });

  it('wait for room in the middle of what has come, and lose nothing', async () => {
    const { address } = await serve(await identity(), { windowBytes: 1 << 24 });
    const one = dialer(await identity(), { windowBytes: 1 << 24, maxHeldBytes: 100_000 });
    const call = new TestCall(one, address);
    const messages = Array.from({ length: 20 }, () => randomBytes(300_000));
    // Full again after each message, as by a disk that is slow.
    let isHeld = false;
    const letGo = setInterval(() => {
      if (isHeld) one.hold(-200_000);
      isHeld = !isHeld;
      if (isHeld) one.hold(200_000);
    }, 1);
    open.push(() => clearInterval(letGo));
    call.send(...messages);
    await call.received(messages.length);
    expect(Buffer.concat(call.messages).equals(Buffer.concat(messages))).toBe(true);
  });
});

describe('a certificate', () => {
  it.each([
    ['of an authority that the caller does not believe', { authority: theirs, believes: [ours] }, /of an authority/],
    ['that has expired', { days: -1 }, /has expired/],
    ['for another host', { hosts: ['elsewhere', '10.1.1.1'] }, /for other names/],
  ] as const)('%s ends the call of who sees it, with the reason and a hint', async (_what, material, reason) => {
    const { address } = await serve(await identity(material));
    const ended = await new TestCall(dialer(await identity()), address).ended();
    expect(ended).toMatchObject({ code: 'unavailable', hint: expect.any(String) });
    expect(ended?.message).toMatch(reason);
    expect(ended?.message).toContain(address);
  });

  it.each([
    ['of an authority that the server does not believe', { authority: theirs, believes: [ours] }],
    ['that has expired', { days: -1 }],
  ] as const)('%s gets nobody in', async (_what, material) => {
    const { address, refused } = await serve(await identity());
    const caller = await identity(material);
    const call = new TestCall(dialer(caller), address);
    call.send('let me in');
    expect(await call.ended()).toMatchObject({ code: 'unavailable', hint: expect.stringContaining('certificate') });
    expect(await stock(address, withCertificate(caller))).toMatchObject({ code: status.UNAVAILABLE });
    expect(call.messages).toEqual([]);
    expect(new Set(refused)).toEqual(new Set(['certificate']));
  });
});

describe('a stock client', () => {
  it('with a certificate is served', async () => {
    const { address } = await serve(await identity());
    expect(await stock(address, withCertificate(await identity()))).toEqual(Buffer.from('hi'));
  });

  it('without one is not, though it believes the authority', async () => {
    const { address, refused } = await serve(await identity());
    const answer = await stock(address, credentials.createSsl(Buffer.from(ours.certificate)));
    expect(answer).toMatchObject({ code: status.UNAVAILABLE });
    await waitFor('the refusal is counted', () => refused.length > 0);
    expect(new Set(refused)).toEqual(new Set(['certificate']));
  });

  it('that wants TLS 1.2 is not', async () => {
    const { certificate: cert, key } = ours.issue({ hosts: ['127.0.0.1'] });
    const old = createSecureContext({ cert, key, ca: ours.certificate, maxVersion: 'TLSv1.2' });
    const { address, refused } = await serve(await identity());
    expect(await stock(address, credentials.createFromSecureContext(old))).toMatchObject({ code: status.UNAVAILABLE });
    await waitFor('the refusal is counted', () => refused.includes('handshake'));
  });
});

describe('plaintext and TLS', () => {
  const hint = expect.stringContaining('SHOAL_TLS_CA_FILE');

  it('a caller without TLS is told that it is wanted', async () => {
    const { address, refused } = await serve(await identity());
    expect(await new TestCall(dialer(undefined), address).ended()).toMatchObject({
      code: 'denied',
      message: `${address} takes calls over TLS alone`,
      hint,
    });
    expect(await stock(address, credentials.createInsecure())).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(new Set(refused)).toEqual(new Set(['plaintext']));
  });

  it('a caller with TLS never falls back', async () => {
    const { address, refused } = await serve(undefined);
    const caller = await identity();
    expect(await new TestCall(dialer(caller), address).ended()).toMatchObject({
      code: 'unavailable',
      message: `${address}: it does not speak TLS`,
      hint,
    });
    expect(await stock(address, withCertificate(caller))).toMatchObject({ code: status.UNAVAILABLE });
    expect(new Set(refused)).toEqual(new Set(['tls']));
  });

  it('who speaks neither is hung up on', async () => {
    const { port, refused } = await serve(await identity());
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
    expect(refused).toEqual(['plaintext']);
  });

  it.each([
    ['says nothing', Buffer.alloc(0)],
    ['begins a handshake and no more', Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00])],
  ])('who %s is hung up on in time', async (_what, first) => {
    const { port } = await serve(await identity(), { helloMs: 50 });
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write(first);
    await once(socket, 'close');
  });

  it('a server that leaves waits for no handshake', async () => {
    const { server, port } = await serve(await identity());
    const sockets = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')];
    const closed = sockets.map(async (socket) => {
      socket.on('error', () => undefined).resume();
      await once(socket, 'close');
    });
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    sockets[0]?.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
    // Whoever is served has been taken after them.
    const call = new TestCall(dialer(await identity()), `127.0.0.1:${port}`);
    call.send('hi');
    await call.received(1);
    call.close();
    await server.leave();
    await Promise.all(closed);
  });
});

describe('when certificates are renewed', () => {
  it('calls that are open go on, and new ones show what is new', async () => {
    const [served, calling] = [await tls(), await tls()];
    const { address } = await serve(served.identity);
    const one = dialer(calling.identity);
    const before = new TestCall(one, address);
    before.send('before');
    await before.received(1);

    // The authority is another one, and both believe it alone.
    for (const side of [served, calling]) {
      await side.replace({ authority: theirs });
      await side.identity.reload();
    }
    before.send('and after');
    await before.received(2);

    const late = new TestCall(dialer(calling.identity), address);
    late.send('late');
    await late.received(1);
    expect(await stock(address, withCertificate(calling.identity))).toEqual(Buffer.from('hi'));
    const old = await identity();
    expect(await new TestCall(dialer(old), address).ended()).toMatchObject({ code: 'unavailable' });
  });

  it('one authority takes over from another without a gap while both are believed', async () => {
    const served = await tls({ believes: [ours, theirs] });
    const { address } = await serve(served.identity);
    const [old, renewed] = [
      await identity({ believes: [ours, theirs] }),
      await identity({ authority: theirs, believes: [ours, theirs] }),
    ];
    for (const caller of [old, renewed]) {
      const call = new TestCall(dialer(caller), address);
      call.send('hi');
      await call.received(1);
    }
  });
});
