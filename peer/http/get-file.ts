import type { ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import { ShoalError } from '../../common/errors.js';
import { clientGone } from './abort.js';
import { attachment } from './content-disposition.js';
import type { DoorMetrics } from './deps.js';
import { type FoundFile, type LocateDeps, locateFile, type OpenedFile } from './locate-file.js';
import { evaluatePreconditions, rangeApplies } from './preconditions.js';
import { parseRange } from './range.js';
import { refOfTarget } from './ref-path.js';
import { sendBody } from './send-body.js';

/** What GET and HEAD of a file work with. */
export interface GetFileDeps extends LocateDeps {
  readonly metrics: Pick<DoorMetrics, 'sentBytes'>;
}

/** What of a file is sent. */
interface Part {
  readonly status: 200 | 206;
  readonly offset: number;
  readonly length: number;
}

/**
 * `GET|HEAD /files/REF`: locate, preconditions, range; then the bytes, from this peer's store or, while they arrive,
 * from the swarm, in order and verified. HEAD asks the index only. Throws before the head of the answer is written;
 * afterwards a failure breaks the connection, so that the client sees that bytes are missing. A client that goes away
 * ends its interest in the fetch; what came so far is kept.
 */
export async function getFile(
  deps: GetFileDeps,
  options: { readonly idleMs: number },
  call: { readonly request: Request; readonly response: Response; readonly onBehalf: string | undefined },
): Promise<void> {
  const { request, response, onBehalf } = call;
  const isHead = request.method === 'HEAD';
  const ref = refOfTarget(request.originalUrl);
  const gone = clientGone(response);
  const found = await locateFile(deps, { ref, onBehalf, mayFetch: !isHead }, gone.signal);
  const validators = { etag: `"${found.id}"`, lastModifiedMs: found.publishedMs };

  const verdict = evaluatePreconditions(request.headers, validators);
  if (verdict === 'failed')
    throw new ShoalError('conflict', `'${ref}' is now ${found.id}`, { details: { status: 412 } });
  if (verdict === 'not_modified') {
    response.writeHead(304, validatorHeaders(found));
    response.end();
    return;
  }
  // A range is defined for GET alone.
  const asked = !isHead && rangeApplies(headerOf(request, 'if-range'), validators) ? request.headers.range : undefined;
  const part = choosePart(asked, found, response);
  if (isHead || part.length === 0) {
    writeHead(response, found, part);
    response.end();
    return;
  }
  await sendPart(deps, options, { response, found, part, gone });
}

async function sendPart(
  deps: GetFileDeps,
  options: { readonly idleMs: number },
  call: {
    readonly response: Response;
    readonly found: FoundFile;
    readonly part: Part;
    readonly gone: AbortController;
  },
): Promise<void> {
  const { response, found, part, gone } = call;
  const { signal } = gone;
  const opened = await found.open(signal);
  const { fetch, file } = opened;
  // Interest in a fetch lasts as long as somebody waits for its end.
  fetch?.finished(signal).catch(() => undefined);
  try {
    await sendBody(response, deps.swarm.readThrough(fetch, file, part, signal), {
      length: part.length,
      writeHead: () => writeHead(response, found, part),
      idleMs: options.idleMs,
      signal,
    });
    deps.metrics.sentBytes.inc({ kind: 'http' }, part.length);
  } catch (error) {
    gone.abort(error);
    throw error;
  }
  if (isDoneWith(opened, part)) return;
  gone.abort(new ShoalError('cancelled', 'the range that was asked for has been sent'));
}

/** A fetch of which only a range was wanted goes no further; one that has been read to the end finishes by itself. */
function isDoneWith({ fetch, file }: OpenedFile, part: Part): boolean {
  return fetch === undefined || file.isComplete || part.length === file.size;
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

function writeHead(response: ServerResponse, found: FoundFile, part: Part): void {
  const { offset, length, status } = part;
  response.writeHead(status, {
    ...validatorHeaders(found),
    'Content-Type': 'application/octet-stream',
    'Content-Length': length,
    'Content-Disposition': attachment(found.name),
    'Accept-Ranges': 'bytes',
    ...(status === 206 && { 'Content-Range': `bytes ${offset}-${offset + length - 1}/${found.size}` }),
    ...(found.sha256 !== undefined && { 'Repr-Digest': `sha-256=:${base64(found.sha256)}:` }),
  });
}

function validatorHeaders({ id, publishedMs }: FoundFile): Record<string, string> {
  return {
    ETag: `"${id}"`,
    // A name may get a new version, and a right be taken away, at any moment; asking again costs a 304.
    'Cache-Control': 'private, no-cache',
    ...(publishedMs !== undefined && { 'Last-Modified': new Date(publishedMs).toUTCString() }),
  };
}

function headerOf(request: Request, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(',') : value;
}

function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
