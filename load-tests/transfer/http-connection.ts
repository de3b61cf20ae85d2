import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/*
 * The client of the measurements over HTTP: one connection that stays open, one request at a time, nothing understood
 * but the status and the length. It costs a few microseconds a request, where `node:http` and `fetch` cost as much as the
 * server that they are to measure.
 */

const END_OF_HEAD = '\r\n\r\n';

/** A request without a body. */
export interface HttpQuestion {
  readonly method?: 'GET' | 'HEAD';
  /** Percent-encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer that was read to its end. */
export interface HttpAnswer {
  readonly status: number;
  /** Bytes of the body. */
  readonly bytes: number;
}

interface Exchange {
  readonly method: 'GET' | 'HEAD';
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly onFirstByte: () => void;
}

/** A connection to a server that tells the length of what it sends. */
export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: string;
  #exchange: Exchange | undefined;
  /** What has come of a head that is not whole. */
  #head: Buffer = Buffer.alloc(0);
  #status = 0;
  #bytes = 0;
  #bytesLeft: number | undefined;

  private constructor(socket: Socket, host: string) {
    this.#socket = socket;
    this.#host = host;
    socket.setNoDelay();
    socket.on('data', (data) => this.#take(data));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  /** Connects to the host and port of `url`. */
  static async open(url: string): Promise<HttpConnection> {
    const { host, hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    await once(socket, 'connect');
    return new HttpConnection(socket, host);
  }

  /**
   * Sends a request and reads the answer; `onFirstByte` is called when the first of its body is here. Rejects when the
   * connection ends before the answer does, and when it is of a kind that is not understood.
   */
  ask(
    { method = 'GET', path, headers = {} }: HttpQuestion,
    onFirstByte: () => void = () => undefined,
  ): Promise<HttpAnswer> {
    if (this.#exchange !== undefined) throw new Error('the connection is busy with another request');
    const lines = Object.entries({ Host: this.#host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    return new Promise((resolve, reject) => {
      this.#exchange = { method, resolve, reject, onFirstByte };
      this.#socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    });
  }

  /** Ends the connection at once, in the middle of an answer too. */
  close(): void {
    this.#socket.destroy();
  }

  #take(data: Buffer): void {
    const body = this.#bytesLeft === undefined ? this.#takeHead(data) : data;
    if (body === undefined || this.#bytesLeft === undefined) return;
    if (this.#bytes === 0 && body.length > 0) this.#exchange?.onFirstByte();
    this.#bytes += body.length;
    this.#bytesLeft -= body.length;
    if (this.#bytesLeft < 0) this.#socket.destroy(new Error('the answer is longer than its Content-Length says'));
    else if (this.#bytesLeft === 0) this.#finish();
  }

  /** Returns what follows the head; undefined while that is not whole. */
  #takeHead(data: Buffer): Buffer | undefined {
    this.#head = this.#head.length === 0 ? data : Buffer.concat([this.#head, data]);
    const end = this.#head.indexOf(END_OF_HEAD);
    if (end === -1) return undefined;
    const head = this.#head.toString('latin1', 0, end);
    const rest = this.#head.subarray(end + END_OF_HEAD.length);
    this.#head = Buffer.alloc(0);
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1];
    const length = /^content-length: *(\d+) *$/im.exec(head)?.[1];
    if (status === undefined || length === undefined) {
      this.#socket.destroy(new Error(`an answer without a length: ${head.slice(0, 200)}`));
      return undefined;
    }
    this.#status = Number(status);
    this.#bytesLeft = this.#exchange?.method === 'HEAD' ? 0 : Number(length);
    return rest;
  }

  #finish(): void {
    const exchange = this.#exchange;
    const answer = { status: this.#status, bytes: this.#bytes };
    this.#exchange = undefined;
    this.#bytes = 0;
    this.#bytesLeft = undefined;
    exchange?.resolve(answer);
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(error);
  }
}
