import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Express } from 'express';
import { ShoalError } from '../../common/errors.js';
import { createExpressServer } from '../../common/express-server.js';

/** How long a client whose body was refused may go on sending it before the connection is broken, in milliseconds. */
const LINGER_MS = 2_000;

const waiting = new WeakSet<IncomingMessage>();

/**
 * An HTTP server for the door. Unlike Node's own it leaves it to the handler when to answer `Expect: 100-continue`, so
 * that a client learns of a refusal before it sends a body, and it sets no limit to how long a large body may take.
 */
export function createDoorServer(door: Express): Server {
  const server = createExpressServer(door, { requestTimeout: 0 });
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.add(request);
    door(request, response);
  });
  return server;
}

/** Tells a client that waits for it to send the body. */
export function sendContinue(request: IncomingMessage, response: ServerResponse): void {
  if (waiting.delete(request)) response.writeContinue();
}

/**
 * To be called when an answer was written before the body was read. The body is read and thrown away, since closing at
 * once would make the client's system drop the answer, too; but not for long.
 */
export function discardBody(request: IncomingMessage): void {
  if (request.complete || waiting.has(request)) return;
  request.resume();
  const timer = setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, LINGER_MS);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
}

/** Breaks the connection, with `timeout`, when no byte of the body comes for `idleMs`. Returns what ends the watch. */
export function limitIdle(request: IncomingMessage, idleMs: number): () => void {
  // A listener on the request keeps Node from destroying the socket before the reason is known.
  const onIdle = () => {
    request.destroy(new ShoalError('timeout', `no byte of the body came for ${idleMs} ms`));
  };
  request.once('timeout', onIdle);
  request.socket.setTimeout(idleMs);
  return () => {
    request.removeListener('timeout', onIdle);
    request.socket.setTimeout(0);
  };
}
