import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import type { Readable } from 'node:stream';

/** One answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether the server said 100 Continue before. */
  readonly wasAskedForBody: boolean;
}

/** A request with nothing added or mended: paths go out as they are. */
export interface Question {
  readonly port: number;
  readonly method?: string;
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer | Readable;
}

/** Asks and reads the whole answer; rejects when the connection breaks before its end. */
export async function ask({ port, method = 'GET', path, headers = {}, body }: Question): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
    let wasAskedForBody = false;
    const send = () => {
      if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) call.end(body);
      else body.once('error', () => call.destroy()).pipe(call);
    };
    call.on('continue', () => {
      wasAskedForBody = true;
      send();
    });
    call.on('error', reject);
    call.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers: got } = response;
        resolve({ status, headers: got, body: Buffer.concat(pieces), wasAskedForBody });
        // One that was refused while it waited to send its body.
        if (!call.writableEnded) call.destroy();
      });
    });
    if (call.getHeader('expect') === undefined) send();
    else call.flushHeaders();
  });
}

/** The JSON of an answer. */
export function jsonOf(answer: Answer): Record<string, unknown> {
  return JSON.parse(answer.body.toString()) as Record<string, unknown>;
}
