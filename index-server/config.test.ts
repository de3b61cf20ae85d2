import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLoopback } from '../common/loopback.js';
import { readConfig } from './config.js';

describe('the configuration', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const secretFile = (text: string) => {
    const path = join(folder, 'secret');
    writeFileSync(path, text);
    return path;
  };

  test('of an empty environment serves one machine', () => {
    const config = readConfig({});
    expect(config).toEqual({
      port: 5000,
      listenAddress: '127.0.0.1',
      store: 'embedded:./data/index/catalog.db',
      signingKeyFile: 'data/index/signing-key.pem',
      joinSecret: undefined,
      sessionMs: 24 * 3_600_000,
      keepVersions: 10,
      leaseMs: 10_000,
      repairAfterMs: 60_000,
      podWatch: undefined,
      peerSet: undefined,
      logLevel: 'info',
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  test('takes every setting', () => {
    const config = readConfig({
      SHOAL_INDEX_PORT: '0',
      SHOAL_LISTEN_ADDRESS: '0.0.0.0',
      SHOAL_STORE: 'mongodb://db:27017/shoal',
      SHOAL_SIGNING_KEY_FILE: '/keys/key.pem',
      SHOAL_JOIN_SECRET_FILE: secretFile('0123456789abcdef\n'),
      SHOAL_SESSION_HOURS: '1',
      SHOAL_KEEP_VERSIONS: '3',
      SHOAL_LEASE_SECONDS: '2',
      SHOAL_REPAIR_AFTER_SECONDS: '0',
      SHOAL_PEER_SERVICE: 'shoal-peer',
      SHOAL_PEER_STATEFUL_SET: 'shoal-peer',
      SHOAL_NAMESPACE: 'team-a',
      SHOAL_LOG_LEVEL: 'debug',
    });
    expect(config).toMatchObject({
      port: 0,
      listenAddress: '0.0.0.0',
      store: 'mongodb://db:27017/shoal',
      signingKeyFile: '/keys/key.pem',
      joinSecret: '0123456789abcdef',
      sessionMs: 3_600_000,
      keepVersions: 3,
      leaseMs: 2000,
      repairAfterMs: 0,
      podWatch: { service: 'shoal-peer', namespace: 'team-a' },
      peerSet: { statefulSet: 'shoal-peer', namespace: 'team-a' },
      logLevel: 'debug',
    });
  });

  test('refuses to be reachable by others without a join secret', () => {
    expect(() => readConfig({ SHOAL_LISTEN_ADDRESS: '0.0.0.0' })).toThrow(/SHOAL_JOIN_SECRET_FILE is not set/);
  });

  test('tells everything that is wrong at once, and no password', () => {
    const wrong = {
      SHOAL_INDEX_PORT: '70000',
      SHOAL_STORE: 'redis://user:hunter2@db',
      SHOAL_SESSION_HOURS: '0',
      SHOAL_LOG_LEVEL: 'loud',
      SHOAL_JOIN_SECRET_FILE: join(folder, 'nothing'),
    };
    const error = (() => {
      try {
        return readConfig(wrong);
      } catch (thrown) {
        return thrown as Error;
      }
    })();
    expect(error).toMatchObject({ code: 'invalid' });
    for (const name of Object.keys(wrong)) expect((error as Error).message).toContain(name);
    expect((error as Error).message).not.toContain('hunter2');
  });

  test.each(['', 'short', 'has spaces in the middle of it'])('refuses %j as a join secret', (text) => {
    expect(() => readConfig({ SHOAL_JOIN_SECRET_FILE: secretFile(text) })).toThrow(/SHOAL_JOIN_SECRET_FILE/);
  });

  test('wants to be told where the key is when the store is a database', () => {
    expect(() => readConfig({ SHOAL_STORE: 'mongodb://db/shoal' })).toThrow(/SHOAL_SIGNING_KEY_FILE is not set/);
  });
});

test.each([
  ['127.0.0.1', true],
  ['127.8.9.10', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.1', false],
  ['::ffff:10.0.0.1', false],
  ['127.0.0.1.example.org', false],
  ['', false],
])('%s on loopback: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});
