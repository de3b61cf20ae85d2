// Certificates for tests and benches: an authority that lives as long as the process, and what it signs. Node can read
// X.509 but not write it, and not every machine has openssl; it takes little more than the encoding of DER (X.690) and the
// fields of RFC 5280 section 4.1. Keys are ECDSA on P-256.

import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';

const DAY_MS = 24 * 3600 * 1000;
const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
};

/** An authority of its own, which nobody trusts unless told to. */
export class Authority {
  #name;
  #key;
  /** Its certificate, in PEM. */
  certificate;

  /** @param {string} [name] its common name */
  constructor(name = 'authority') {
    const { privateKey, publicKey } = newKeyPair();
    this.#name = name;
    this.#key = privateKey;
    const extensions = [
      extension(OID.basicConstraints, sequence(boolean(true)), { isCritical: true }),
      // keyCertSign, cRLSign.
      extension(OID.keyUsage, bitString(Buffer.from([0x06]), 1), { isCritical: true }),
    ];
    this.certificate = this.#signed({ subject: name, publicKey, extensions, days: 10 });
  }

  /**
   * A certificate for clients and servers, with its key, both in PEM.
   *
   * @param {{ hosts: readonly string[], days?: number, name?: string }} options names and addresses that it is for; how long it
   *   is valid, negative for one that has expired so long ago; common name
   */
  issue({ hosts, days = 1, name = 'peer' }) {
    const { privateKey, publicKey } = newKeyPair();
    const extensions = [
      // digitalSignature.
      extension(OID.keyUsage, bitString(Buffer.from([0x80]), 7), { isCritical: true }),
      extension(OID.extendedKeyUsage, sequence(objectId(OID.serverAuth), objectId(OID.clientAuth))),
      extension(OID.subjectAltName, sequence(...hosts.map(alternativeName))),
    ];
    return { certificate: this.#signed({ subject: name, publicKey, extensions, days }), key: privateKey };
  }

  #signed({ subject, publicKey, extensions, days }) {
    const algorithm = sequence(objectId(OID.ecdsaWithSha256));
    const end = Date.now() + days * DAY_MS;
    const body = sequence(
      // Version 3.
      encoded(0xa0, encoded(0x02, Buffer.from([2]))),
      encoded(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
      algorithm,
      distinguishedName(this.#name),
      sequence(utcTime(Math.min(Date.now(), end) - DAY_MS), utcTime(end)),
      distinguishedName(subject),
      publicKey,
      encoded(0xa3, sequence(...extensions)),
    );
    const signature = sign('sha256', body, createPrivateKey(this.#key));
    const lines =
      sequence(body, algorithm, bitString(signature))
        .toString('base64')
        .match(/.{1,64}/g) ?? [];
    return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  }
}

/**
 * Writes what a peer needs into a folder, and returns the settings that name it.
 *
 * @param {string} folder
 * @param {{ certificate: string, key: string, ca: string }} material in PEM
 */
export async function writeTlsFiles(folder, { certificate, key, ca }) {
  await mkdir(folder, { recursive: true });
  const settings = {
    SHOAL_TLS_CERT_FILE: join(folder, 'tls.crt'),
    SHOAL_TLS_KEY_FILE: join(folder, 'tls.key'),
    SHOAL_TLS_CA_FILE: join(folder, 'ca.crt'),
  };
  await writeFile(settings.SHOAL_TLS_CERT_FILE, certificate);
  await writeFile(settings.SHOAL_TLS_KEY_FILE, key, { mode: 0o600 });
  await writeFile(settings.SHOAL_TLS_CA_FILE, ca);
  return settings;
}

function newKeyPair() {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

function encoded(tag, ...contents) {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const length = Buffer.from(content.length.toString(16).padStart(4, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

function sequence(...items) {
  return encoded(0x30, ...items);
}

function boolean(value) {
  return encoded(0x01, Buffer.from([value ? 0xff : 0]));
}

function bitString(bytes, unusedBits = 0) {
  return encoded(0x03, Buffer.from([unusedBits]), bytes);
}

function objectId(dotted) {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of others) {
    const digits = [arc & 0x7f];
    for (let rest = arc >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return encoded(0x06, Buffer.from(bytes));
}

function distinguishedName(commonName) {
  return sequence(encoded(0x31, sequence(objectId(OID.commonName), encoded(0x0c, Buffer.from(commonName)))));
}

/** Good until 2049. */
function utcTime(ms) {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return encoded(0x17, Buffer.from(`${digits}Z`));
}

function extension(id, value, { isCritical = false } = {}) {
  return sequence(objectId(id), ...(isCritical ? [boolean(true)] : []), encoded(0x04, value));
}

function alternativeName(host) {
  if (isIP(host) === 4) return encoded(0x87, Buffer.from(host.split('.').map(Number)));
  if (isIP(host) === 6) throw new RangeError(`no certificates for IPv6 addresses such as ${host}`);
  return encoded(0x82, Buffer.from(host));
}
