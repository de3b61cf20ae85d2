import type { IncomingMessage } from 'node:http';

/**
 * Who a request acts as: the user of a session (which the index has still to recognise), the peer's own account, or
 * nobody, with the reason.
 */
export type Access =
  | { readonly kind: 'session'; readonly token: string }
  | { readonly kind: 'own' }
  | { readonly kind: 'refused'; readonly reason: string };

/** What the decision is made from; {@link connectionFacts} takes it from a request. */
export interface ConnectionFacts {
  readonly localAddress: string | undefined;
  readonly remoteAddress: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** How the door is set up. */
export interface AccessOptions {
  /** Whether this machine's own programs may do without a token. */
  readonly loopbackAccess: boolean;
  /** Whether nobody may act as the peer's own account. */
  readonly requireLogin: boolean;
}

/** How a dual-stack socket shows 127.0.0.1: the same address, so that listening on `::` changes no one's rights. */
const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;
const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i;
/** A proxy or a browser speaks for somebody else: that it runs on this machine says nothing about them. */
const SPEAKS_FOR_OTHERS = /^(origin|forwarded|via|x-real-ip|x-forwarded-.*)$/;

/**
 * Decides who a request acts as. Without a token it acts as the peer's own account, if the settings allow it and both
 * ends of the connection are exactly 127.0.0.1 or ::1, the Host is loopback (a name that an attacker made point here
 * is not: DNS rebinding), and no header shows that a page or a proxy sent it (a web page can make a browser call
 * loopback: CSRF). A token that cannot be read is refused, never ignored.
 */
export function decideAccess(facts: ConnectionFacts, options: AccessOptions): Access {
  const { authorization } = facts.headers;
  if (authorization !== undefined) {
    const token = typeof authorization === 'string' ? BEARER.exec(authorization)?.[1] : undefined;
    return token === undefined
      ? refused('the Authorization header is not of the form: Bearer TOKEN')
      : { kind: 'session', token };
  }
  const reason = options.requireLogin
    ? 'this peer is set to require a login'
    : options.loopbackAccess
      ? whyNotLoopback(facts)
      : 'this peer is set to require a token on loopback, too';
  return reason === undefined ? { kind: 'own' } : refused(reason);
}

/** The facts of a request that {@link decideAccess} needs. */
export function connectionFacts(request: IncomingMessage): ConnectionFacts {
  const { socket, headers } = request;
  return { localAddress: socket.localAddress, remoteAddress: socket.remoteAddress, headers };
}

function whyNotLoopback({ localAddress, remoteAddress, headers }: ConnectionFacts): string | undefined {
  if (!isLoopback(localAddress) || !isLoopback(remoteAddress)) {
    return "only programs on the peer's own loopback address may do without a token";
  }
  const { host } = headers;
  if (typeof host !== 'string' || !LOOPBACK_HOST.test(host)) return 'the Host header names no loopback address';
  for (const name in headers) {
    if (SPEAKS_FOR_OTHERS.test(name)) return `a request with the header '${name}' needs a token`;
  }
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'none' && site !== 'same-origin')
    return 'a web page of another site needs a token';
  return undefined;
}

function isLoopback(address: string | undefined): boolean {
  return address !== undefined && LOOPBACK.has(address);
}

function refused(reason: string): Access {
  return { kind: 'refused', reason };
}
