import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '../common/errors.js';
import { createLogger } from '../common/log.js';
import type { Catalog } from './catalog.js';
import { type IndexConfig, readConfig } from './config.js';
import { catalogIn } from './open-catalog.js';
import { type RunningIndex, runIndex } from './server.js';
import { openSigner } from './signer.js';
import { eventually } from './testing/test-index.js';

/** The parts of a catalog that a test makes misbehave. */
type Faults = Partial<Pick<Catalog, 'open' | 'close' | 'ping' | 'userByName'>>;

describe('an index server', () => {
  let folder: string;
  let running: RunningIndex | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shoal-server-'));
  });
  afterEach(async () => {
    await running?.close(0);
    running = undefined;
    await rm(folder, { recursive: true });
  });

  async function start(faults: (plain: Catalog) => Faults = () => ({}), change: Partial<IndexConfig> = {}) {
    const plain = await catalogIn(`embedded:${join(folder, 'catalog.db')}`);
    running = await runIndex(
      { ...readConfig({ SHOAL_INDEX_PORT: '0' }), ...change },
      {
        catalog: Object.assign(Object.create(plain) as Catalog, faults(plain)),
        signer: await openSigner(join(folder, 'key.pem')),
        log: createLogger({ name: 'index', level: 'silent' }),
        now: Date.now,
        random: Math.random,
      },
    );
    return running;
  }

  const status = async (path: string) => {
    const response = await fetch(`${running?.url}${path}`);
    await response.arrayBuffer();
    return response.status;
  };

  /** A log-in whose headers are sent and whose body is not yet. */
  async function beginLogin(): Promise<ClientRequest> {
    const headers = { 'content-type': 'application/json', 'content-length': 31 };
    const request = httpRequest(`${running?.url}/api/v1/sessions`, { method: 'POST', headers });
    request.write('{"username":"a"');
    await once(request, 'socket');
    return request;
  }

  test('is live before its store answers, ready when it does, and closed to everybody between', async () => {
    let storeIsThere = false;
    const { ready } = await start((plain) => ({
      open: async () => {
        if (!storeIsThere) throw new ShoalError('unavailable', 'no store yet');
        await plain.open();
      },
    }));
    expect(await status('/livez')).toBe(200);
    expect(await status('/readyz')).toBe(503);
    expect(await status('/metrics')).toBe(200);
    const response = await fetch(`${running?.url}/api/v1/files`);
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'unavailable', hint: expect.any(String) });
    storeIsThere = true;
    await ready;
    expect(await status('/readyz')).toBe(200);
    expect(await status('/api/v1/files')).toBe(401);
  });

  test('tells when its store can never be opened', async () => {
    const { ready } = await start(() => ({
      open: async () => {
        throw new ShoalError('invalid', 'this is no catalogue');
      },
    }));
    await expect(ready).rejects.toMatchObject({ code: 'invalid', message: 'this is no catalogue' });
  });

  test('is not ready while its store does not answer', async () => {
    let isThere = true;
    const { ready } = await start((plain) => ({
      ping: async () => {
        if (!isThere) throw new ShoalError('unavailable', 'the store is away');
        await plain.ping();
      },
    }));
    await ready;
    expect(await status('/readyz')).toBe(200);
    isThere = false;
    expect(await status('/readyz')).toBe(503);
    expect(await status('/livez')).toBe(200);
  });

  test('tells no more than `internal` of what nobody foresaw', async () => {
    const { ready, url } = await start(() => ({
      userByName: async () => {
        throw new TypeError('secret detail');
      },
    }));
    await ready;
    const headers = { 'content-type': 'application/json' };
    const body = '{"username":"ann","password":"correct horse"}';
    const response = await fetch(`${url}/api/v1/sessions`, { method: 'POST', headers, body });
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ code: 'internal' });
    expect(text).not.toContain('secret detail');
  });

  test('finishes the requests under way when it stops, takes no others, and closes its store last', async () => {
    const order: string[] = [];
    const { ready, close, url } = await start((plain) => ({
      userByName: async (name) => {
        order.push('store asked');
        return plain.userByName(name);
      },
      close: async () => {
        order.push('store closed');
        await plain.close();
      },
    }));
    await ready;
    const request = await beginLogin();
    const answered = once(request, 'response').then(([response]) => (response as IncomingMessage).statusCode);
    // Sent after it and answered: so the server has the head of the first.
    await status('/livez');
    const closed = close(10_000).then(() => order.push('closed'));
    await eventually(() =>
      fetch(url).then(
        () => false,
        () => true,
      ),
    );
    request.end(',"password":"b"}');
    expect(await answered).toBe(401);
    await closed;
    expect(order).toEqual(['store asked', 'store closed', 'closed']);
  });

  test('cuts off what does not finish in time', async () => {
    const { ready, close } = await start();
    await ready;
    const request = await beginLogin();
    const failed = once(request, 'error');
    await status('/livez');
    await close(50);
    expect((await failed)[0]).toMatchObject({ code: expect.stringMatching(/ECONNRESET|EPIPE/) });
  });

  test('can be closed twice, and while its store never answers', async () => {
    const { close, ready } = await start(() => ({
      open: async () => {
        throw new ShoalError('unavailable', 'no store');
      },
      close: async () => undefined,
    }));
    await Promise.all([close(0), close(0)]);
    await expect(ready).rejects.toBeDefined();
  });

  test('says which port is taken', async () => {
    const { url, ready } = await start();
    await ready;
    const port = Number(new URL(url).port);
    const first = running;
    await expect(start(undefined, { port })).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`port ${port}`),
      hint: expect.stringContaining('SHOAL_INDEX_PORT'),
    });
    running = first;
  });
});
