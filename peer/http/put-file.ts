import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Request, Response } from 'express';
import { ShoalError, toShoalError } from '../../common/errors.js';
import type { Auth } from '../../index-server/client.js';
import { clientGone } from './abort.js';
import { limitIdle, sendContinue } from './body-intake.js';
import type { HttpDoorDeps, HttpDoorOptions } from './deps.js';
import type { FileCall } from './get-file.js';
import { mayWrite, publishCondition } from './preconditions.js';
import { readPublishHeaders } from './publish-headers.js';
import { nameOfTarget, targetOfRef } from './ref-path.js';
import { statOf } from './stat-of.js';

/** What a PUT works with. */
export type PutFileDeps = Pick<HttpDoorDeps, 'index' | 'membership' | 'publisher' | 'metrics'>;

/**
 * `PUT /files/NAME`: everything that can be refused without the bytes is refused before they are read; they are asked
 * for (100 Continue) when the store has made room. Answers 201 once the file is published and its copies are made. A
 * body that is cut off, stalls for `idleMs` or has another digest than its headers say leaves nothing behind.
 */
export async function putFile(
  deps: PutFileDeps,
  options: Pick<HttpDoorOptions, 'idleMs'>,
  { request, response, onBehalf }: FileCall,
): Promise<void> {
  const name = nameOfTarget(request.originalUrl);
  const { size, sha256, ...labels } = readPublishHeaders(request.headers);
  const { signal } = clientGone(response);
  await checkPreconditions(deps, { headers: request.headers, auth: deps.membership.auth(onBehalf), name }, signal);

  const stream = readBody(request, response, { sha256, idleMs: options.idleMs });
  const source = { stream, ...(size !== undefined && { size }) };
  const condition = publishCondition(request.headers);
  const publishing = deps.publisher.publish(source, { name, ...labels, onBehalf, condition, wait: true }, { signal });
  const { published } = await publishing.catch((thrown: unknown) => {
    throw condition === undefined ? thrown : preconditionFailed(thrown);
  });
  const { file } = published;
  deps.metrics.receivedBytes.inc({ kind: 'http' }, file.size);
  const body = Buffer.from(JSON.stringify({ id: file.id, name: file.name, size: file.size, sha256: file.sha256 }));
  response.writeHead(201, {
    Location: targetOfRef(file.id),
    ETag: `"${file.id}"`,
    'Content-Type': 'application/json',
    'Content-Length': body.length,
  });
  response.end(body);
}

/** Of two that write at the same moment both may pass here; the index lets one of them have the name. */
async function checkPreconditions(
  { index }: Pick<HttpDoorDeps, 'index'>,
  call: { readonly headers: IncomingHttpHeaders; readonly auth: Auth; readonly name: string },
  signal: AbortSignal,
): Promise<void> {
  const { headers, auth } = call;
  if (headers['if-match'] === undefined && headers['if-none-match'] === undefined) return;
  const { username } = await index.account(auth, signal);
  const ref = `${username}/${call.name}`;
  const current = await statOf(index, auth, ref, signal);
  if (mayWrite(headers, current === undefined ? undefined : `"${current.id}"`)) return;
  const message = current === undefined ? `there is no '${ref}'` : `'${ref}' is taken by ${current.id}`;
  throw new ShoalError('conflict', message, { details: { status: 412 } });
}

/** A conflict with the current version, as HTTP calls it; anything else as it is. */
function preconditionFailed(thrown: unknown): unknown {
  const error = toShoalError(thrown);
  if (error.code !== 'conflict') return thrown;
  return new ShoalError('conflict', error.message, { cause: error, details: { status: 412 } });
}

/** The body, with a digest that is checked before its end is told. */
async function* readBody(
  request: Request,
  response: Response,
  options: { readonly sha256: string | undefined; readonly idleMs: number },
): AsyncGenerator<Buffer> {
  const hash = options.sha256 === undefined ? undefined : createHash('sha256');
  sendContinue(request, response);
  const release = limitIdle(request, options.idleMs);
  try {
    // Left undestroyed when the reader gives up, so that the client can still be told why.
    for await (const data of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      hash?.update(data);
      yield data;
    }
  } catch (cause) {
    if (cause instanceof ShoalError) throw cause;
    throw new ShoalError('cancelled', 'the body was cut off before its end', { cause });
  } finally {
    release();
  }
  const actual = hash?.digest('hex');
  if (actual !== options.sha256) {
    throw new ShoalError('invalid', `the SHA-256 of the body is ${actual}, not ${options.sha256} as its headers say`);
  }
}
