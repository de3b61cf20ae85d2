import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { ShoalError } from '../../common/errors.js';

/** The files, all in PEM. */
export interface TlsFiles {
  /** The peer's certificate, followed by those between it and its authority. */
  readonly certFile: string;
  readonly keyFile: string;
  /** The authorities that are believed: more than one while one takes over from another. */
  readonly caFile: string;
}

/** What the files hold, ready for use. */
export interface TlsMaterial {
  readonly certificate: X509Certificate;
  /** For a TLS server, which makes a context of its own. */
  readonly options: SecureContextOptions & { readonly honorCipherOrder: true };
  /** For connections to others. */
  readonly context: SecureContext;
  /** The contents of the files, to see whether they have changed. */
  readonly text: string;
}

/**
 * Both ends are peers, so there is nobody to be lenient with. Of the three ciphers of TLS 1.3 (RFC 8446 section 9.1) the
 * one that costs least on processors with instructions for AES comes first.
 */
const PROTOCOL = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
} as const;

/** Reads the files. Throws `invalid`, naming the setting at fault, when they do not hold what they should. */
export async function readTlsFiles({ certFile, keyFile, caFile }: TlsFiles): Promise<TlsMaterial> {
  const [cert, key, ca] = await Promise.all([
    read('SHOAL_TLS_CERT_FILE', certFile),
    read('SHOAL_TLS_KEY_FILE', keyFile),
    read('SHOAL_TLS_CA_FILE', caFile),
  ]);
  const certificate = parseCertificate('SHOAL_TLS_CERT_FILE', certFile, cert);
  parseCertificate('SHOAL_TLS_CA_FILE', caFile, ca);
  if (!certificate.checkPrivateKey(parseKey(keyFile, key))) {
    throw new ShoalError('invalid', `the key in ${keyFile} is not that of the certificate in ${certFile}`, {
      hint: 'SHOAL_TLS_KEY_FILE and SHOAL_TLS_CERT_FILE must come from the same request',
    });
  }
  const options = { ...PROTOCOL, honorCipherOrder: true, cert, key, ca } as const;
  try {
    return { certificate, options, context: createSecureContext(options), text: cert + key + ca };
  } catch (cause) {
    const { message } = cause as Error;
    throw new ShoalError('invalid', `no TLS with ${certFile}, ${keyFile} and ${caFile}: ${message}`, { cause });
  }
}

async function read(setting: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new ShoalError('invalid', `cannot read ${path}: ${(cause as Error).message}`, {
      cause,
      hint: `${setting} must name a file that the peer may read`,
    });
  }
}

function parseCertificate(setting: string, path: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new ShoalError('invalid', `${path} holds no certificate in PEM`, {
      cause,
      hint: `${setting} must name a file that begins with -----BEGIN CERTIFICATE-----`,
    });
  }
}

function parseKey(path: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new ShoalError('invalid', `${path} holds no private key in PEM, or one behind a passphrase`, {
      cause,
      hint: 'SHOAL_TLS_KEY_FILE must name a file with a private key that is not encrypted',
    });
  }
}
