import { isIP } from 'node:net';
import type { Finding } from '../doctor.js';
import type { TlsIdentity } from './tls-identity.js';

const DAY_MS = 24 * 3600 * 1000;
/** What a machine renews has been renewed by then. */
const EXPIRY_WARNING_MS = 7 * DAY_MS;

/** What the doctor says of this peer's own certificate. `address` is where other peers call, host:port. */
export function certificateFinding(
  { certificate, expiresAtMs, lastFailure }: Pick<TlsIdentity, 'certificate' | 'expiresAtMs' | 'lastFailure'>,
  { address, nowMs }: { readonly address: string; readonly nowMs: number },
): Omit<Finding, 'name'> {
  const until = new Date(expiresAtMs).toISOString();
  const failure = lastFailure === undefined ? '' : `, and the files are not in use: ${lastFailure.message}`;
  if (expiresAtMs < nowMs) {
    const hint = 'replace the files that SHOAL_TLS_CERT_FILE and SHOAL_TLS_KEY_FILE name';
    return { result: 'failed', detail: `the certificate has expired, ${until}${failure}`, hint };
  }
  const host = address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  const isForHost = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  if (isForHost === undefined) {
    return {
      result: 'failed',
      detail: `the certificate is not for ${host}, where other peers call, but for ${certificate.subjectAltName ?? 'no name'}`,
      hint: 'have one made that names the host of SHOAL_ADVERTISE_ADDRESS',
    };
  }
  if (lastFailure !== undefined) {
    const detail = `the certificate is valid until ${until}${failure}`;
    return { result: 'warning', detail, hint: lastFailure.hint ?? 'see the log of the peer' };
  }
  if (expiresAtMs - nowMs < EXPIRY_WARNING_MS) {
    const hint = 'replace the files of SHOAL_TLS_*: what is new is in use within a minute or two';
    return { result: 'warning', detail: `the certificate expires soon, ${until}`, hint };
  }
  return { result: 'ok', detail: `mutual TLS; the certificate is valid until ${until}` };
}
