import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { runGetLoad } from './get-load.js';

let server: Server;
const asked: string[] = [];
const connections = new Set<number | undefined>();
beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    connections.add(request.socket.remotePort);
    response.end(request.url === '/short' ? '123' : '12345');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => server.close());

function load(paths: readonly string[]) {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return runGetLoad({ url, paths, bytes: 5, headers: {}, connections: 4, seconds: 0.2 });
}

describe('load of small gets', () => {
  test('asks for the files in turn, over so many connections', async () => {
    const { count, perSecond, p50, p99, max } = await load(['/a', '/b', '/c']);
    expect(count).toBe(asked.length);
    expect(connections.size).toBe(4);
    for (const path of ['/a', '/b', '/c']) {
      expect(asked.filter((url) => url === path).length).toBeGreaterThanOrEqual(Math.floor(count / 3));
    }
    expect(perSecond).toBeGreaterThan(0);
    expect(p50).toBeLessThanOrEqual(p99);
    expect(p99).toBeLessThanOrEqual(max);
  });

  test('has no figures when an answer is not the file', async () => {
    await expect(load(['/a', '/short'])).rejects.toThrow('/short: status 200, 3 bytes');
  });
});
