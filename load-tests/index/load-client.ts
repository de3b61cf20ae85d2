import { Agent, type IncomingMessage, request } from 'node:http';

/** A request to the index. */
export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly token: string;
  readonly body?: object;
}

const TIMEOUT_MS = 30_000;

/**
 * A client that costs little of the machine that is measured: connections that stay open, answers that are read but not
 * parsed. What programs use is the index client, over fetch.
 */
export class LoadClient {
  readonly #baseUrl: string;
  readonly #agent: Agent;

  /** Opens at most so many connections, each when it is first needed. */
  constructor(options: { readonly baseUrl: string; readonly connections: number }) {
    this.#baseUrl = options.baseUrl;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  }

  /** The body of the answer. Rejects when that is no success. */
  async send({ method, path, token, body }: LoadRequest): Promise<Buffer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${token}`,
      ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    };
    const { status, content } = await new Promise<{ status: number; content: Buffer }>((resolve, reject) => {
      const options = { method, headers, agent: this.#agent, timeout: TIMEOUT_MS };
      const sent = request(`${this.#baseUrl}${path}`, options, (response) => readAll(response, resolve, reject));
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      sent.on('error', reject);
      sent.end(text);
    });
    if (status >= 200 && status < 300) return content;
    throw new Error(`${method} ${path} was answered with ${status}: ${content.subarray(0, 500).toString()}`);
  }

  close(): void {
    this.#agent.destroy();
  }
}

function readAll(
  response: IncomingMessage,
  resolve: (answer: { status: number; content: Buffer }) => void,
  reject: (error: Error) => void,
): void {
  const pieces: Buffer[] = [];
  response.on('data', (piece: Buffer) => pieces.push(piece));
  response.on('end', () => resolve({ status: response.statusCode ?? 0, content: Buffer.concat(pieces) }));
  response.on('error', reject);
}
