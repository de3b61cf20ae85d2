import { ShoalError } from '../../common/errors.js';

/*
 * Why a connection with TLS came to nothing, in words that say what to do. Node tells it by codes and texts of OpenSSL.
 */

const SET_ALL = 'set SHOAL_TLS_CERT_FILE, SHOAL_TLS_KEY_FILE and SHOAL_TLS_CA_FILE on all peers, or on none';
const SAME_CA = 'SHOAL_TLS_CA_FILE of each peer must hold the authority that has signed the others';

/** By what OpenSSL or Node say, as code or as text (grpc-js passes only the text on). The first that fits counts. */
const OF_SERVERS: readonly (readonly [pattern: RegExp, message: string, hint: string])[] = [
  [/CERT_HAS_EXPIRED|certificate has expired/, 'its certificate has expired', 'renew the certificate of that peer'],
  [
    /CERT_NOT_YET_VALID|certificate is not yet valid/,
    'its certificate is not valid yet',
    'see whether both machines keep time by NTP',
  ],
  [
    /ERR_TLS_CERT_ALTNAME_INVALID|altnames/,
    'its certificate is for other names than this one',
    'the certificate of each peer must name the host of its SHOAL_ADVERTISE_ADDRESS',
  ],
  [
    /SELF_SIGNED_CERT|UNABLE_TO_|CERT_SIGNATURE_FAILURE|INVALID_CA|self-signed certificate|unable to (verify|get)|signature failure|invalid CA/,
    'its certificate is of an authority that is not believed here',
    SAME_CA,
  ],
  [
    /WRONG_VERSION_NUMBER|wrong version number|PACKET_LENGTH_TOO_LONG|packet length too long/,
    'it does not speak TLS',
    SET_ALL,
  ],
  [
    /ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA)|alert (certificate|bad certificate|unknown ca)/,
    'it does not accept the certificate that it was shown',
    SAME_CA,
  ],
];

/** What is wrong between this peer, which speaks TLS, and one that it called; undefined when that is not about TLS. */
export function tlsTroubleOf(error: Error): ShoalError | undefined {
  const said = `${(error as NodeJS.ErrnoException).code ?? ''} ${error.message}`;
  const found = OF_SERVERS.find(([pattern]) => pattern.test(said));
  return found && new ShoalError('unavailable', found[1], { cause: error, hint: found[2] });
}

/** The same for a call of grpc-js to `address`, whose error says it in a text of its own; others pass as they are. */
export function explainCall(error: ShoalError, address: string): ShoalError {
  // How Node's HTTP/2 puts the answer of a peer that wants TLS.
  if (error.message.includes('Protocol not secure enough')) {
    return new ShoalError('denied', `${address} ${WANTS_TLS.message}`, { cause: error, hint: WANTS_TLS.hint });
  }
  const trouble = error.code === 'unavailable' ? tlsTroubleOf(error) : undefined;
  if (trouble?.hint === undefined) return error;
  return new ShoalError('unavailable', `${address}: ${trouble.message}`, { cause: error, hint: trouble.hint });
}

/** For a connection that the other side closed as soon as it had seen our certificate. */
export function hungUpAfterHandshake(cause: Error): ShoalError {
  return new ShoalError('unavailable', 'it hung up after the TLS handshake', {
    cause,
    hint: `it may not accept the certificate of this peer, and its log says why: ${SAME_CA}`,
  });
}

/** For a peer that takes nothing but TLS, called without. */
export const WANTS_TLS = { message: 'takes calls over TLS alone', hint: SET_ALL } as const;
