import { once } from 'node:events';
import { IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { createExpressServer } from './express-server.js';

describe('a server for an app of Express', () => {
  const app = express();
  app.use((request, response) => {
    response.status(201).json({ path: request.path, hasApp: request.app === app && response.app === app });
  });
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createExpressServer(app, { maxHeaderSize: 2000 }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  test('answers through the app, with all that Express adds', async () => {
    const response = await fetch(`${url}/here?x=1`);
    expect(response.status).toBe(201);
    expect(response.headers.get('content-type')).toMatch('application/json');
    expect(await response.json()).toEqual({ path: '/here', hasApp: true });
  });

  test('makes requests and answers on which Express has no prototype left to set', async () => {
    const before: object[] = [];
    const note = (...made: object[]) => before.push(...made.map((one) => Object.getPrototypeOf(one) as object));
    server.prependOnceListener('request', note);
    await fetch(url);
    expect(before).toEqual([app.request, app.response]);
    expect(before[0]).toBe(app.request);
    expect(before[1]).toBe(app.response);
    expect(app.request).toBeInstanceOf(IncomingMessage);
    expect(app.response).toBeInstanceOf(ServerResponse);
  });

  test('takes the options of any HTTP server', async () => {
    const response = await fetch(url, { headers: { 'x-long': 'x'.repeat(3000) } });
    expect(response.status).toBe(431);
  });
});
