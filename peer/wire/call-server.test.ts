import { createLogger } from '../../common/log.js';
import { CallServer } from './call-server.js';

const OPTIONS = {
  windowBytes: 1 << 20,
  maxFrameBytes: 1 << 20,
  extraSettings: [],
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 10_000,
};

function server(): CallServer {
  const log = createLogger({ name: 'test', level: 'silent' });
  return new CallServer({ onCall: (call) => call.end(), otherwise: (socket) => socket.destroy(), log }, OPTIONS);
}

it('says clearly when its port is taken', async () => {
  const first = server();
  const port = await first.listen('127.0.0.1', 0);
  await expect(server().listen('127.0.0.1', port)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining(String(port)),
  });
  await first.leave();
});
