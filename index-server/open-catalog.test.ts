import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { databaseIn } from './catalog/mongo-store.js';
import { catalogIn } from './open-catalog.js';

test.each(['', 'embedded:', 'embedded', '/var/lib/index.db', 'mongodb://', 'redis://host/0', ' embedded:x'])(
  'refuses %j',
  async (store) => {
    await expect(catalogIn(store)).rejects.toMatchObject({
      code: 'invalid',
      hint: expect.stringContaining('embedded:PATH'),
    });
  },
);

test('shows no password of an address that it refuses', async () => {
  const error = await catalogIn('mongo://ann:secret@host/').catch((refusal: unknown) => refusal);
  expect(String(error)).not.toContain('secret');
});

test('says that a MongoDB does not answer', async () => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const options = 'serverSelectionTimeoutMS=300&connectTimeoutMS=200';
  const catalog = await catalogIn(`mongodb://127.0.0.1:${port}/shoal?${options}`);
  await expect(catalog.open()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(catalog.ping()).rejects.toMatchObject({ code: 'unavailable' });
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test.each([
  ['mongodb://host', 'shoal'],
  ['mongodb://host/', 'shoal'],
  ['mongodb://host/?w=1', 'shoal'],
  ['mongodb://ann:pa%2Fss@a:1,b:2/files?w=1', 'files'],
  ['mongodb+srv://host/files', 'files'],
])('takes from %s the database %s', (uri, database) => {
  expect(databaseIn(uri)).toBe(database);
});
