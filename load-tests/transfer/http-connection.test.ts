import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { HttpConnection } from './http-connection.js';

let server: Server;
let connection: HttpConnection;

async function serve(listener: RequestListener): Promise<void> {
  server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  connection = await HttpConnection.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

afterEach(() => {
  connection.close();
  server.close();
});

describe('a connection for measurements', () => {
  test('reads one answer after the other, whatever their pieces', async () => {
    const asked: unknown[] = [];
    await serve((request, response) => {
      const { host, authorization } = request.headers;
      asked.push([request.method, request.url, host === `127.0.0.1:${request.socket.localPort}`, authorization]);
      response.writeHead(request.url === '/missing' ? 404 : 200, { 'Content-Length': 300_000 });
      response.flushHeaders();
      for (let i = 0; i < 3; i += 1) response.write(Buffer.alloc(100_000));
      response.end();
    });
    const headers = { Authorization: 'Bearer x' };
    expect(await connection.ask({ path: '/a', headers })).toEqual({ status: 200, bytes: 300_000 });
    expect(await connection.ask({ path: '/missing' })).toEqual({ status: 404, bytes: 300_000 });
    expect(await connection.ask({ path: '/a', method: 'HEAD' })).toEqual({ status: 200, bytes: 0 });
    expect(asked).toEqual([
      ['GET', '/a', true, 'Bearer x'],
      ['GET', '/missing', true, undefined],
      ['HEAD', '/a', true, undefined],
    ]);
  });

  test('tells of the first byte of the body, not of the head, and once', async () => {
    let goOn: () => void = () => undefined;
    await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': 2 }).flushHeaders();
      goOn = () => response.write('a', () => response.end('b'));
    });
    let firsts = 0;
    const answer = connection.ask({ path: '/' }, () => {
      firsts += 1;
    });
    await once(server, 'request');
    expect(firsts).toBe(0);
    goOn();
    expect(await answer).toEqual({ status: 200, bytes: 2 });
    expect(firsts).toBe(1);
  });

  test('does not take a broken answer for a whole one', async () => {
    await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': 10 });
      response.write('12345', () => response.destroy());
    });
    await expect(connection.ask({ path: '/' })).rejects.toThrow('the server closed the connection');
  });

  test('refuses what has no length', async () => {
    await serve((_request, response) => response.write('unknown'));
    await expect(connection.ask({ path: '/' })).rejects.toThrow('an answer without a length');
  });

  test('refuses more than the length says', async () => {
    const loose = createTcpServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab'));
    }).listen(0, '127.0.0.1');
    await once(loose, 'listening');
    await serve(() => undefined);
    const wrong = await HttpConnection.open(`http://127.0.0.1:${(loose.address() as AddressInfo).port}`);
    await expect(wrong.ask({ path: '/' })).rejects.toThrow('longer than its Content-Length');
    loose.close();
  });
});
