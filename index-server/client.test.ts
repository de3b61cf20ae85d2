import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { IndexClient } from './client.js';

const AUTH = { bearer: 'token' };

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A real HTTP server that answers as a test says; what it was asked stands in `seen`. */
class FakeIndex {
  readonly seen: Seen[] = [];
  readonly #server: Server;
  answer: (response: ServerResponse, request: IncomingMessage) => void = (response) => json(response, 200, {});

  constructor() {
    this.#server = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => {
        body += String(part);
      });
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        this.seen.push({ method, url, headers, body });
        this.answer(response, request);
      });
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function json(response: ServerResponse, status: number, body: unknown, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(JSON.stringify(body));
}

describe('the client of the index', () => {
  let index: FakeIndex;
  let client: IndexClient;
  let baseUrl: string;

  beforeEach(async () => {
    index = new FakeIndex();
    baseUrl = await index.start();
    client = new IndexClient({}, { baseUrl: `${baseUrl}/`, timeoutMs: 5000 });
  });
  afterEach(() => index.stop());

  test('says who calls and for whom', async () => {
    await client.stat({ bearer: 'peer.token', onBehalf: 'session' }, 'a');
    expect(index.seen[0]?.headers).toMatchObject({ authorization: 'Bearer peer.token', 'shoal-on-behalf': 'session' });
    await client.join(
      { name: 'p', address: 'h:1', version: '1', incarnation: 'x', files: 0, bytesUsed: 0, bytesFree: 0 },
      's',
    );
    expect(index.seen[1]?.headers.authorization).toBe('Join s');
  });

  test.each([
    ['models/a b.bin', 'models%2Fa%20b.bin'],
    ['ann/ä?#%2F&', 'ann%2F%C3%A4%3F%23%252F%26'],
    ['...', '...'],
  ])('puts the reference %j into one path segment', async (ref, segment) => {
    await client.stat(AUTH, ref);
    expect(index.seen[0]?.url).toBe(`/api/v1/files/${segment}`);
  });

  test.each(['', '.', '..', '\ud800'])('refuses the reference %j, which no URL can carry', async (ref) => {
    await expect(client.stat(AUTH, ref)).rejects.toMatchObject({ code: 'invalid' });
    expect(index.seen).toEqual([]);
  });

  test('repeats query parameters that have several values and leaves out those that have none', async () => {
    await client.list(AUTH, { prefix: 'a b', tag: ['x=1', 'y=2'], limit: 5, page: undefined });
    expect(index.seen[0]?.url).toBe('/api/v1/files?prefix=a+b&tag=x%3D1&tag=y%3D2&limit=5');
  });

  test('turns a problem into the error that it was', async () => {
    const problem = { status: 409, detail: 'which one?', code: 'conflict', hint: 'say', candidates: ['a/x', 'b/x'] };
    index.answer = (response) => json(response, 409, problem, 'application/problem+json');
    await expect(client.stat(AUTH, 'x')).rejects.toMatchObject({
      code: 'conflict',
      message: 'which one?',
      hint: 'say',
      details: { candidates: ['a/x', 'b/x'] },
    });
  });

  test.each([
    ['a page', 200, '<html>', 'text/html'],
    ['an error page', 502, 'Bad gateway', 'text/plain'],
    ['half an answer', 200, '{"files":[', 'application/json'],
    ['an error that is no problem', 500, '{"oops":1}', 'application/json'],
    ['a problem with an unknown code', 400, '{"code":"strange"}', 'application/problem+json'],
  ])('takes %s for an index that is not there', async (_what, status, body, type) => {
    index.answer = (response) => response.writeHead(status, { 'content-type': type }).end(body);
    await expect(client.list(AUTH, {})).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('does not carry its token to where it is redirected', async () => {
    index.answer = (response) => response.writeHead(307, { location: '/elsewhere' }).end();
    await expect(client.account(AUTH)).rejects.toMatchObject({ code: 'unavailable' });
    expect(index.seen.every(({ url }) => url === '/api/v1/account')).toBe(true);
  });

  test('asks again when the connection breaks, where asking twice does no harm', async () => {
    index.answer = (response) => {
      if (index.seen.length < 3) response.destroy();
      else json(response, 200, { files: [], nextPage: null });
    };
    expect(await client.list(AUTH, {})).toEqual({ files: [], nextPage: null });
    expect(index.seen).toHaveLength(3);
  });

  test('does not ask again where it does, nor when the index has answered', async () => {
    index.answer = (response) => response.destroy();
    await expect(client.remove(AUTH, 'x')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(client.login(undefined, { username: 'a', password: 'b' })).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(index.seen).toHaveLength(2);
    index.answer = (response) =>
      json(response, 503, { code: 'unavailable', detail: 'no store' }, 'application/problem+json');
    await expect(client.list(AUTH, {})).rejects.toMatchObject({ code: 'unavailable', message: 'no store' });
    expect(index.seen).toHaveLength(3);
  });

  test('names the URL and the reason when nobody listens', async () => {
    await index.stop();
    await expect(client.peers(AUTH)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(new RegExp(`${baseUrl} does not answer .*ECONNREFUSED`)),
      hint: expect.stringContaining('SHOAL_INDEX_URL'),
    });
    index = new FakeIndex();
    await index.start();
  });

  test('gives up on an index that is silent, and says how long it waited', async () => {
    index.answer = () => undefined;
    const impatient = new IndexClient({}, { baseUrl, timeoutMs: 50 });
    await expect(impatient.peers(AUTH)).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('50 ms'),
    });
  });

  test('stops when its caller does, which is no time-out', async () => {
    const abort = new AbortController();
    index.answer = () => abort.abort();
    await expect(client.peers(AUTH, abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
    await expect(client.peers(AUTH, abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
    expect(index.seen).toHaveLength(1);
  });

  test("passes the original's answers through, whatever their status", async () => {
    index.answer = (response) => json(response, 401, { message: 'no', result: false }, 'application/problem+json');
    expect(await client.seedLogin(undefined, { username: 'a' })).toEqual({
      status: 401,
      body: { message: 'no', result: false },
    });
  });
});
