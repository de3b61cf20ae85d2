import fc from 'fast-check';
import { type ConnectionFacts, decideAccess } from './access.js';

const OPEN = { loopbackAccess: true, requireLogin: false };
const LOCAL: ConnectionFacts = {
  localAddress: '127.0.0.1',
  remoteAddress: '127.0.0.1',
  headers: { host: '127.0.0.1:5001' },
};

function local(headers: ConnectionFacts['headers']): ConnectionFacts {
  return { ...LOCAL, headers: { ...LOCAL.headers, ...headers } };
}

describe('a request with a token', () => {
  it.each(['Bearer abc.DEF-_', 'bearer   abc.DEF-_  '])(
    'acts for the session in %p, wherever it comes from',
    (authorization) => {
      const facts = {
        localAddress: '10.0.0.1',
        remoteAddress: '10.9.9.9',
        headers: { authorization, origin: 'https://x' },
      };
      expect(decideAccess(facts, OPEN)).toEqual({ kind: 'session', token: 'abc.DEF-_' });
      expect(decideAccess(facts, { loopbackAccess: false, requireLogin: true }).kind).toBe('session');
    },
  );

  it.each(['', 'Bearer', 'Bearer ', 'Basic YTpi', 'Bearer a b', 'abc'])(
    'is refused, not taken for the own account, when it is %p',
    (authorization) => {
      expect(decideAccess(local({ authorization }), OPEN).kind).toBe('refused');
    },
  );
});

describe('a request without a token', () => {
  it.each([
    ['127.0.0.1', 'localhost'],
    ['127.0.0.1', 'LOCALHOST:5001'],
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '[::1]:5001'],
    ['::1', '[::1]'],
    // How a socket that listens on :: shows a connection to 127.0.0.1.
    ['::ffff:127.0.0.1', '127.0.0.1:5001'],
  ])('acts as the own account between ends %s with the host %s', (address, host) => {
    const facts = { localAddress: address, remoteAddress: address, headers: { host } };
    expect(decideAccess(facts, OPEN)).toEqual({ kind: 'own' });
  });

  it.each([
    ['127.0.0.1', '10.0.0.5'],
    ['10.0.0.5', '127.0.0.1'],
    ['10.0.0.5', '10.0.0.5'],
    ['127.0.0.2', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.2'],
    ['::ffff:10.0.0.5', '::1'],
    ['127.0.0.1', undefined],
    [undefined, '127.0.0.1'],
  ])('is refused between ends %s and %s', (localAddress, remoteAddress) => {
    expect(decideAccess({ ...LOCAL, localAddress, remoteAddress }, OPEN).kind).toBe('refused');
  });

  it.each([
    undefined,
    '',
    'evil.example',
    'evil.example:5001',
    'localhost.evil.example',
    'localhost.',
    '127.0.0.1.evil.example',
    '127.0.0.1@evil.example',
    'user@localhost',
    '::1',
    '0.0.0.0:5001',
    'localhost:',
    'localhost:123456',
  ])('is refused with the host %p, as after DNS rebinding', (host) => {
    expect(decideAccess({ ...LOCAL, headers: host === undefined ? {} : { host } }, OPEN).kind).toBe('refused');
  });

  it.each([
    ['origin', 'http://127.0.0.1:5001'],
    ['origin', 'null'],
    ['forwarded', 'for=1.2.3.4'],
    ['x-forwarded-for', '1.2.3.4'],
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-anything', ''],
    ['x-real-ip', '1.2.3.4'],
    ['via', '1.1 proxy'],
    ['sec-fetch-site', 'cross-site'],
    ['sec-fetch-site', 'same-site'],
  ])('is refused with the header %s: %s, as from a page or a proxy', (name, value) => {
    const access = decideAccess(local({ [name]: value }), OPEN);
    expect(access.kind).toBe('refused');
  });

  it('is let in from a page that a person opened by hand', () => {
    expect(decideAccess(local({ 'sec-fetch-site': 'none' }), OPEN).kind).toBe('own');
  });

  it.each([
    { loopbackAccess: false, requireLogin: false },
    { loopbackAccess: true, requireLogin: true },
  ])('is refused everywhere with %o', (options) => {
    expect(decideAccess(LOCAL, options).kind).toBe('refused');
  });

  it('is let in only when every part of the rule holds', () => {
    const address = fc.constantFrom('127.0.0.1', '::1', '127.0.0.2', '10.0.0.5', undefined);
    const headers = fc.dictionary(fc.constantFrom('host', 'origin', 'via', 'accept', 'x-forwarded-for'), fc.string());
    fc.assert(
      fc.property(address, address, headers, (localAddress, remoteAddress, given) => {
        if (decideAccess({ localAddress, remoteAddress, headers: given }, OPEN).kind !== 'own') return;
        expect(['127.0.0.1', '::1']).toContain(localAddress);
        expect(['127.0.0.1', '::1']).toContain(remoteAddress);
        expect(Object.keys(given).filter((name) => !['host', 'accept'].includes(name))).toEqual([]);
      }),
    );
  });
});
