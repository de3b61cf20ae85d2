import { connect } from 'node:net';
import { abortError, ShoalError } from '../../common/errors.js';

/**
 * Looks whether a daemon listens on a control socket: connects once and hangs up. A plain socket tells better than a
 * gRPC channel why nobody answers, and at once. Throws `unavailable` with a hint when nobody does, `denied` when we may
 * not open it.
 */
export function probeControlSocket(socketPath: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath });
    const giveUp = (): void => {
      socket.destroy();
      reject(abortError(signal));
    };
    if (signal.aborted) giveUp();
    // Not an option of connect(), which would never take its listener away again: a command may look many times.
    signal.addEventListener('abort', giveUp, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', giveUp));
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => reject(noDaemon(error, socketPath)));
  });
}

function noDaemon(error: NodeJS.ErrnoException, socketPath: string): ShoalError {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new ShoalError('denied', `may not open the control socket ${socketPath}`, {
      cause: error,
      hint: 'run the command as the user that runs the peer',
    });
  }
  const reason = error.code === 'ENOENT' ? 'there is no control socket' : 'nobody answers on the control socket';
  return new ShoalError('unavailable', `no peer is running here: ${reason} ${socketPath}`, {
    cause: error,
    hint: 'start one with `npm start` or `shoal peer`, or name the socket of one that runs in SHOAL_SOCKET',
  });
}
