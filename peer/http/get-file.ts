import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import { ShoalError } from '../../common/errors.js';
import { readThrough } from '../swarm/read-through.js';
import type { BufferPool } from '../wire/buffer-pool.js';
import { clientGone } from './abort.js';
import { attachment } from './content-disposition.js';
import type { HttpDoorDeps } from './deps.js';
import { type FoundFile, type LocateDeps, locateFile } from './locate-file.js';
import { evaluatePreconditions, rangeApplies } from './preconditions.js';
import { parseRange } from './range.js';
import { refOfTarget } from './ref-path.js';
import { sendBody } from './send-body.js';

/** What GET and HEAD of a file work with. */
export interface GetFileDeps extends LocateDeps {
  /** For the bytes that are on their way to clients. */
  readonly buffers: Pick<BufferPool, 'take' | 'give'>;
  readonly metrics: Pick<HttpDoorDeps['metrics'], 'sentBytes'>;
}

/** One request and who makes it. */
export interface FileCall {
  readonly request: Request;
  readonly response: Response;
  readonly onBehalf: string | undefined;
}

/** What of a file is sent. */
interface Part {
  readonly status: 200 | 206;
  readonly offset: number;
  readonly length: number;
}

/**
 * `GET|HEAD /files/REF`: locate, preconditions, range; then the bytes, from this peer's store or, while they arrive,
 * from the swarm, in order and verified. HEAD fetches nothing. Throws before the head of the answer is written;
 * afterwards a failure must break the connection, so that the client sees that bytes are missing. A client that goes
 * away, or wanted only a range, ends its interest in the fetch; what came so far is kept.
 */
export async function getFile(deps: GetFileDeps, options: { readonly idleMs: number }, call: FileCall): Promise<void> {
  const gone = clientGone(call.response);
  let isReadToTheEnd = false;
  try {
    isReadToTheEnd = await answer(deps, options, call, gone.signal);
  } finally {
    if (!isReadToTheEnd) gone.abort(new ShoalError('cancelled', 'the request is over'));
  }
}

/** Returns whether all of the file was sent; the fetch that brought it then finishes by itself. */
async function answer(
  deps: GetFileDeps,
  options: { readonly idleMs: number },
  { request, response, onBehalf }: FileCall,
  signal: AbortSignal,
): Promise<boolean> {
  const isHead = request.method === 'HEAD';
  const ref = refOfTarget(request.originalUrl);
  const found = await locateFile(deps, { ref, onBehalf, mayFetch: !isHead }, signal);
  const validators = { etag: `"${found.id}"`, lastModifiedMs: found.publishedMs };

  const verdict = evaluatePreconditions(request.headers, validators);
  if (verdict === 'failed')
    throw new ShoalError('conflict', `'${ref}' is now ${found.id}`, { details: { status: 412 } });
  if (verdict === 'not_modified') {
    response.writeHead(304, validatorHeaders(found)).end();
    return false;
  }
  // A range is defined for GET alone.
  const range = !isHead && rangeApplies(request.get('if-range'), validators) ? request.headers.range : undefined;
  const part = choosePart(range, found, response);
  if (isHead || part.length === 0) {
    response.writeHead(part.status, partHeaders(found, part)).end();
    return false;
  }
  const { file, ...source } = await found.open(signal);
  const { buffers } = deps;
  await sendBody(response, readThrough({ ...source, buffers }, file, part, signal), {
    length: part.length,
    writeHead: () => response.writeHead(part.status, partHeaders(found, part)),
    onSent: (data) => buffers.give(data),
    idleMs: options.idleMs,
    signal,
  });
  deps.metrics.sentBytes.inc({ kind: 'http' }, part.length);
  return part.length === found.size;
}

function choosePart(range: string | undefined, found: FoundFile, response: ServerResponse): Part {
  const answer = parseRange(range, found.size);
  switch (answer.kind) {
    case 'whole':
      return { status: 200, offset: 0, length: found.size };
    case 'part':
      return { status: 206, offset: answer.first, length: answer.last - answer.first + 1 };
    case 'unsatisfiable':
      response.setHeader('Content-Range', `bytes */${found.size}`);
      throw new ShoalError('invalid', `the range '${range}' is not within the ${found.size} bytes of the file`, {
        details: { status: 416 },
      });
  }
}

function partHeaders(found: FoundFile, { offset, length, status }: Part): OutgoingHttpHeaders {
  return {
    ...validatorHeaders(found),
    'Content-Type': 'application/octet-stream',
    'Content-Length': length,
    'Content-Disposition': attachment(found.name),
    'Accept-Ranges': 'bytes',
    ...(status === 206 && { 'Content-Range': `bytes ${offset}-${offset + length - 1}/${found.size}` }),
    ...(found.sha256 !== undefined && { 'Repr-Digest': `sha-256=:${base64(found.sha256)}:` }),
  };
}

function validatorHeaders({ id, publishedMs }: FoundFile): OutgoingHttpHeaders {
  return {
    ETag: `"${id}"`,
    // A name may get a new version, and a right be taken away, at any moment; asking again costs a 304.
    'Cache-Control': 'private, no-cache',
    ...(publishedMs !== undefined && { 'Last-Modified': new Date(publishedMs).toUTCString() }),
  };
}

function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
