import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type PlannedFile, plannedFile } from './planned-catalogue.js';

/** A new key, in the form in which the index keeps its own. */
export function newSigningKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Signs records as the index does (compact JWS, EdDSA): the same file always gets the same record. */
export class RecordSigner {
  readonly #key: KeyObject;
  readonly #header: string;

  constructor(key: KeyObject) {
    this.#key = key;
    this.#header = base64(JSON.stringify({ alg: 'EdDSA', kid: thumbprintOf(key), typ: 'shoal-record+jwt' }));
  }

  /** The signed record of file `number` of the plan, and what it says. */
  record(number: number): { readonly file: PlannedFile; readonly record: string } {
    const file = plannedFile(number);
    const text = `${this.#header}.${base64(JSON.stringify(file))}`;
    return { file, record: `${text}.${sign(null, Buffer.from(text), this.#key).toString('base64url')}` };
  }
}

/** RFC 7638, for a key of RFC 8037. */
function thumbprintOf(key: KeyObject): string {
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url');
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64url');
}
