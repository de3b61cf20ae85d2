import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { ShoalError } from '../../common/errors.js';
import { PeerMetrics } from '../metrics.js';
import { createHttpDoor } from './app.js';
import { createDoorServer } from './body-intake.js';
import type { HttpDoorDeps, HttpDoorOptions } from './deps.js';
import { type Answer, ask, jsonOf, type Question } from './testing/exchange.js';

/** A door before a peer that knows of no file: enough for who gets in and what everybody is told. */
class Door {
  readonly lines: Record<string, unknown>[] = [];
  readonly metrics = new PeerMetrics();
  /** Sessions that reached the index, undefined for the peer's own account. */
  readonly callers: (string | undefined)[] = [];
  readiness: HttpDoorDeps['readiness'] = { phase: 'open', isReady: true, reason: undefined };
  failure: unknown = new ShoalError('not_found', "there is no file 'x' that you may read", { hint: 'look again' });
  #server: Server | undefined;
  #port = 0;

  async open(address: string, options: Partial<HttpDoorOptions> = {}): Promise<void> {
    const log = pino(
      { serializers: { error: pino.stdSerializers.errWithCause } },
      { write: (line: string) => void this.lines.push(JSON.parse(line) as Record<string, unknown>) },
    );
    const locate: HttpDoorDeps['retriever']['locate'] = async (_ref, { onBehalf }) => {
      this.callers.push(onBehalf);
      throw this.failure;
    };
    const deps = {
      log,
      metrics: this.metrics,
      readiness: this.readiness,
      retriever: { locate },
      store: new Map(),
    };
    const door = createHttpDoor(deps as unknown as HttpDoorDeps, {
      ...{ loopbackAccess: true, requireLogin: false, idleMs: 1_000 },
      ...options,
    });
    const server = createDoorServer(door).listen(0, address);
    this.#server = server;
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  async ask(question: Omit<Question, 'port'>): Promise<Answer> {
    return await ask({ port: this.#port, ...question });
  }

  close(): void {
    this.#server?.close();
    this.metrics.close();
  }
}

let door: Door;
beforeEach(() => {
  door = new Door();
});
afterEach(() => {
  door.close();
});

describe('who gets in', () => {
  it('is a program on loopback, as the own account', async () => {
    await door.open('127.0.0.1');
    expect((await door.ask({ path: '/files/x' })).status).toBe(404);
    expect(door.callers).toEqual([undefined]);
  });

  it('is the same program when the door listens on every address, IPv6 included', async () => {
    await door.open('::');
    expect((await door.ask({ path: '/files/x' })).status).toBe(404);
  });

  it('is whoever shows a session, which the index is asked about', async () => {
    await door.open('127.0.0.1', { requireLogin: true });
    const headers = { Authorization: 'Bearer s3ssion', Host: 'peer.example', 'X-Forwarded-For': '1.2.3.4' };
    expect((await door.ask({ path: '/files/x', headers })).status).toBe(404);
    expect(door.callers).toEqual(['s3ssion']);
  });

  it.each([
    [{ Host: 'evil.example' }],
    [{ Origin: 'http://127.0.0.1' }],
    [{ 'X-Forwarded-Host': 'x' }],
    [{ Authorization: 'Basic YTpi' }],
  ])('is nobody with %o', async (headers) => {
    await door.open('127.0.0.1');
    for (const [method, path] of [
      ['GET', '/files/x'],
      ['PUT', '/files/x'],
      ['POST', '/clogin'],
    ] as const) {
      const answer = await door.ask({ method, path, headers, body: method === 'GET' ? '' : '{}' });
      expect([path, answer.status]).toEqual([path, 401]);
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="shoal"');
      expect(answer.headers['content-type']).toBe('application/problem+json');
      expect(jsonOf(answer)).toMatchObject({ code: 'unauthenticated', status: 401, hint: expect.any(String) });
    }
    expect(door.callers).toEqual([]);
  });

  it.each([{ loopbackAccess: false }, { requireLogin: true }])(
    'is nobody without a session with %o',
    async (options) => {
      await door.open('127.0.0.1', options);
      for (const path of ['/files/x', '/csearch']) {
        const method = path === '/csearch' ? 'POST' : 'GET';
        expect((await door.ask({ path, method })).status).toBe(401);
      }
    },
  );

  it('is refused by the index when the session is not known there', async () => {
    await door.open('127.0.0.1');
    door.failure = new ShoalError('unauthenticated', 'the session is unknown or over');
    const answer = await door.ask({ path: '/files/x', headers: { Authorization: 'Bearer old' } });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="shoal"');
  });
});

describe('what everybody is told', () => {
  it('is a problem with a code and a hint', async () => {
    await door.open('127.0.0.1');
    const answer = await door.ask({ path: '/files/x' });
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(jsonOf(answer)).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      detail: "there is no file 'x' that you may read",
      code: 'not_found',
      hint: 'look again',
    });
  });

  it('names the files that an ambiguous reference may mean', async () => {
    await door.open('127.0.0.1');
    door.failure = new ShoalError('conflict', 'which?', { details: { candidates: ['ann/x', 'bob/x'] } });
    expect(jsonOf(await door.ask({ path: '/files/x' }))).toMatchObject({ status: 409, candidates: ['ann/x', 'bob/x'] });
  });

  it('is nothing of the inside when something unforeseen fails; the log has it', async () => {
    await door.open('127.0.0.1');
    door.failure = new TypeError('secret detail');
    const answer = await door.ask({ path: '/files/x' });
    expect(answer.status).toBe(500);
    expect(answer.body.toString()).not.toContain('secret detail');
    expect(JSON.stringify(door.lines)).toContain('secret detail');
  });

  it('is a 405 for a method that a path does not have', async () => {
    await door.open('127.0.0.1');
    for (const [method, path, allow] of [
      ['DELETE', '/files/x', 'GET, HEAD, PUT'],
      ['POST', '/files/x', 'GET, HEAD, PUT'],
      ['GET', '/clogin', 'POST'],
      ['PUT', '/csearch', 'POST'],
      ['POST', '/livez', 'GET, HEAD'],
    ] as const) {
      const answer = await door.ask({ method, path });
      expect([path, answer.status, answer.headers.allow]).toEqual([path, 405, allow]);
    }
  });

  it.each(['/', '/files', '/Files/x', '/filesx', '/clogin2', '/metrics/x'])('is a 404 at %s', async (path) => {
    await door.open('127.0.0.1');
    const answer = await door.ask({ path });
    expect([answer.status, jsonOf(answer)['code']]).toEqual([404, 'not_found']);
    expect(door.callers).toEqual([]);
  });
});

describe('probes and metrics', () => {
  it('answer without credentials, and do not fill the log', async () => {
    await door.open('127.0.0.1', { requireLogin: true, loopbackAccess: false });
    for (const path of ['/livez', '/readyz', '/metrics', '/livez?verbose']) {
      expect((await door.ask({ path, headers: { Host: 'prometheus', 'X-Forwarded-For': '1.2.3.4' } })).status).toBe(
        200,
      );
    }
    expect((await door.ask({ path: '/readyz', method: 'HEAD' })).status).toBe(200);
    expect(door.lines).toEqual([]);
  });

  it('tell alive from ready', async () => {
    await door.open('127.0.0.1');
    Object.assign(door.readiness, { phase: 'leaving', isReady: false, reason: 'leaving' });
    const answer = await door.ask({ path: '/readyz' });
    expect([answer.status, answer.body.toString()]).toEqual([503, 'leaving\n']);
    expect((await door.ask({ path: '/livez' })).body.toString()).toBe('ok\n');
  });

  it('answer while the store is recovered, which nothing else does', async () => {
    await door.open('127.0.0.1');
    Object.assign(door.readiness, { phase: 'recovering', isReady: false, reason: 'recovering the store' });
    const live = await door.ask({ path: '/livez' });
    expect([live.status, live.body.toString()]).toEqual([200, 'recovering\n']);
    expect((await door.ask({ path: '/readyz' })).status).toBe(503);
    expect((await door.ask({ path: '/metrics' })).status).toBe(200);
    const file = await door.ask({ path: '/files/a' });
    expect([file.status, jsonOf(file)]).toEqual([503, expect.objectContaining({ code: 'unavailable' })]);
    expect(door.callers).toEqual([]);
  });

  it('count requests by pattern, whatever is asked', async () => {
    await door.open('127.0.0.1');
    await door.ask({ path: '/files/a' });
    await door.ask({ path: '/files/b' });
    await door.ask({ path: '/nowhere/1' });
    await door.ask({ path: '/nowhere/2', method: 'PROPFIND' });
    const text = (await door.ask({ path: '/metrics' })).body.toString();
    const counted = text.match(/^shoal_peer_http_requests_total\{.*$/gm);
    expect(counted).toEqual(
      expect.arrayContaining([
        'shoal_peer_http_requests_total{route="/files/{ref}",method="GET",code="404"} 2',
        'shoal_peer_http_requests_total{route="none",method="GET",code="404"} 1',
        'shoal_peer_http_requests_total{route="none",method="other",code="404"} 1',
      ]),
    );
    expect(text).toContain('shoal_peer_http_request_seconds_count{route="/files/{ref}"} 2');
    expect(text).not.toContain('nowhere');
  });
});

describe('the log', () => {
  it('has a line for each request that failed, and no credential', async () => {
    await door.open('127.0.0.1');
    const headers = { Authorization: 'Bearer s3cret', Cookie: 's3cret' };
    await door.ask({ path: '/files/x?token=s3cret', headers });
    await door.ask({ path: '/clogin', method: 'POST', headers, body: '{"password":"s3cret"' });
    expect(door.lines.filter((line) => 'req' in line)).toHaveLength(2);
    expect(door.lines[0]).toMatchObject({
      req: { method: 'GET', path: '/files/x', remoteAddress: '127.0.0.1' },
      res: { status: 404 },
      msg: 'request answered',
    });
    expect(JSON.stringify(door.lines)).not.toContain('s3cret');
  });
});
