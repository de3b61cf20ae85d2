import { generateKeyPairSync } from 'node:crypto';
import type { RecordClaims } from '../../index-server/api/statements.js';
import { Signer } from '../../index-server/signer.js';

/** A signer as an index has one, with a key of its own. */
export async function newSigner(): Promise<Signer> {
  const { privateKey } = generateKeyPairSync('ed25519');
  return Signer.fromPem(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
}

/** Claims of a record of a public file of ann's, except for what is given. */
export function claimsFor(id: string, given: Partial<RecordClaims> = {}): RecordClaims {
  return {
    kind: 'record',
    id,
    ownerId: 'u-ann',
    owner: 'ann',
    name: 'a/file.bin',
    version: 1,
    size: 3,
    sha256: 'a'.repeat(64),
    chunkSize: 65536,
    chunks: 1,
    tags: {},
    visibility: 'public',
    readers: [],
    replicas: 1,
    publishedAt: '2026-01-02T03:04:05.000Z',
    ...given,
  };
}
