import { getEventListeners, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ShoalError } from '../../common/errors.js';
import { waitFor } from '../testing/wait-for.js';
import { probeControlSocket } from './control-socket.js';

let dir: string;
let path: string;
let server: Server;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'shoal-'));
  path = join(dir, 'control.sock');
});
afterEach(async () => {
  server.close();
  await rm(dir, { recursive: true });
});

async function listen(): Promise<void> {
  server = createServer((socket) => socket.resume()).listen(path);
  await once(server, 'listening');
}

describe('looking for a daemon', () => {
  test('leaves nothing at the signal, however often and however it ends', async () => {
    const { signal } = new AbortController();
    const listeners = () => getEventListeners(signal, 'abort').length;
    await expect(probeControlSocket(path, signal)).rejects.toMatchObject({ code: 'unavailable' });
    await listen();
    for (let time = 0; time < 20; time += 1) await probeControlSocket(path, signal);
    await waitFor('nobody listens any more', () => listeners() === 0);
  });

  test('ends with what the signal says, before and meanwhile', async () => {
    const reason = new ShoalError('cancelled', 'interrupted');
    await expect(probeControlSocket(path, AbortSignal.abort(reason))).rejects.toBe(reason);
    await listen();
    const abort = new AbortController();
    const probed = probeControlSocket(path, abort.signal);
    abort.abort(reason);
    await expect(probed).rejects.toBe(reason);
  });
});
