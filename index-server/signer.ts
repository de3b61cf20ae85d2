import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { calculateJwkThumbprint, compactVerify, exportJWK, jwtVerify } from 'jose';
import { ShoalError } from '../common/errors.js';
import type { PublicKey } from './api/peers.js';
import { type RecordClaims, recordClaimsSchema, type TicketClaims, ticketClaimsSchema } from './api/statements.js';

/*
 * What the index says under its own name. Records have no expiry and no audience, so that they can never pass for a
 * ticket; tickets and swarm tokens are for peers, peer tokens and nothing else open the index.
 */

const RECORD_TYPE = 'shoal-record+jwt';
const PEER_AUDIENCE = 'shoal-peer';
const INDEX_AUDIENCE = 'shoal-index';

/** How long what the index signs is good for, in seconds. */
const TOKEN_SECONDS = { ticket: 600, peer: 3600 } as const;

/** A signed statement and when it ends, in milliseconds since 1970. */
export interface Signed {
  readonly token: string;
  readonly expiresAt: number;
}

/** Who a peer token was made for. */
export interface PeerIdentity {
  readonly name: string;
  /** The start of the peer's process that joined. */
  readonly incarnation: string;
}

/** What to put into a ticket; the signer adds the expiry. */
export type TicketSubject = Omit<TicketClaims, 'exp'>;

/**
 * Signs and checks with one Ed25519 key. Times are milliseconds since 1970 and come from the caller. Checks throw
 * `unauthenticated`, or `invalid` for records, and say why.
 */
export class Signer {
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly publicJwk: PublicKey;

  private constructor(privateKey: KeyObject, publicJwk: PublicKey) {
    this.#privateKey = privateKey;
    this.#publicKey = createPublicKey(privateKey);
    this.publicJwk = publicJwk;
  }

  /** Throws `invalid` when the PEM is not an Ed25519 private key. */
  static async fromPem(pem: string): Promise<Signer> {
    const privateKey = parseKey(pem);
    const { x } = await exportJWK(createPublicKey(privateKey));
    if (x === undefined) throw new ShoalError('internal', 'the public key has no x coordinate');
    const jwk = { kty: 'OKP', crv: 'Ed25519', x } as const;
    return new Signer(privateKey, { ...jwk, kid: await calculateJwkThumbprint(jwk) });
  }

  /** Compact JWS of a record or tombstone. The same claims always give the same text. */
  async record(claims: RecordClaims): Promise<string> {
    return this.#compactJws(RECORD_TYPE, claims);
  }

  /** What a record that this key signed says; throws `invalid` for anything else. */
  async verifyRecord(record: string): Promise<RecordClaims> {
    try {
      const { payload, protectedHeader } = await compactVerify(record, this.#publicKey, { algorithms: ['EdDSA'] });
      if (protectedHeader.typ !== RECORD_TYPE) throw new Error(`its type is ${protectedHeader.typ}`);
      return recordClaimsSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
    } catch (cause) {
      throw new ShoalError('invalid', 'the record was not signed by this index', { cause });
    }
  }

  /** A ticket, or with `act: 'peer'` a swarm token, for peers to check. */
  async ticket(subject: TicketSubject, nowMs: number): Promise<Signed> {
    const seconds = subject.act === 'peer' ? TOKEN_SECONDS.peer : TOKEN_SECONDS.ticket;
    return this.#sign(subject, { audience: PEER_AUDIENCE, seconds, nowMs });
  }

  /** With which a peer speaks to the index. */
  async peerToken(peer: PeerIdentity, nowMs: number): Promise<Signed> {
    const claims = { sub: `peer:${peer.name}`, name: peer.name, inc: peer.incarnation };
    return this.#sign(claims, { audience: INDEX_AUDIENCE, seconds: TOKEN_SECONDS.peer, nowMs });
  }

  /** Whom a peer token was made for, and when it ends. */
  async verifyPeerToken(token: string, nowMs: number): Promise<{ peer: PeerIdentity; expiresAt: number }> {
    const claims = await this.#verify(token, INDEX_AUDIENCE, nowMs);
    if (typeof claims.name !== 'string' || typeof claims.inc !== 'string' || claims.exp === undefined) {
      throw new ShoalError('unauthenticated', 'the token is not a peer token');
    }
    return { peer: { name: claims.name, incarnation: claims.inc }, expiresAt: claims.exp * 1000 };
  }

  /** What a ticket of this index says. */
  async verifyTicket(token: string, nowMs: number): Promise<TicketClaims> {
    const claims = ticketClaimsSchema.safeParse(await this.#verify(token, PEER_AUDIENCE, nowMs));
    if (claims.success) return claims.data;
    throw new ShoalError('unauthenticated', 'the token is not a ticket', { cause: claims.error });
  }

  async #sign(
    claims: object,
    { audience, seconds, nowMs }: { audience: string; seconds: number; nowMs: number },
  ): Promise<Signed> {
    const iat = Math.floor(nowMs / 1000);
    const exp = iat + seconds;
    return { token: this.#compactJws('JWT', { ...claims, aud: audience, iat, exp }), expiresAt: exp * 1000 };
  }

  /**
   * RFC 7515, section 7.1. Made here and checked by jose: its signing goes through WebCrypto, which hands each signature
   * to a thread, and that takes several times as long as making it (a ticket goes with every answer to locate).
   */
  #compactJws(typ: string, claims: object): string {
    const header = { alg: 'EdDSA', kid: this.publicJwk.kid, typ };
    const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${sign(null, Buffer.from(text), this.#privateKey).toString('base64url')}`;
  }

  async #verify(token: string, audience: string, nowMs: number) {
    try {
      const options = { audience, algorithms: ['EdDSA'], typ: 'JWT', currentDate: new Date(nowMs) };
      return (await jwtVerify(token, this.#publicKey, options)).payload;
    } catch (cause) {
      const expired = cause instanceof Error && 'code' in cause && cause.code === 'ERR_JWT_EXPIRED';
      throw new ShoalError('unauthenticated', expired ? 'the token has expired' : 'the token is not valid', { cause });
    }
  }
}

/**
 * The signing key in `path` (PKCS #8 PEM), made there with mode 0600 if there is none. Of several servers that start
 * at once on one folder, all end up with the same key. Throws `invalid` when the file holds something else.
 */
export async function openSigner(path: string): Promise<Signer> {
  const existing = await readIfThere(path);
  if (existing !== undefined) return Signer.fromPem(existing);
  await mkdir(dirname(path), { recursive: true });
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return Signer.fromPem((await createOnce(path, pem)) ? pem : await readFile(path, 'utf8'));
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ShoalError('invalid', `cannot read the signing key ${path}`, { cause: error });
  }
}

/**
 * Writes a file that must not exist yet; false when another process made it first. It appears whole or not at all:
 * a hard link to a finished file, so that nobody reads half a key.
 */
async function createOnce(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new ShoalError('invalid', `cannot write the signing key ${path}`, {
      cause: error,
      hint: 'name a writable place, or an existing key, in SHOAL_SIGNING_KEY_FILE',
    });
  } finally {
    await rm(draft, { force: true });
  }
}

function parseKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw new ShoalError('invalid', 'the signing key is not a private key in PEM form', { cause });
  }
  throw new ShoalError('invalid', 'the signing key is not an Ed25519 key');
}
